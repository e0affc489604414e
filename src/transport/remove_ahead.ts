/**
 * Removing big directories in pieces. A batch changes the tree without giving anybody else a turn; hundreds of
 * thousands of entries would keep everybody waiting for seconds. So what is below such a directory goes before the
 * batch, as far as nothing in the batch comes before it there. What has to stay is left, and the removal of the
 * directory itself tells why.
 *
 * @module
 */
import { type Action, pathsOf } from "../core/action.ts";
import { FilesyncError } from "../core/errors.ts";
import { areRelated, parentOf, type TreePath } from "../core/path.ts";
import { turn } from "../core/turn.ts";
import type { Anchor } from "../files/tree_root.ts";
import type { SeenEntry, TreeIndex } from "../index/tree_index.ts";
import type { BatchKeeper } from "./batch_keeper.ts";

/** Entries removed before others get a turn: some 50 ms. */
const PIECE = 1_000;

/** What {@linkcode removeAhead} needs. */
export interface RemovalTools {
  anchor: Anchor;
  index: TreeIndex;
  keeping: BatchKeeper | undefined;
  /** Milliseconds since the epoch. */
  now: number;
  /** Lets the owner write into a directory until the end of the batch. */
  unlock(directory: TreePath): void;
  /** Told that something was removed, perhaps, and that this could not be recorded. */
  onUnrecorded(): void;
}

/**
 * Removes what the index knows below the directories that `actions` remove, when that is much. Nothing else may
 * change the tree meanwhile.
 */
export async function removeAhead(actions: readonly Action[], tools: RemovalTools): Promise<void> {
  const { anchor, index, onUnrecorded } = tools;
  const directories = removable(actions, index);
  const count = directories.reduce((sum, path) => sum + index.countWithin(path), 0);
  if (count <= PIECE) return;
  for (const directory of directories) {
    let piece = index.lastBelow(directory, PIECE);
    while (piece.length > 0) {
      // Somebody else may have moved directories meanwhile.
      anchor.letGo();
      using recording = new DisposableStack();
      recording.defer(onUnrecorded);
      index.transaction(() => piece.forEach((entry) => removeKnown(entry, tools)), { syncedLater: true });
      recording.move();
      await turn();
      piece = index.lastBelow(directory, PIECE, piece.at(-1)!.path);
    }
  }
}

/** The directories with something in them that are removed, whatever they hold, before anything else is done there. */
function removable(actions: readonly Action[], index: TreeIndex): TreePath[] {
  const removed = actions.flatMap(({ type, path, expected }, at) =>
    type === "remove" && expected === undefined ? [{ path, at }] : []
  );
  const filled = index.filledAmong(removed.map(({ path }) => path));
  return removed.filter(({ path, at }) =>
    filled.has(path) &&
    !actions.slice(0, at).some((action) => pathsOf(action).some((other) => areRelated(other, path)))
  ).map(({ path }) => path);
}

function removeKnown({ path, kind }: SeenEntry, { anchor, index, keeping, now, unlock }: RemovalTools): void {
  try {
    const stat = anchor.lstat(path);
    if (stat !== undefined) {
      if (stat.kind !== kind) return;
      unlock(parentOf(path));
      const gone = keeping?.leaving(path, "removed", now);
      if (kind === "directory") anchor.removeDirectory(path);
      else anchor.removeFile(path);
      keeping?.went(gone);
    }
    index.remove(path);
  } catch (error) {
    // A full disk ends a transaction of SQLite. All else is for the removal of the directory to tell.
    if (!index.db.isTransaction || !(error instanceof FilesyncError)) throw error;
  }
}
