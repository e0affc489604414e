/** Reads and checks the bodies of requests. @module */
import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { FilesyncError } from "../core/errors.ts";
import { CODING, decompress } from "../transport/compression.ts";
import type { LentMemory } from "../transport/spare_memory.ts";
import { decodeFrames, type Frame, FRAMES_TYPE } from "../core/frames.ts";

/** Most bytes of a framed body: the content of a batch, and room for its headers. */
export const MAX_FRAMED_BYTES = 32 << 20;

/** Most bytes of a JSON body. */
export const MAX_JSON_BYTES = 1 << 20;

/** A middleware that answers 413 to a body of more than `maxSize` bytes. */
export function limitBody(maxSize: number): MiddlewareHandler {
  const limit = bodyLimit({
    maxSize,
    onError() {
      throw new FilesyncError({
        code: "too-large",
        operation: "read the body",
        reason: `it has more than ${maxSize} bytes`,
        hint: "Send it in several requests",
        permanent: true,
      });
    },
  });
  return async function limitBody(c, next) {
    let hasPassed = false;
    try {
      return await limit(c, () => {
        hasPassed = true;
        return next();
      });
    } catch (error) {
      // Before it lets it pass, it may have read all of a body that does not say how long it is.
      throw hasPassed ? error : brokenOff(error);
    }
  };
}

/** The frames of the body; `lend` as for {@linkcode readBody}. Throws `unsupported` when it is not framed, `bad-request` when it is malformed. */
export async function readFrames(c: Context, lend?: LentMemory["take"]): Promise<Frame[]> {
  requireType(c, FRAMES_TYPE);
  const coding = c.req.header("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (coding !== "identity" && coding !== CODING) {
    throw new FilesyncError({
      code: "unsupported",
      operation: "read the body",
      reason: `its coding is ${coding.slice(0, 80)}`,
      hint: `Send it as it is, or compressed with ${CODING}`,
      permanent: true,
    });
  }
  const body = await readBody(c, lend);
  return decodeFrames(coding === CODING ? await decompress(body, MAX_FRAMED_BYTES) : body);
}

/**
 * The whole body. Throws `bad-request` when it breaks off.
 *
 * @param lend Gives the memory for so many bytes. Memory that was used before is several times as fast as new.
 */
export async function readBody(
  c: Context,
  lend: LentMemory["take"] = (length) => new Uint8Array(length),
): Promise<Uint8Array<ArrayBuffer>> {
  const length = Number(c.req.header("content-length") ?? NaN);
  if (!Number.isSafeInteger(length)) return await wholeBody(c);
  // As a stream it takes a fraction of the memory and time of `arrayBuffer`.
  const body = lend(length);
  let filled = 0;
  for await (const piece of bodyPieces(c)) {
    if (filled + piece.length > length) throw brokenOff(new RangeError("The body is longer than it says"));
    body.set(piece, filled);
    filled += piece.length;
  }
  if (filled < length) throw brokenOff(new RangeError("The body is shorter than it says"));
  return body;
}

async function wholeBody(c: Context): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await c.req.arrayBuffer());
  } catch (error) {
    throw brokenOff(error);
  }
}

/** The body in pieces. Throws `bad-request` when it breaks off. */
export async function* bodyPieces(c: Context): AsyncGenerator<Uint8Array> {
  try {
    if (c.req.raw.body !== null) yield* c.req.raw.body;
  } catch (error) {
    throw brokenOff(error);
  }
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

/** Throws `unsupported` unless the body has the media type `type`. */
export function requireType(c: Context, type: string): void {
  const given = c.req.header("content-type")?.split(";")[0].trim().toLowerCase();
  if (given === type) return;
  throw new FilesyncError({
    code: "unsupported",
    operation: "read the body",
    reason: `its media type is ${given ?? "not given"}`,
    hint: `Send it as ${type}`,
    permanent: true,
  });
}
