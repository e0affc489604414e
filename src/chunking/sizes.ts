/** How long chunks are. @module */

/** Bounds of the lengths of chunks, bytes. */
export interface ChunkSizes {
  /** No chunk is shorter, but the last of a file. */
  min: number;
  /** What lengths gather around; a power of two. */
  average: number;
  /** No chunk is longer. */
  max: number;
}

/** The longest chunk there can be, bytes: what a receiver must be able to take in one piece. */
export const MAX_CHUNK_BYTES = 4 << 20;

const SMALLEST_AVERAGE = 16 << 10;
const LARGEST_AVERAGE = MAX_CHUNK_BYTES / 4;
const MANY_CHUNKS = 64 << 10;

/**
 * The sizes to cut a file of `size` bytes by: 16 KiB on average up to 1 GiB, then doubling with
 * the file so that it has about 64k chunks at most. The average ends at 1 MiB, so that a chunk
 * always fits into memory and into one request; only a file beyond 64 GiB has more chunks.
 */
export function chunkSizesFor(size: number): ChunkSizes {
  let average = SMALLEST_AVERAGE;
  while (average < LARGEST_AVERAGE && size > average * MANY_CHUNKS) average *= 2;
  return { min: average / 4, average, max: average * 4 };
}
