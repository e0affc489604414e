/** Why an action cannot be done as it is, whichever tree it is for. @module */
import type { Action, MoveAction } from "../core/action.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError, PathError } from "../core/errors.ts";
import { MAX_PATH_DEPTH, pathFault, rangeBelow, rebase, type TreePath } from "../core/path.ts";
import type { TreeIndex } from "../index/tree_index.ts";

/**
 * Refuses a move of a directory below which something would have a path that cannot be told.
 *
 * @throws {PathError}
 */
export function refuseTooDeep({ from, path }: MoveAction, index: TreeIndex): void {
  const { low, high } = rangeBelow(from);
  const rows = index.sql("SELECT path FROM entries WHERE path >= ? AND path < ? AND length(path) > ?")
    .all(low, high, MAX_PATH_DEPTH + from.length - path.length) as { path: TreePath }[];
  for (const below of rows) {
    const fault = pathFault(rebase(below.path, from, path));
    if (fault !== undefined) throw new PathError(rebase(below.path, from, path), fault);
  }
}

/**
 * Whether an action replaces what is `held` at its path by other content though neither size nor time tell: writing a
 * file changes its time, so one of the two was spoilt by a disk, and who knows which.
 */
export function looksDamaged(action: Action, held: Entry | undefined): boolean {
  return action.type === "put" && held?.kind === "file" && held.digest !== action.digest &&
    held.size === action.size && held.mtime === action.mtime;
}

/** That {@linkcode looksDamaged} says so. */
export function damaged(path: TreePath): FilesyncError {
  return new FilesyncError({
    code: "conflict",
    operation: `replace "${path}"`,
    reason: "it has the same size and time, but other content: one of the two is damaged",
    hint: "See which one, and put its good content in its place, or run touch on the good one",
    permanent: true,
  });
}

/** That what stands there is not what the action expects. */
export function changed({ type, path }: Action, reason: string): FilesyncError {
  return new FilesyncError({
    code: "conflict",
    operation: `${type} "${path}"`,
    reason,
    hint: "It is looked at again with the next sync",
  });
}

/** That content is gone from where it was to be taken. */
export function overtaken(path: TreePath): FilesyncError {
  return new FilesyncError({
    code: "content-missing",
    operation: `put "${path}"`,
    reason: "the file that had its content was replaced meanwhile",
    hint: "Offer it again",
  });
}

/** That something of another kind stands where something is to be. */
export function standsInTheWay(path: TreePath, kind: string): FilesyncError {
  return new FilesyncError({
    code: "conflict",
    operation: `write "${path}"`,
    reason: `a ${kind} stands there`,
    hint: "Compare the trees again",
  });
}
