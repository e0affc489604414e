/** Framed answers about content that may not be here. @module */
import type { Context } from "hono";
import { encodeFrames, type Frame, FRAMES_TYPE } from "../core/frames.ts";

/** The frame that answers with what is asked of a content, or that it is not held. */
export function held(content: Uint8Array | undefined) {
  // Nothing here is in shared memory.
  const bytes = (content ?? new Uint8Array()) as Uint8Array<ArrayBuffer>;
  return { header: { held: content !== undefined }, content: bytes };
}

/** The answer that consists of `frames`. */
export function framed(c: Context, frames: Frame[]): Response {
  return c.body(encodeFrames(frames), 200, { "content-type": FRAMES_TYPE });
}
