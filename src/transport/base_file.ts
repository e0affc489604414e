/** Files of a tree that still hold what the index says, as far as a look can tell. @module */
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import type { Stat } from "../files/stat.ts";
import { type AttributeKeeper, showsAs } from "../files/kept_attributes.ts";
import type { Anchor, OpenFile } from "../files/tree_root.ts";
import type { IndexedEntry, TreeIndex } from "../index/tree_index.ts";

/** A file to take parts of a content from. */
export interface BaseFile {
  file: OpenFile;
  path: TreePath;
}

/**
 * Opens any file that has `content` and has not been touched since it was recorded. What is made
 * from it must be verified all the same: a look cannot tell all changes.
 *
 * @returns `undefined` when there is none.
 */
export function openBase(content: Digest, anchor: Anchor, index: TreeIndex): BaseFile | undefined {
  for (const path of index.pathsWith(content)) {
    const entry = index.get(path);
    let file: OpenFile;
    try {
      file = anchor.openRead(path);
    } catch (error) {
      // It is gone, or something else stands there: the next one may do.
      if (error instanceof FilesyncError) continue;
      throw error;
    }
    if (entry !== undefined && looksTheSame(entry, file.stat, anchor)) return { file, path };
    file[Symbol.dispose]();
  }
  return undefined;
}

function looksTheSame(entry: IndexedEntry, stat: Stat, keeper: AttributeKeeper): boolean {
  return entry.kind === "file" && entry.size === stat.size &&
    showsAs({ mtime: entry.mtime }, stat, keeper) &&
    entry.ctime === stat.ctime && entry.ino === stat.ino;
}
