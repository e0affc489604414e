/** What is to be done to a destination tree. @module */
import type { Digest } from "./digest.ts";
import type { Entry } from "./entry.ts";
import type { Expectation } from "./expectation.ts";
import { areRelated, type TreePath } from "./path.ts";

/** What all actions may have. */
export interface Guarded {
  /**
   * What the planner saw at `path` (of a move: at `from`, and nothing at `path`). The action is only done
   * while that is so, or when it is done already; else it is a problem with the code `conflict`. With it a
   * directory is only removed when it is empty.
   */
  expected?: Expectation;
}

/** A file shall stand at `path` with this content. */
export interface PutAction extends Guarded {
  type: "put";
  path: TreePath;
  size: number;
  mtime: number;
  mode: number;
  digest: Digest;
}

/** A directory shall stand at `path`; its content is left alone. */
export interface DirectoryAction extends Guarded {
  type: "directory";
  path: TreePath;
  mtime: number;
  mode: number;
}

/** A symbolic link shall stand at `path`. */
export interface SymlinkAction extends Guarded {
  type: "symlink";
  path: TreePath;
  mtime: number;
  target: string;
}

/** Nothing shall stand at `path`; a directory goes with everything the receiver knows below it. */
export interface RemoveAction extends Guarded {
  type: "remove";
  path: TreePath;
}

/** What stands at `from` shall stand at `path`, with all that is below it; no content moves. */
export interface MoveAction extends Guarded {
  type: "move";
  path: TreePath;
  from: TreePath;
}

/** One change to a destination tree. All but `move` are idempotent by nature. */
export type Action = PutAction | DirectoryAction | SymlinkAction | RemoveAction | MoveAction;

/** The action that makes `entry` stand at its path. */
export function actionFor(entry: Entry): PutAction | DirectoryAction | SymlinkAction {
  switch (entry.kind) {
    case "file": {
      const { path, size, mtime, mode, digest } = entry;
      return { type: "put", path, size, mtime, mode, digest };
    }
    case "directory":
      return { type: "directory", path: entry.path, mtime: entry.mtime, mode: entry.mode };
    case "symlink":
      return { type: "symlink", path: entry.path, mtime: entry.mtime, target: entry.target };
  }
}

/** The paths an action reads or writes. */
export function pathsOf(action: Action): TreePath[] {
  return action.type === "move" ? [action.from, action.path] : [action.path];
}

/**
 * Whether the order of two actions matters. Making a directory and filling it commute,
 * because a receiver makes missing parents by itself.
 */
export function dependOnEachOther(a: Action, b: Action): boolean {
  if (isPut(a) && isPut(b)) return a.path === b.path;
  return pathsOf(a).some((x) => pathsOf(b).some((y) => areRelated(x, y)));
}

/** Whether an action makes something stand at its path. */
export function isPut(action: Action): boolean {
  return action.type === "put" || action.type === "directory" || action.type === "symlink";
}
