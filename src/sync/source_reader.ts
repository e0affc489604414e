/** Reads content of the source for sending, and makes sure that it is what was promised. @module */
import type { ChunkRef } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import type { OpenFile, TreeRoot } from "../files/tree_root.ts";
import { chunkDigest } from "../hashing/chunk_digest.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import type { LentMemory } from "../transport/spare_memory.ts";

/** A file of the source could not be read for sending; it is no fault of the receiver's. */
export class SourceError extends FilesyncError {
  override name = "SourceError";
}

/** Content is not, or no longer, what was seen: the paths are to be looked at again. */
export class SourceChangedError extends SourceError {
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
   * @throws {SourceError} When they cannot be read.
   */
  piece(start: number, piece: ChunkRef): Uint8Array<ArrayBuffer>;
  /**
   * The bytes from `start` to `end`, whatever they are.
   *
   * @param lend Gives the memory for so many bytes.
   * @throws {SourceChangedError} When the file has fewer.
   * @throws {SourceError} When they cannot be read.
   */
  bytes(start: number, end: number, lend?: LentMemory["take"]): Uint8Array<ArrayBuffer>;
}

/**
 * Opens any file of the source that was seen to hold `digest`.
 *
 * @returns `undefined` when none was: then another action for the path is queued, or will be.
 * @throws {SourceError} When the file cannot be read.
 */
export function openContent(
  root: TreeRoot,
  index: TreeIndex,
  digest: Digest,
  wanted: TreePath,
): SourceContent | undefined {
  const path = index.holds(wanted, digest) ? wanted : index.pathsWith(digest, 1)[0];
  if (path === undefined) return undefined;
  using anchor = root.anchor();
  let file: OpenFile;
  try {
    file = anchor.openRead(path);
  } catch (error) {
    const failure = unreadable(path, error);
    throw failure.code === "not-found" || failure.code === "conflict"
      ? new SourceChangedError(path)
      : failure;
  }
  const bytes = (start: number, end: number, lend?: LentMemory["take"]) => {
    const data = lend?.(end - start) ?? new Uint8Array(end - start);
    for (let at = 0; at < data.length;) {
      const n = readFrom(file, data.subarray(at), start + at, path);
      if (n === 0) throw new SourceChangedError(path);
      at += n;
    }
    return data;
  };
  return {
    path,
    bytes,
    piece(start, { digest: expected, length }) {
      const data = bytes(start, start + length);
      const actual = expected === digest ? sha256(data) : chunkDigest(data);
      if (actual !== expected) throw new SourceChangedError(path);
      return data;
    },
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

/** The content of a file, `data`, that was read and found to be what it should be. */
export function contentInMemory(path: TreePath, data: Uint8Array<ArrayBuffer>): SourceContent {
  return {
    path,
    bytes: (start, end) => data.subarray(start, end),
    piece: (start, { length }) => data.subarray(start, start + length),
    [Symbol.dispose]: () => {},
  };
}

function readFrom(file: OpenFile, into: Uint8Array, at: number, path: TreePath): number {
  try {
    return file.read(into, at);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: TreePath, error: unknown): SourceError {
  const { code, operation, reason, hint } = toFilesyncError(`read "${path}"`, error);
  return new SourceError({ code, operation, reason, hint, cause: error });
}
