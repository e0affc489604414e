/** Errors as RFC 9457 problem documents. @module */
import { HTTPException } from "hono/http-exception";
import { type ErrorCode, FilesyncError, toFilesyncError } from "../core/errors.ts";
import { problemOf } from "../core/problem.ts";
import { PROBLEM_TYPE } from "../core/wire.ts";
import { withoutPlace } from "./untold_place.ts";

/** The status that each code is answered with. */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
  "bad-path": 400,
  "bad-range": 416,
  "bad-request": 400,
  brake: 409,
  conflict: 409,
  "content-missing": 409,
  "digest-mismatch": 422,
  "disk-full": 507,
  "exists-unknown": 409,
  indexing: 503,
  internal: 500,
  io: 500,
  locked: 423,
  "not-found": 404,
  permission: 403,
  "read-only": 403,
  timeout: 408,
  "too-large": 413,
  "too-many": 429,
  unauthorized: 401,
  unreachable: 502,
  unsupported: 415,
  upgrade: 426,
  usage: 400,
};

const TITLE: Partial<Record<ErrorCode, string>> = {
  "bad-path": "The path cannot be inside a tree",
  "bad-request": "The request is malformed",
  conflict: "Something stands in the way",
  "content-missing": "The content must be sent first",
  "digest-mismatch": "The bytes are not what their digest says",
  "disk-full": "The disk is full",
  indexing: "The files are still being read",
  "not-found": "There is no such thing",
  "read-only": "Nothing may be changed here",
  timeout: "The body took too long",
  "too-large": "The body is too large",
  "too-many": "Too many tries",
  unauthorized: "A token is needed",
};

/** The status of the answer to a request that failed so. */
export function statusOf({ code }: FilesyncError): number {
  return STATUS[code];
}

/**
 * The answer to a request that failed with `error`.
 *
 * @param place What is served; its path is left out.
 */
export function problemResponse(error: unknown, place?: string): Response {
  const failure = failureOf(error);
  const status = statusOf(failure);
  const { message, retryAfter, ...problem } = problemOf(failure);
  const headers = new Headers({ "content-type": PROBLEM_TYPE });
  if (retryAfter !== undefined) headers.set("retry-after", String(Math.ceil(retryAfter / 1_000)));
  if (status === 401) headers.set("www-authenticate", `Bearer realm="filesync"`);
  const body = {
    type: `urn:filesync:problem:${failure.code}`,
    title: TITLE[failure.code] ?? "The request could not be carried out",
    status,
    detail: withoutPlace(message, place),
    ...problem,
  };
  return new Response(JSON.stringify(body), { status, headers });
}

function failureOf(error: unknown): FilesyncError {
  if (!(error instanceof HTTPException)) return toFilesyncError("answer the request", error);
  // Hono throws it at bodies that it cannot read, such as malformed JSON.
  return new FilesyncError({
    code: "bad-request",
    operation: "read the request",
    reason: error.message,
    permanent: true,
    cause: error,
  });
}
