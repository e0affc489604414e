/**
 * How a block lies in a pack: a Zstandard frame (RFC 8878), or the bytes as they are where that saves too
 * little to be worth unpacking.
 *
 * @module
 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { FilesyncError } from "../core/errors.ts";

/**
 * Chunks are packed together up to so many bytes: each by itself would be packed and unpacked at half the
 * speed and shrink less, and of a bigger block more is unpacked for one small file.
 */
export const BLOCK_BYTES = 512 << 10;

/** Measured on programs: level 3 takes 1.4 times as long and saves another 2 %. */
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** A block is packed when that makes it at least so much smaller. */
const WORTH_IT = 0.95;

/**
 * A block is tried by so many samples of so many bytes first: packing what does not shrink takes as long as all
 * else about it together.
 */
const SAMPLES = 8;
const SAMPLE_BYTES = 4 << 10;

/** The samples together have less to repeat than the whole, so that they need to shrink less. */
const WORTH_TRYING = 0.98;

const samples = new Uint8Array(SAMPLES * SAMPLE_BYTES);

/** What to store for `data`: shorter than it, or `data` itself. */
export function packBlock(data: Uint8Array): Uint8Array {
  if (data.length > 2 * samples.length && !shrinks(sampleOf(data), WORTH_TRYING)) return data;
  return shrinks(data, WORTH_IT) ?? data;
}

function shrinks(data: Uint8Array, most: number): Uint8Array | undefined {
  const packed = zstdCompressSync(data, LEVEL);
  return packed.length <= data.length * most ? packed : undefined;
}

function sampleOf(data: Uint8Array): Uint8Array {
  const stride = Math.floor((data.length - SAMPLE_BYTES) / (SAMPLES - 1));
  for (let i = 0; i < SAMPLES; i++) {
    samples.set(data.subarray(i * stride, i * stride + SAMPLE_BYTES), i * SAMPLE_BYTES);
  }
  return samples;
}

/**
 * The `length` bytes that `stored` was made of.
 *
 * @throws {FilesyncError} `digest-mismatch` when it is damaged so that it cannot be unpacked.
 */
export function unpackBlock(stored: Uint8Array, length: number): Uint8Array {
  if (stored.length === length) return stored;
  let data: Uint8Array | undefined;
  let cause: unknown;
  try {
    data = zstdDecompressSync(stored, { maxOutputLength: length });
  } catch (error) {
    cause = error;
  }
  if (data?.length === length) return data;
  throw new FilesyncError({
    code: "digest-mismatch",
    operation: "unpack a block of kept content",
    reason: "its bytes are damaged",
    hint: "Verify the store to see what is affected, and the disk",
    permanent: true,
    cause,
  });
}
