/** Which parts of a content need room on the disk, as far as its manifest tells. @module */
import type { ChunkRef, Manifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { chunkDigest } from "../hashing/chunk_digest.ts";
import type { ByteRange } from "./byte_range.ts";
import { MAX_CHUNK_BYTES } from "./sizes.ts";

/**
 * 1 for each chunk that is zeros, by its position: chunks of one length, one after the other, with the digest of so many
 * zeros. One alone counts as data.
 */
export function zeroChunks(manifest: Manifest): Uint8Array {
  const isZero = zeroFinder();
  return Uint8Array.from(manifest, (chunk, i) => {
    const isAmongAlike = chunk.digest === manifest[i - 1]?.digest || chunk.digest === manifest[i + 1]?.digest;
    return isAmongAlike && isZero(chunk) ? 1 : 0;
  });
}

/** The parts of a content without its {@linkcode zeroChunks}. */
export function dataRanges(manifest: Manifest): ByteRange[] {
  const zeros = zeroChunks(manifest);
  const ranges: ByteRange[] = [];
  let start = 0;
  manifest.forEach(({ length }, i) => {
    const end = start + length;
    const last = ranges.at(-1);
    if (zeros[i] === 0) {
      if (last?.end === start) last.end = end;
      else ranges.push({ start, end });
    }
    start = end;
  });
  return ranges;
}

/**
 * Lengths of chunks that are tried. Zeros are cut alike, and hold no cut but the longest chunk's: more is for who
 * made up the manifest to keep us busy.
 */
const MOST_LENGTHS = 4;

/** Tells chunks that are zeros only; remembers the digests that it had to compute. */
function zeroFinder(): (chunk: ChunkRef) => boolean {
  const digests = new Map<number, Digest>();
  return ({ digest, length }) => {
    if (!digests.has(length) && digests.size < MOST_LENGTHS && length <= MAX_CHUNK_BYTES) {
      digests.set(length, chunkDigest(new Uint8Array(length)));
    }
    return digests.get(length) === digest;
  };
}
