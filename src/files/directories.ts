/** How the directories of a tree are reached without ever following a symbolic link in it. @module */
import { ROOT, type TreePath } from "../core/path.ts";
import type { Directory } from "./directory.ts";

/** Reaches directories of one tree. */
export interface Directories extends Disposable {
  /**
   * Gives `directory`. It holds until the next call, or over it when it is passed as `keep`.
   *
   * @throws {Obstacle} When the directory, or one above it, is missing or is no directory.
   */
  reach(directory: TreePath, keep?: Directory): Directory;
  /** Lets go of what is known about `path` and everything below it. */
  forget(path: TreePath): void;
}

/** Something that is in the way to a directory. */
export class Obstacle extends Error {
  override name = "Obstacle";
  /**
   * @param code `ENOENT`: nothing is there; `ELOOP`: a symbolic link; `ENOTDIR`: something else.
   * @param at The first path on the way that is not a directory.
   */
  constructor(readonly code: "ENOENT" | "ELOOP" | "ENOTDIR", readonly at: TreePath) {
    super(`${code} at ${JSON.stringify(at)}`);
  }
}

/** The ancestor of `directory`, or itself, that stands directly in `above`. */
export function stepTowards(directory: TreePath, above: TreePath): TreePath {
  const slash = directory.indexOf("/", above === ROOT ? 0 : above.length + 1);
  return (slash < 0 ? directory : directory.slice(0, slash)) as TreePath;
}
