/**
 * Cutting one file in several workers: each cuts a segment as though a chunk began where the segment
 * does, and a little beyond its end. Cuts depend on content, so soon after the beginning of a segment its cuts are
 * those that come from the segment before, and there the two are joined. Where they do not meet (content
 * without places to cut at), the later segment is cut again from the last cut of the one before.
 *
 * @module
 */
import { PACKED_CHUNK_BYTES, packedLength } from "../core/chunk.ts";
import { DIGEST_BYTES } from "../core/digest.ts";
import { type FileRange, joined } from "./describe.ts";
import type { ChunkSizes } from "./sizes.ts";

/** Files of fewer bytes are cut in one go. */
export const SPLIT_BYTES = 64 << 20;

/** Longest chunks that a segment is cut beyond its end, to meet the next one. On random content less than one is enough. */
const OVERLAP_CHUNKS = 8;

/** Chunks that lie one after the other. */
interface Cuts {
  /** Where the first begins in the file. */
  start: number;
  packedManifest: Uint8Array<ArrayBuffer>;
}

/** The ranges to cut a file of `size` bytes in; each but the last reaches into the next. */
export function segmentsOf(size: number, { max }: ChunkSizes, segmentBytes = SPLIT_BYTES): FileRange[] {
  const count = Math.max(Math.floor(size / segmentBytes), 1);
  return Array.from({ length: count }, (_, i) => ({
    start: i * segmentBytes,
    end: i === count - 1 ? size : Math.min((i + 1) * segmentBytes + OVERLAP_CHUNKS * max, size),
  }));
}

/**
 * Joins the packed manifests of `segments` into that of the whole.
 *
 * @param cutAgain Cuts another range.
 */
export async function joinSegments(
  segments: FileRange[],
  manifests: Uint8Array<ArrayBuffer>[],
  cutAgain: (range: FileRange) => Promise<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let last: Cuts = { start: 0, packedManifest: manifests[0] };
  for (let i = 1; i < segments.length; i++) {
    const next: Cuts = { start: segments[i].start, packedManifest: manifests[i] };
    const meeting = meet(last, next);
    if (meeting === undefined) {
      parts.push(last.packedManifest);
      const range = { start: endOf(last), end: segments[i].end };
      last = { start: range.start, packedManifest: await cutAgain(range) };
    } else {
      parts.push(last.packedManifest.subarray(0, meeting.lastBytes));
      last = { start: meeting.at, packedManifest: next.packedManifest.subarray(meeting.nextBytes) };
    }
  }
  return joined([...parts, last.packedManifest]);
}

/** Where `next` cuts for the first time as `last` does, and how many bytes of both manifests lead there. */
function meet(last: Cuts, next: Cuts): { at: number; lastBytes: number; nextBytes: number } | undefined {
  let nextBytes = 0, nextEnd = next.start;
  let lastBytes = 0, lastEnd = last.start;
  while (lastBytes < last.packedManifest.length) {
    lastEnd += lengthAt(last, lastBytes);
    lastBytes += PACKED_CHUNK_BYTES;
    while (nextEnd < lastEnd && nextBytes < next.packedManifest.length) {
      nextEnd += lengthAt(next, nextBytes);
      nextBytes += PACKED_CHUNK_BYTES;
    }
    if (nextEnd === lastEnd) return { at: nextEnd, lastBytes, nextBytes };
  }
  return undefined;
}

function endOf({ start, packedManifest }: Cuts): number {
  return start + packedLength(packedManifest);
}

/** The length of the chunk whose row begins at `offset`. */
function lengthAt({ packedManifest: { buffer, byteOffset } }: Cuts, offset: number): number {
  return new DataView(buffer, byteOffset + offset + DIGEST_BYTES).getUint32(0, true);
}
