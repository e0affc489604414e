/** Signs parts of what a tree holds, for clients that look for what has changed in it. @module */
import type { ByteRange } from "../chunking/byte_range.ts";
import { MAX_BLOCK_BYTES, MIN_BLOCK_BYTES, signatureBytes, SignatureWriter } from "../chunking/signature.ts";
import { FilesyncError } from "../core/errors.ts";
import type { Anchor } from "../files/tree_root.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { openBase } from "./base_file.ts";
import { MAX_SIGNED_BYTES, type SignatureRequest } from "./receiver.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";

/** Bytes read in one go, or a block when that is longer. */
const READ_BYTES = 1 << 20;

/**
 * Refuses requests that cannot be, or are too much for one call.
 *
 * @throws {FilesyncError} `bad-request`, `bad-range` or `too-large`, all permanent.
 */
export function checkSignatureRequests(requests: readonly SignatureRequest[]): void {
  let bytes = 0;
  for (const { ranges, blockSize } of requests) {
    if (!Number.isInteger(blockSize) || blockSize < MIN_BLOCK_BYTES || blockSize > MAX_BLOCK_BYTES) {
      throw refused(
        "bad-request",
        `blocks have ${MIN_BLOCK_BYTES} to ${MAX_BLOCK_BYTES} bytes, not ${blockSize}`,
      );
    }
    for (const { start, end } of ranges) {
      const isRange = Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end;
      if (!isRange) throw refused("bad-range", `there is no range from byte ${start} to ${end}`);
      bytes += end - start;
    }
  }
  if (bytes > MAX_SIGNED_BYTES) {
    throw refused(
      "too-large",
      `they have ${bytes} bytes, and ${MAX_SIGNED_BYTES} are the most in one request`,
    );
  }
}

/**
 * The signatures of `ranges`, one after the other; `undefined` when the content is not here, or its file
 * has been touched since it was recorded.
 *
 * @throws {FilesyncError} `bad-range` when a range ends beyond the content.
 */
export async function signContent(
  { content, ranges, blockSize }: SignatureRequest,
  anchor: Anchor,
  index: TreeIndex,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  using file = openBase(content, anchor, index)?.file;
  if (file === undefined) return undefined;
  const { size } = file.stat;
  const beyond = ranges.find(({ end }) => end > size);
  if (beyond !== undefined) {
    throw refused("bad-range", `the content has ${size} bytes, and the range ends at ${beyond.end}`);
  }
  const total = ranges.reduce((sum, { start, end }) => sum + signatureBytes(end - start, blockSize), 0);
  const signatures = new Uint8Array(total);
  const buffer = new Uint8Array(blockSize * Math.max(1, Math.floor(READ_BYTES / blockSize)));
  let sinceTurn = 0;
  let at = 0;
  for (const range of ranges) {
    const writer = new SignatureWriter(range.end - range.start, blockSize);
    for (const piece of pieces(range, buffer.length)) {
      const data = buffer.subarray(0, piece.end - piece.start);
      for (let filled = 0; filled < data.length;) {
        const length = file.read(data.subarray(filled), piece.start + filled);
        // It shrinks while it is read.
        if (length === 0) return undefined;
        filled += length;
      }
      writer.add(data);
      sinceTurn += data.length;
      if (sinceTurn >= TURN_BYTES) {
        sinceTurn = 0;
        await turn();
      }
    }
    signatures.set(writer.signature, at);
    at += writer.signature.length;
  }
  return signatures;
}

function* pieces({ start, end }: ByteRange, length: number): Generator<ByteRange> {
  for (; start < end; start += length) yield { start, end: Math.min(start + length, end) };
}

function refused(code: "bad-range" | "bad-request" | "too-large", reason: string): FilesyncError {
  return new FilesyncError({ code, operation: "sign parts of a file", reason, permanent: true });
}
