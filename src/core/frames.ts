/**
 * The framed binary type of the wire protocol, version 1: a body is a sequence
 * of frames, each
 *
 *     u32 little-endian  length of the header in bytes
 *     u32 little-endian  length of the content in bytes
 *     header             JSON, UTF-8
 *     content            bytes
 *
 * @module
 */
import { FilesyncError } from "./errors.ts";

/** The media type of a framed body. */
export const FRAMES_TYPE = "application/vnd.filesync.frames";

/** Bytes of the two lengths. */
const PREFIX_BYTES = 8;

/** A header with content beside it. */
export interface Frame {
  header: unknown;
  content: Uint8Array<ArrayBuffer>;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * The body that `frames` are sent as.
 *
 * @param lend Gives the memory for so many bytes.
 */
export function encodeFrames(
  frames: readonly Frame[],
  lend: (length: number) => Uint8Array<ArrayBuffer> = (length) => new Uint8Array(length),
): Uint8Array<ArrayBuffer> {
  const headers = frames.map(({ header }) => encoder.encode(JSON.stringify(header)));
  const length = frames.reduce(
    (sum, { content }, i) => sum + PREFIX_BYTES + headers[i].length + content.length,
    0,
  );
  const body = lend(length);
  const view = new DataView(body.buffer, body.byteOffset, length);
  let at = 0;
  frames.forEach(({ content }, i) => {
    view.setUint32(at, headers[i].length, true);
    view.setUint32(at + 4, content.length, true);
    body.set(headers[i], at + PREFIX_BYTES);
    body.set(content, at + PREFIX_BYTES + headers[i].length);
    at += PREFIX_BYTES + headers[i].length + content.length;
  });
  return body;
}

/**
 * The frames in `body`; their contents are views of it.
 *
 * @throws {FilesyncError} `bad-request` when the body ends inside a frame, or a header is not JSON.
 */
export function decodeFrames(body: Uint8Array<ArrayBuffer>): Frame[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const frames: Frame[] = [];
  let at = 0;
  while (at < body.length) {
    if (at + PREFIX_BYTES > body.length) throw malformed("it ends inside the lengths of a frame");
    const headerEnd = at + PREFIX_BYTES + view.getUint32(at, true);
    const contentEnd = headerEnd + view.getUint32(at + 4, true);
    if (contentEnd > body.length) throw malformed("it ends inside a frame");
    let header: unknown;
    try {
      header = JSON.parse(decoder.decode(body.subarray(at + PREFIX_BYTES, headerEnd)));
    } catch {
      throw malformed("the header of a frame is not JSON");
    }
    frames.push({ header, content: body.subarray(headerEnd, contentEnd) });
    at = contentEnd;
  }
  return frames;
}

function malformed(reason: string): FilesyncError {
  return new FilesyncError({
    code: "bad-request",
    operation: "read the framed body",
    reason,
    permanent: true,
  });
}
