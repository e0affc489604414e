/** Reads and checks the bodies of requests. @module */
import type { Context, MiddlewareHandler } from "hono";
import { type Clock, steadyClock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import { CODING, decompress } from "../transport/compression.ts";
import type { LentMemory } from "../transport/spare_memory.ts";
import { decodeFrames, type Frame, FRAMES_TYPE } from "../core/frames.ts";

/** Most bytes of a framed body: the content of a batch, and room for its headers. */
export const MAX_FRAMED_BYTES = 32 << 20;

/** Most bytes of a JSON body. */
export const MAX_JSON_BYTES = 1 << 20;

/** Names the variable of the context that tells how many bytes of the body were read. */
export const RECEIVED = "receivedBytes";

/** Milliseconds that every body may take, however small, and every pause in a long one. */
const PATIENCE_MS = 30_000;

/** How often it is looked whether a body comes, milliseconds. */
const WATCH_MS = 10_000;

/** Who sends fewer bytes a second holds up the server on purpose, or has no use of it. Clients of ours give up there. */
const SLOWEST_BYTES_PER_SECOND = 4_096;

/**
 * A middleware that answers 413 to a body of more than `maxSize` bytes. What is small, or does not say how
 * long it is, it reads at once, and answers 408 when it does not come in time.
 */
export function limitBody(maxSize: number, clock: Clock): MiddlewareHandler {
  const tooLarge = () =>
    new FilesyncError({
      code: "too-large",
      operation: "read the body",
      reason: `it has more than ${maxSize} bytes`,
      hint: "Send it in several requests",
      permanent: true,
    });
  return async function limitBody(c, next) {
    const length = lengthOf(c);
    if (length !== undefined && length > maxSize) throw tooLarge();
    if (c.req.raw.body !== null && (length === undefined || maxSize <= MAX_JSON_BYTES)) {
      const kept: Uint8Array<ArrayBuffer>[] = [];
      let size = 0;
      for await (const piece of bodyPieces(c, clock)) {
        size += piece.length;
        if (size > maxSize) throw tooLarge();
        kept.push(piece);
      }
      // Hono keeps promises there, whatever their types say, and makes text and JSON of it.
      c.req.bodyCache.arrayBuffer = new Blob(kept).arrayBuffer() as unknown as ArrayBuffer;
    }
    await next();
  };
}

/**
 * Reads a framed body and gives what makes its frames: unpacked they may be many times as big, so that one may wait
 * with that. `lend` as for {@linkcode readBody}.
 *
 * @throws {FilesyncError} `unsupported` when it is not framed; the frames `bad-request` when they are malformed.
 */
export async function readFramed(
  c: Context,
  clock: Clock,
  lend?: LentMemory["take"],
): Promise<() => Promise<Frame[]>> {
  requireType(c, FRAMES_TYPE);
  const coding = requireCoding(c, ["identity", CODING]);
  const body = await readBody(c, clock, lend);
  return async () => decodeFrames(coding === CODING ? await decompress(body, MAX_FRAMED_BYTES) : body);
}

/** The frames of the body, as {@linkcode readFramed} reads it. */
export async function readFrames(c: Context, clock: Clock): Promise<Frame[]> {
  return await (await readFramed(c, clock))();
}

/**
 * The whole body, of a route with {@linkcode limitBody}. Throws `bad-request` when it breaks off, `timeout`
 * when it does not come in time.
 *
 * @param lend Gives the memory for so many bytes. Memory that was used before is several times as fast as new.
 */
export async function readBody(
  c: Context,
  clock: Clock,
  lend: LentMemory["take"] = (length) => new Uint8Array(length),
): Promise<Uint8Array<ArrayBuffer>> {
  const length = lengthOf(c);
  if (length === undefined || c.req.bodyCache.arrayBuffer !== undefined) {
    return new Uint8Array(await c.req.arrayBuffer());
  }
  // As a stream it takes a fraction of the memory and time of `arrayBuffer`.
  const body = lend(length);
  let filled = 0;
  for await (const piece of bodyPieces(c, clock)) {
    if (filled + piece.length > length) throw brokenOff(new RangeError("The body is longer than it says"));
    body.set(piece, filled);
    filled += piece.length;
  }
  if (filled < length) throw brokenOff(new RangeError("The body is shorter than it says"));
  return body;
}

/** The body in pieces. Throws `bad-request` when it breaks off, `timeout` when it does not come in time. */
export async function* bodyPieces(c: Context, clock: Clock): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (c.req.raw.body === null) return;
  const reader = c.req.raw.body.getReader();
  const ended = new AbortController();
  let bytes = 0;
  // One timer for all pieces: they are many.
  const late = (async function watch(): Promise<never> {
    const steady = steadyClock(clock);
    const began = steady.now();
    for (let seen = -1, seenAt = began;;) {
      await steady.sleep(WATCH_MS, ended.signal);
      if (bytes > seen) [seen, seenAt] = [bytes, steady.now()];
      const allowed = Math.min(
        seenAt + PATIENCE_MS,
        began + PATIENCE_MS + 1_000 * bytes / SLOWEST_BYTES_PER_SECOND,
      );
      if (steady.now() >= allowed) throw tooSlow();
    }
  })();
  // Nobody listens to it between two pieces, nor at the end.
  late.catch(() => {});
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) return;
      bytes += value.length;
      yield value;
    }
  } catch (error) {
    throw brokenOff(error);
  } finally {
    ended.abort();
    c.set(RECEIVED, bytes);
    // Not waited for: what is late may never come.
    reader.cancel().catch(() => {});
  }
}

/** How long the body says that it is; `undefined` when it does not, or not in numbers. */
function lengthOf(c: Context): number | undefined {
  const given = c.req.header("content-length");
  return given !== undefined && /^\d{1,15}$/.test(given) ? Number(given) : undefined;
}

function tooSlow(): FilesyncError {
  return new FilesyncError({
    code: "timeout",
    operation: "read the body",
    reason: `it paused, or came more slowly than ${SLOWEST_BYTES_PER_SECOND} bytes a second`,
    hint: "Send it in smaller parts, or over a faster line",
  });
}

/** What a runtime throws when a client goes away has no name of its own; what else can go wrong has. */
function brokenOff(error: unknown): unknown {
  if (error instanceof FilesyncError) return error;
  return new FilesyncError({
    code: "bad-request",
    operation: "read the body",
    reason: "it broke off",
    cause: error,
  });
}

/** The coding of the body; throws `unsupported` unless it is one of `known`. */
export function requireCoding(c: Context, known: readonly string[]): string {
  const coding = c.req.header("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (known.includes(coding)) return coding;
  throw new FilesyncError({
    code: "unsupported",
    operation: "read the body",
    reason: `its coding is ${coding.slice(0, 80)}`,
    hint: ["Send it as it is", ...known.slice(1).map((name) => `compressed with ${name}`)].join(", or "),
    permanent: true,
  });
}

/** Throws `unsupported` unless the body has the media type `type`. */
export function requireType(c: Context, type: string): void {
  const given = c.req.header("content-type")?.split(";")[0].trim().toLowerCase();
  if (given === type) return;
  throw new FilesyncError({
    code: "unsupported",
    operation: "read the body",
    reason: `its media type is ${given?.slice(0, 80) ?? "not given"}`,
    hint: `Send it as ${type}`,
    permanent: true,
  });
}
