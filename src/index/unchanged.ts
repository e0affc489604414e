/** Telling from a stat alone that an entry has not changed. @module */
import { isRacy } from "../core/racy.ts";
import type { Stat } from "../files/stat.ts";
import type { IndexedEntry, SeenEntry } from "./tree_index.ts";

/** Whether `stat` shows the entry as it was recorded, so that its content need not be read. */
export function isUnchanged(entry: IndexedEntry | SeenEntry, stat: Stat): boolean {
  if (entry.kind !== stat.kind || entry.mtime !== stat.mtime || entry.ino !== stat.ino) return false;
  if ("mode" in entry && entry.kind !== "symlink" && entry.mode !== stat.mode) return false;
  if ("size" in entry && entry.kind === "file" && entry.size !== stat.size) return false;
  return entry.kind === "directory" || (entry.ctime === stat.ctime && !isRacy(entry.mtime, entry.lookedAt));
}
