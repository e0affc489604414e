/** Reads content of the source for sending, and makes sure that it is what was promised. @module */
import type { ChunkRef } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import type { OpenFile, TreeRoot } from "../files/tree_root.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { TreeIndex } from "../index/tree_index.ts";

/** Content is not, or no longer, what was seen: the paths are to be looked at again. */
export class SourceChangedError extends FilesyncError {
  override name = "SourceChangedError";
  constructor(path: TreePath) {
    super({
      code: "conflict",
      operation: `send "${path}"`,
      reason: "it changed since it was looked at",
      hint: "It is looked at again",
    });
  }
}

/** An open file of the source with a content. */
export interface SourceContent extends Disposable {
  path: TreePath;
  /**
   * The bytes of a piece of it.
   *
   * @throws {SourceChangedError} When they do not have the digest of the piece.
   */
  piece(start: number, piece: ChunkRef): Uint8Array<ArrayBuffer>;
}

/**
 * Opens any file of the source that was seen to hold `digest`.
 *
 * @returns `undefined` when none was: then another action for the path is queued, or will be.
 * @throws {FilesyncError} When the file cannot be read.
 */
export function openContent(
  root: TreeRoot,
  index: TreeIndex,
  digest: Digest,
  wanted: TreePath,
): SourceContent | undefined {
  const paths = index.pathsWith(digest);
  if (paths.length === 0) return undefined;
  const path = paths.includes(wanted) ? wanted : paths[0];
  using anchor = root.anchor();
  let file: OpenFile;
  try {
    file = anchor.openRead(path);
  } catch (error) {
    if (error instanceof FilesyncError && error.code !== "permission") throw new SourceChangedError(path);
    throw error;
  }
  return {
    path,
    piece(start, { digest: expected, length }) {
      const data = new Uint8Array(length);
      for (let at = 0; at < length;) {
        const n = file.read(data.subarray(at), start + at);
        if (n === 0) throw new SourceChangedError(path);
        at += n;
      }
      if (sha256(data) !== expected) throw new SourceChangedError(path);
      return data;
    },
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}
