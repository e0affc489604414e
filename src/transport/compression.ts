/**
 * Bodies of requests, compressed with Zstandard (RFC 8878) where that gets them there sooner.
 *
 * @module
 */
import { FilesyncError } from "../core/errors.ts";

/** The content coding of compressed bodies, as in RFC 9110. */
export const CODING = "zstd";

/** What is shorter gains nothing, bytes. */
const LEAST_BYTES = 256;

/** Source code shrinks to 45 % at some 250 MB/s. */
const LEVEL = 3;

/** For far ways: takes twice the time, and spares another 8 to 12 %. */
const FAR_LEVEL = 6;

/** An answer that never came sooner than this many milliseconds comes from afar, where links are narrow. */
const FAR_MS = 15;

/** At this many bytes a millisecond, compressing and unpacking takes as long as sending what it spares. */
const FAST_LINK = 120_000;

/** Bodies of fewer bytes say nothing of a link's speed. */
const TELLING_BYTES = 64 << 10;

/** In so many places of a body a piece of so many bytes is tried: when none shrinks, nothing does. */
const SAMPLES = { pieces: 16, bytes: 4 << 10 };

/** `body` compressed, or `undefined` when it does not shrink. */
export async function compress(
  body: Uint8Array,
  level: number = LEVEL,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (body.length < LEAST_BYTES) return undefined;
  const { constants, zstdCompressSync } = await zlib();
  const pack = (data: Uint8Array, level: number) =>
    zstdCompressSync(data, { params: { [constants.ZSTD_c_compressionLevel]: level } });
  const sample = sampleOf(body);
  if (sample !== undefined && pack(sample, 1).length > 0.98 * sample.length) return undefined;
  const packed = pack(body, level);
  return packed.length < 0.95 * body.length ? new Uint8Array(packed) : undefined;
}

/** Pieces from all over a big body: what is packed already, such as archives, takes longest to be tried. */
function sampleOf(body: Uint8Array): Uint8Array | undefined {
  const { pieces, bytes } = SAMPLES;
  const step = Math.floor(body.length / pieces);
  if (step < 4 * bytes) return undefined;
  const sample = new Uint8Array(pieces * bytes);
  for (let i = 0; i < pieces; i++) {
    const start = i * step + (step - bytes >> 1);
    sample.set(body.subarray(start, start + bytes), i * bytes);
  }
  return sample;
}

/**
 * The body that was compressed to `packed`.
 *
 * @param most Most bytes that it may have.
 * @throws {FilesyncError} `too-large` when it has more; `bad-request` when it is no such body.
 */
export async function decompress(packed: Uint8Array, most: number): Promise<Uint8Array<ArrayBuffer>> {
  const { zstdDecompressSync } = await zlib();
  try {
    return new Uint8Array(zstdDecompressSync(packed, { maxOutputLength: most }));
  } catch (cause) {
    const isTooLarge = (cause as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
    throw new FilesyncError({
      code: isTooLarge ? "too-large" : "bad-request",
      operation: "unpack the body",
      reason: isTooLarge ? `it has more than ${most} bytes` : "it is not compressed with zstd as it says",
      permanent: true,
      cause,
    });
  }
}

/** Loaded when it is needed: that takes as long as comparing a small tree. */
function zlib(): Promise<typeof import("node:zlib")> {
  return import("node:zlib");
}

/** Learns how fast a link is, and so whether bodies are worth compressing. */
export class LinkSpeed {
  /** Bytes a millisecond: the most seen lately. */
  #speed: number | undefined;
  /** Milliseconds to and fro: the least seen. */
  #latency: number | undefined;

  /** Whether compressing pays; until something is known it does, because slow links are where it matters. */
  get isSlow(): boolean {
    return (this.#speed ?? 0) < FAST_LINK;
  }

  /** How hard to compress. */
  get level(): number {
    return (this.#latency ?? 0) < FAR_MS ? LEVEL : FAR_LEVEL;
  }

  /** Notes that so many bytes took so many milliseconds on the way. */
  learn(bytes: number, milliseconds: number): void {
    this.#latency = Math.min(milliseconds, this.#latency ?? Infinity);
    if (bytes < TELLING_BYTES) return;
    const speed = bytes / Math.max(milliseconds, 0.01);
    // Whatever else keeps either side busy makes a link look slower than it is, and nothing makes it look faster.
    this.#speed = Math.max(speed, 0.9 * (this.#speed ?? 0));
  }
}
