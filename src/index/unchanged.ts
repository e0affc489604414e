/** Telling from a stat alone that an entry has not changed. @module */
import { isRacy } from "../core/racy.ts";
import { ALL_KEPT, type AttributeKeeper, showsAs } from "../files/kept_attributes.ts";
import type { Stat } from "../files/stat.ts";
import type { IndexedEntry, SeenEntry } from "./tree_index.ts";

const EXACT: AttributeKeeper = { kept: ALL_KEPT };

/**
 * Whether `stat` shows the entry as it was recorded, so that its content need not be read.
 *
 * @param keeper Where it stands, for entries that were recorded with what they were given. By default they were
 * recorded with what they looked like.
 */
export function isUnchanged(
  entry: IndexedEntry | SeenEntry,
  stat: Stat,
  keeper: AttributeKeeper = EXACT,
): boolean {
  return looksTheSame(entry, stat, keeper) &&
    (entry.kind === "directory" || !isRacy(stat.mtime, entry.lookedAt));
}

/** The same as far as looks go: what was written within one tick of the file system's clock need not show. */
export function looksTheSame(entry: IndexedEntry | SeenEntry, stat: Stat, keeper: AttributeKeeper): boolean {
  if (entry.kind !== stat.kind || entry.ino !== stat.ino) return false;
  if ("size" in entry && entry.kind === "file" && entry.size !== stat.size) return false;
  const mode = "mode" in entry && entry.kind !== "symlink" ? entry.mode : undefined;
  if (!showsAs({ mtime: entry.mtime, mode }, stat, keeper)) return false;
  return entry.kind === "directory" || entry.ctime === stat.ctime;
}
