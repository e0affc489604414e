/**
 * Content-defined cuts by FastCDC with normalized chunking of level 2.
 *
 * Source: W. Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication
 * Based Storage Systems", IEEE TPDS 31(9), 2020. Three things differ from the paper:
 *
 * - The gear hash has 32 bits, not 64, since that is what JavaScript computes fast. A hash then
 *   depends on the last 32 bytes.
 * - A mask is the top bits of the hash, not bits spread over it. The top bits are those that the
 *   whole window reaches, testing them is one shift, and the masks of a larger average contain
 *   those of a smaller one.
 * - The hash at the first place where a cut may be has seen a whole window before it (the paper
 *   starts with an empty one), so whether a place can be a cut depends on its bytes alone.
 *
 * What is cut is remembered by both sides: a change that moves a cut needs a new name in
 * `chunker.ts`. The tests pin the cuts.
 *
 * @module
 */
import { sha256 } from "../hashing/sha256.ts";
import type { ChunkSizes } from "./sizes.ts";

/** Bytes that a 32-bit gear hash depends on: each step shifts an older byte one bit further out. */
const WINDOW = 32;

/** Bits by which the two masks are longer and shorter than the average asks for. */
const NORMALIZATION = 2;

/** A random number for each byte: the first 32 bits of the SHA-256 of that byte. */
const GEAR = Int32Array.from(
  { length: 256 },
  (_, byte) => parseInt(sha256(Uint8Array.of(byte)).slice(0, 8), 16),
);

/**
 * The lengths of the chunks of `data`, which starts at a cut.
 *
 * @param sizes `min` must be at least 32.
 * @param more Whether the content goes on after `data`. Then only chunks that cannot depend on
 * what follows are cut, and fewer than `sizes.max` bytes remain; otherwise the lengths add up to
 * all of `data`.
 */
export function fastcdcCuts(data: Uint8Array, sizes: ChunkSizes, more: boolean): number[] {
  const lengths: number[] = [];
  const least = more ? sizes.max : 1;
  for (let start = 0; data.length - start >= least;) {
    const end = firstCut(data, start, sizes);
    lengths.push(end - start);
    start = end;
  }
  return lengths;
}

/** Where the chunk that begins at `start` ends. */
function firstCut(data: Uint8Array, start: number, { min, average, max }: ChunkSizes): number {
  const end = Math.min(start + max, data.length);
  if (end - start <= min) return end;
  const bits = 31 - Math.clz32(average);
  const normal = Math.min(start + average, end);
  let at = start + min;
  let gear = 0;
  for (let i = at - WINDOW; i < at; i++) gear = (gear << 1) + GEAR[data[i]] | 0;
  // A cut is harder to meet before the average length and easier after it.
  const hard = 32 - bits - NORMALIZATION;
  for (; at < normal; at++) {
    gear = (gear << 1) + GEAR[data[at]] | 0;
    if (gear >>> hard === 0) return at + 1;
  }
  const easy = 32 - bits + NORMALIZATION;
  for (; at < end; at++) {
    gear = (gear << 1) + GEAR[data[at]] | 0;
    if (gear >>> easy === 0) return at + 1;
  }
  return end;
}
