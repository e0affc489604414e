/** Parts of a content, and their packed form. @module */
import { ByteReader, ByteWriter } from "./varint.ts";

/** A part of a content: the first byte, and the byte after the last. */
export interface ByteRange {
  start: number;
  end: number;
}

/** The packed form of ranges: of each its start from the end of the last, with a sign, and its length. */
export function packRanges(ranges: readonly ByteRange[]): Uint8Array<ArrayBuffer> {
  const packed = new ByteWriter();
  let last = 0;
  for (const { start, end } of ranges) {
    packed.signed(start - last);
    packed.varint(end - start);
    last = end;
  }
  return packed.bytes;
}

/**
 * The ranges in `packed`.
 *
 * @throws {FilesyncError} `bad-request` when it is malformed.
 */
export function unpackRanges(packed: Uint8Array): ByteRange[] {
  const reader = new ByteReader(packed, "the ranges");
  const ranges: ByteRange[] = [];
  let last = 0;
  while (reader.left > 0) {
    const start = last + reader.signed();
    const end = start + reader.varint();
    if (start < 0) throw reader.fault("one starts before the first byte");
    if (!Number.isSafeInteger(end)) throw reader.fault("one ends too far away");
    ranges.push({ start, end });
    last = end;
  }
  return ranges;
}
