/**
 * Random bytes that are the same for the same seed, and files made of them.
 *
 * @module
 */

/** Bytes written or made at a time. */
const PIECE = 1 << 22;

/**
 * A generator of unsigned 32-bit numbers: sfc32 of C. Doty-Humphrey's PractRand, small, fast, and
 * good enough that its bytes do not compress.
 */
export function sfc32(seed: number): () => number {
  let a = seed | 0, b = 0x9e3779b9 | 0, c = 0x243f6a88 | 0, counter = 1;
  const next = () => {
    const out = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + out) | 0;
    return out >>> 0;
  };
  for (let i = 0; i < 15; i++) next();
  return next;
}

/** A seeded stand-in for `Math.random`: numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  const next = sfc32(seed);
  return () => next() / 2 ** 32;
}

/** A whole number in [0, `below`). */
export function integer(random: () => number, below: number): number {
  return Math.floor(random() * below);
}

/** One of `choices`. */
export function pick<T>(random: () => number, choices: readonly T[]): T {
  return choices[integer(random, choices.length)];
}

/** `length` incompressible bytes. */
export function randomBytes(seed: number, length: number): Uint8Array<ArrayBuffer> {
  return take(sfc32(seed), length);
}

/** What {@linkcode insertAt} puts in. */
export interface Insert {
  /** Where, counted in the data before any insert. */
  at: number;
  bytes: Uint8Array;
}

/** A copy of `data` with every insert made. */
export function insertAt(data: Uint8Array, inserts: Insert[]): Uint8Array<ArrayBuffer> {
  const added = inserts.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const result = new Uint8Array(data.length + added);
  let read = 0, written = 0;
  const put = (bytes: Uint8Array) => {
    result.set(bytes, written);
    written += bytes.length;
  };
  for (const { at, bytes } of inserts.toSorted((a, b) => a.at - b.at)) {
    put(data.subarray(read, at));
    put(bytes);
    read = at;
  }
  put(data.subarray(read));
  return result;
}

/** `count` inserts of 1 to `most` bytes at random places of data that is `length` bytes long. */
export function smallInserts(seed: number, length: number, count: number, most = 16): Insert[] {
  const next = sfc32(seed);
  return Array.from({ length: count }, () => ({
    at: next() % (length + 1),
    bytes: take(next, 1 + next() % most),
  }));
}

/** Writes a file of `size` bytes that hold `randomBytes(seed, size)`, without holding them in memory. */
export function writeBigFile(path: string, size: number, seed: number): void {
  const next = sfc32(seed);
  using file = Deno.openSync(path, { write: true, create: true, truncate: true });
  for (let left = size; left > 0; left -= PIECE) {
    const piece = take(next, Math.min(left, PIECE));
    for (let done = 0; done < piece.length;) done += file.writeSync(piece.subarray(done));
  }
}

function take(next: () => number, length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i++) words[i] = next();
  return new Uint8Array(words.buffer, 0, length);
}
