/**
 * Block signatures, version 1: what the holder of an old content tells of it, so that who has the new
 * one can find what both have in common, at any offset. The content is cut into blocks of one size
 * (the last may be shorter), each of which is told by two checksums:
 *
 *     4 bytes  little-endian   a rolling one, cheap to move on by a byte
 *     1-4 bytes                the lowest bytes of its XXH32
 *
 * The method is that of A. Tridgell, "Efficient Algorithms for Sorting and Synchronization", PhD
 * thesis, Australian National University, 1999, chapter 3; the rolling checksum is the polynomial of
 * R. Karp and M. Rabin, "Efficient randomized pattern-matching algorithms", 1987, whose 32 bits are
 * better mixed than those of the thesis. What is built by these signatures is verified as a whole by
 * SHA-256: a false match costs that the content is sent again, and never a wrong byte.
 *
 * @module
 */
import { xxh32 } from "./xxh32.ts";

/** Bytes of a block, unless told otherwise: the best for small edits of real files in simulation. */
export const DEFAULT_BLOCK_BYTES = 512;
/** Bounds of the bytes of a block: below, a signature grows towards what it describes. */
export const MIN_BLOCK_BYTES = 64;
export const MAX_BLOCK_BYTES = 1 << 20;

/** Bytes of the rolling checksum. */
export const WEAK_BYTES = 4;
const MAX_STRONG_BYTES = 4;

/** One content in 2^20 may match falsely somewhere. */
const CONFIDENCE_BITS = 20;

/** The multiplier: that of librsync's RabinKarp rolling checksum, `src/rabinkarp.h`. */
const FACTOR = 0x08104225;
const FACTOR_2 = Math.imul(FACTOR, FACTOR);
const FACTOR_3 = Math.imul(FACTOR_2, FACTOR);
const FACTOR_4 = Math.imul(FACTOR_2, FACTOR_2);

/**
 * Bytes of the strong checksum in the signature of a range of `bytes`.
 *
 * A search compares as many positions as the other side's range has bytes, about as many as this one,
 * with as many blocks as this one has, and each pair matches falsely with probability 2^-bits: for
 * one in 2^20, both checksums need 20 + log2(bytes) + log2(blocks) bits. This is rsync's reckoning
 * (`sum_sizes_sqroot` in its `generator.c`), with 20 for its bias of 10.
 */
export function strongBytesFor(bytes: number, blockSize: number): number {
  const bits = CONFIDENCE_BITS + Math.log2(Math.max(bytes, 1)) + Math.log2(blockCount(bytes, blockSize) || 1);
  return Math.min(Math.max(Math.ceil((bits - 8 * WEAK_BYTES) / 8), 1), MAX_STRONG_BYTES);
}

/** Blocks in a range of `bytes`. */
export function blockCount(bytes: number, blockSize: number): number {
  return Math.ceil(bytes / blockSize);
}

/** Bytes of the signature of a range of `bytes`. */
export function signatureBytes(bytes: number, blockSize: number): number {
  return blockCount(bytes, blockSize) * (WEAK_BYTES + strongBytesFor(bytes, blockSize));
}

/** The signature of a range, written while its bytes come. */
export class SignatureWriter {
  /** The signature; whole when all bytes of the range were added. */
  readonly signature: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  readonly #blockSize: number;
  readonly #strongBytes: number;
  #at = 0;

  /** @param bytes Length of the range. */
  constructor(bytes: number, blockSize: number) {
    this.signature = new Uint8Array(signatureBytes(bytes, blockSize));
    this.#view = new DataView(this.signature.buffer);
    this.#blockSize = blockSize;
    this.#strongBytes = strongBytesFor(bytes, blockSize);
  }

  /** Adds the next bytes: whole blocks, but for the end of the range. */
  add(data: Uint8Array): void {
    for (let start = 0; start < data.length; start += this.#blockSize) {
      const end = Math.min(start + this.#blockSize, data.length);
      this.#view.setInt32(this.#at, weakChecksum(data, start, end), true);
      this.#at += WEAK_BYTES;
      let strong = xxh32(data, start, end);
      for (let i = 0; i < this.#strongBytes; i++, strong >>>= 8) this.signature[this.#at++] = strong;
    }
  }
}

/** The signature of all of `data`. */
export function signatureOf(data: Uint8Array, blockSize = DEFAULT_BLOCK_BYTES): Uint8Array<ArrayBuffer> {
  const writer = new SignatureWriter(data.length, blockSize);
  writer.add(data);
  return writer.signature;
}

/** The rolling checksum of the bytes from `start` to `end`: `h = h * FACTOR + byte`, modulo 2^32. */
export function weakChecksum(data: Uint8Array, start: number, end: number): number {
  let hash = 0;
  let at = start;
  // Four at a time, as each step has to wait for the one before.
  for (; at <= end - 4; at += 4) {
    hash = (Math.imul(hash, FACTOR_4) + Math.imul(data[at], FACTOR_3) + Math.imul(data[at + 1], FACTOR_2) +
      Math.imul(data[at + 2], FACTOR) + data[at + 3]) | 0;
  }
  for (; at < end; at++) hash = (Math.imul(hash, FACTOR) + data[at]) | 0;
  return hash;
}

/** What the byte that leaves a block of `blockSize` is multiplied by in {@linkcode roll}. */
export function leavingFactor(blockSize: number): number {
  let factor = 1;
  for (let i = 0; i < blockSize; i++) factor = Math.imul(factor, FACTOR);
  return factor;
}

/** The rolling checksum of a block, moved on by a byte. */
export function roll(hash: number, leaving: number, entering: number, leavingFactor: number): number {
  return (Math.imul(hash, FACTOR) - Math.imul(leaving, leavingFactor) + entering) | 0;
}
