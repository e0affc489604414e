/** The answer that is a content, or the one range of it that was asked for. @module */
import { encodeBase64 } from "@std/encoding";
import type { Context } from "hono";
import { type Digest, digestToBytes } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";

/** Some bytes of a content: from `start` to before `end`. */
interface Range {
  start: number;
  end: number;
}

/**
 * Answers with a content, by way of `read`; its digest goes along as RFC 9530 `Repr-Digest`.
 *
 * @throws {FilesyncError} `bad-range` when the range that is asked for is not within it.
 */
export async function contentAnswer(
  c: Context,
  { digest, size }: { digest: Digest; size: number },
  read: (range?: Range) => Promise<ReadableStream<Uint8Array<ArrayBuffer>>>,
): Promise<Response> {
  // No answer of ours has a validator that `If-Range` could name: who is unsure what it has of it gets the whole.
  const range = c.req.header("if-range") === undefined ? rangeOf(c.req.header("range"), size) : undefined;
  const { start, end } = range ?? { start: 0, end: size };
  // Of a stream that HEAD is answered without nobody would close the file.
  const body = c.req.method === "HEAD" ? null : await read(size === 0 ? undefined : { start, end });
  // Only now that it can be had: an answer which says that it cannot must not be taken for it.
  c.header("content-type", "application/octet-stream");
  c.header("content-length", String(end - start));
  c.header("accept-ranges", "bytes");
  c.header("repr-digest", `sha-256=:${encodeBase64(digestToBytes(digest))}:`);
  if (range !== undefined) c.header("content-range", `bytes ${start}-${end - 1}/${size}`);
  const status = range === undefined ? 200 : 206;
  return body === null ? c.body(null, status) : c.body(body, status);
}

/** The one range asked for, or `undefined` for the whole; several ranges are answered with the whole, as RFC 9110 allows. */
function rangeOf(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (match === null || match[0] === "bytes=-") return undefined;
  const [, first, last] = match;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  if (start < end) return { start, end };
  throw new FilesyncError({
    code: "bad-range",
    operation: "read a part of the file",
    reason: `the range ${JSON.stringify(header)} is not within its ${size} bytes`,
    permanent: true,
  });
}
