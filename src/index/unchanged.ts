/** Telling from a stat alone that an entry has not changed. @module */
import { isRacy } from "../core/racy.ts";
import type { Stat } from "../files/stat.ts";
import type { IndexedEntry } from "./tree_index.ts";

/** Whether `stat` shows the entry as it was recorded, so that its content need not be read. */
export function isUnchanged(entry: IndexedEntry, stat: Stat): boolean {
  if (entry.kind !== stat.kind || entry.mtime !== stat.mtime || entry.ino !== stat.ino) return false;
  switch (entry.kind) {
    case "file":
      return entry.size === stat.size && entry.mode === stat.mode && entry.ctime === stat.ctime &&
        !isRacy(entry.mtime, entry.lookedAt);
    case "directory":
      return entry.mode === stat.mode;
    case "symlink":
      return entry.ctime === stat.ctime && !isRacy(entry.mtime, entry.lookedAt);
  }
}
