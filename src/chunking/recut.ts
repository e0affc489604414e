/**
 * The chunks of a content that was made from another one, without cutting what they have in common again.
 *
 * Where a chunk ends depends on where it begins and on no byte beyond the longest chunk from there
 * (`ChunkKernel`). So wherever the new content comes to a cut of the old one and goes on like it for
 * long enough, the old one's chunks are its own.
 *
 * @module
 */
import { PACKED_CHUNK_BYTES } from "../core/chunk.ts";
import { DIGEST_BYTES } from "../core/digest.ts";
import { ChunkStream } from "./chunk_stream.ts";
import type { Chunking } from "./chunker.ts";
import type { ChunkSizes } from "./sizes.ts";
import { ByteWriter } from "./varint.ts";

/** Bytes cut at once: seldom much more than what lies between two contents' common cuts. */
const READ_BYTES = 256 << 10;

/** A part of the new content that the old one has too. */
export interface CommonRange {
  /** Where it is in the new content. */
  start: number;
  /** Where it is in the old one. */
  base: number;
  length: number;
}

/** What {@linkcode recut} needs. */
export interface RecutOptions {
  chunking: Chunking;
  /** The packed manifest of the old content, which has several chunks, cut by `sizes`. */
  base: Uint8Array;
  /** What both contents are cut by. */
  sizes: ChunkSizes;
  /** Bytes of the new content. */
  size: number;
  /** What both have in common, in the order of the new one. */
  common: readonly CommonRange[];
  /** Fills `into` with the new content from byte `start`. */
  read(into: Uint8Array, start: number): void;
}

/** Whether cutting all of a content costs less than {@linkcode recut} with so many common ranges may. */
export function isRecutInVain(common: number, size: number, { max }: ChunkSizes): boolean {
  return (common + 1) * (READ_BYTES + 2 * max) > size / 2;
}

/** The packed manifest of the new content, which is that of cutting all of it; of one chunk, named as one of several. */
export function recut({ chunking, base, sizes, size, common, read }: RecutOptions): Uint8Array<ArrayBuffer> {
  const cuts = cutsOf(base);
  const manifest = new ByteWriter();
  let next = 0;

  /** The old one's chunks, as positions in its manifest, that the new content has from the cut at `at`. */
  const commonChunks = (at: number): { first: number; end: number } | undefined => {
    while (next < common.length && common[next].start + common[next].length <= at) next++;
    const range = common[next];
    if (range === undefined || range.start > at) return undefined;
    const first = atOrAfter(cuts, range.base + at - range.start);
    if (cuts[first] !== range.base + at - range.start) return undefined;
    const baseEnd = range.base + range.length;
    const isEnd = baseEnd === cuts.at(-1) && range.start + range.length === size;
    const end = isEnd ? cuts.length - 1 : atOrAfter(cuts, baseEnd - sizes.max + 1);
    return end > first ? { first, end } : undefined;
  };

  /** Cuts from `at` on until there are common chunks; gives how far it came. */
  const cutOn = (at: number): number => {
    using stream = new ChunkStream(chunking, sizes);
    for (let seen = at;;) {
      const room = stream.room().subarray(0, Math.min(READ_BYTES, size - seen));
      read(room, seen);
      seen += room.length;
      const taken = stream.take(room.length).packedManifest.slice();
      const ended = seen === size ? stream.end().packedManifest : new Uint8Array();
      for (const rows of [taken, ended]) {
        const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
        for (let row = 0; row < rows.length; row += PACKED_CHUNK_BYTES) {
          manifest.write(rows.subarray(row, row + PACKED_CHUNK_BYTES));
          at += view.getUint32(row + DIGEST_BYTES, true);
          if (at === size || commonChunks(at) !== undefined) return at;
        }
      }
    }
  };

  for (let at = 0; at < size;) {
    const chunks = commonChunks(at);
    if (chunks === undefined) {
      at = cutOn(at);
    } else {
      const { first, end } = chunks;
      manifest.write(base.subarray(first * PACKED_CHUNK_BYTES, end * PACKED_CHUNK_BYTES));
      at += cuts[end] - cuts[first];
    }
  }
  return manifest.bytes;
}

/** Where each chunk of a packed manifest begins, and where the last one ends. */
function cutsOf(manifest: Uint8Array): Float64Array {
  const view = new DataView(manifest.buffer, manifest.byteOffset, manifest.byteLength);
  const cuts = new Float64Array(manifest.length / PACKED_CHUNK_BYTES + 1);
  for (let i = 1; i < cuts.length; i++) {
    cuts[i] = cuts[i - 1] + view.getUint32(i * PACKED_CHUNK_BYTES - 4, true);
  }
  return cuts;
}

/** The position of the first of rising `cuts` that is not before `place`; that of the last when all are. */
function atOrAfter(cuts: Float64Array, place: number): number {
  let low = 0;
  for (let high = cuts.length - 1; low < high;) {
    const middle = (low + high) >>> 1;
    if (cuts[middle] < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
