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

/** Source code shrinks to 45 % at some 250 MB/s; the next levels gain 3 % for twice the time. */
const LEVEL = 3;

/** At this many bytes a millisecond, compressing and unpacking takes as long as sending what it spares. */
const FAST_LINK = 120_000;

/** Bodies of fewer bytes say nothing of a link's speed. */
const TELLING_BYTES = 64 << 10;

/** `body` compressed, or `undefined` when it does not shrink. */
export async function compress(body: Uint8Array): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (body.length < LEAST_BYTES) return undefined;
  const { constants, zstdCompressSync } = await zlib();
  const packed = zstdCompressSync(body, { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } });
  return packed.length < 0.95 * body.length ? new Uint8Array(packed) : undefined;
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

  /** Whether compressing pays; until something is known it does, because slow links are where it matters. */
  get isSlow(): boolean {
    return (this.#speed ?? 0) < FAST_LINK;
  }

  /** Notes that so many bytes took so many milliseconds on the way. */
  learn(bytes: number, milliseconds: number): void {
    if (bytes < TELLING_BYTES) return;
    const speed = bytes / Math.max(milliseconds, 0.01);
    // Whatever else keeps either side busy makes a link look slower than it is, and nothing makes it look faster.
    this.#speed = Math.max(speed, 0.9 * (this.#speed ?? 0));
  }
}
