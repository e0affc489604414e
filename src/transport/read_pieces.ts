/** Reads parts of what a tree holds, for those who take them elsewhere. @module */
import type { ByteRange } from "../chunking/byte_range.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import type { Anchor } from "../files/tree_root.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { openBase } from "./base_file.ts";
import type { PieceRequest } from "./receiver.ts";

/**
 * Refuses requests that cannot be, or are too much for one call.
 *
 * @throws {FilesyncError} `bad-range` or `too-large`, permanent.
 */
export function checkPieceRequests(requests: readonly PieceRequest[], maxBytes: number): void {
  let bytes = 0;
  for (const { start, end } of requests.flatMap(({ ranges }) => ranges)) {
    const isRange = Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end;
    if (!isRange) throw refused("bad-range", `there is no range from byte ${start} to ${end}`);
    bytes += end - start;
  }
  if (bytes <= maxBytes) return;
  throw refused("too-large", `they have ${bytes} bytes, and ${maxBytes} are the most in one request`);
}

/**
 * The bytes of the ranges, one after the other; `undefined` when the content is not here, or its file has
 * been touched since it was recorded.
 *
 * @throws {FilesyncError} `bad-range` when a range ends beyond the content.
 */
export function readPieces(
  { content, ranges }: PieceRequest,
  anchor: Anchor,
  index: TreeIndex,
): Uint8Array<ArrayBuffer> | undefined {
  using file = openBase(content, anchor, index)?.file;
  if (file === undefined) return undefined;
  requireWithin(ranges, file.stat.size);
  const bytes = new Uint8Array(ranges.reduce((sum, { start, end }) => sum + end - start, 0));
  let at = 0;
  for (const { start, end } of ranges) {
    for (let from = start; from < end;) {
      const length = file.read(bytes.subarray(at, at + end - from), from);
      // It shrinks while it is read.
      if (length === 0) return undefined;
      at += length;
      from += length;
    }
  }
  return bytes;
}

/**
 * Refuses ranges that end beyond a content.
 *
 * @throws {FilesyncError} `bad-range`, permanent.
 */
export function requireWithin(ranges: readonly ByteRange[], size: number): void {
  const beyond = ranges.find(({ end }) => end > size);
  if (beyond === undefined) return;
  throw refused("bad-range", `the content has ${size} bytes, and the range ends at ${beyond.end}`);
}

/** The request for all of a content. */
export function wholeOf(content: Digest, size: number): PieceRequest {
  return { content, ranges: [{ start: 0, end: size }] };
}

function refused(code: "bad-range" | "too-large", reason: string): FilesyncError {
  return new FilesyncError({ code, operation: "read parts of a file", reason, permanent: true });
}
