/** Entries and moments as people read them. @module */
import type { Entry } from "../core/entry.ts";
import { quotePath } from "./quote.ts";
import { formatBytes } from "./sizes.ts";

/** What an entry is, without its path. */
export function describeEntry(entry: Entry): string {
  switch (entry.kind) {
    case "file":
      return `${formatBytes(entry.size)}, changed ${localTime(entry.mtime)}`;
    case "directory":
      return "directory";
    case "symlink":
      return `link to ${quotePath(entry.target)}`;
  }
}

/** A moment as people of this machine write it. */
export function localTime(time: number): string {
  const moment = new Date(time - new Date(time).getTimezoneOffset() * 60_000);
  return moment.toISOString().slice(0, 19).replace("T", " ");
}
