import { assertEquals } from "@std/assert";
import { HTTPException } from "hono/http-exception";
import { type ErrorCode, FilesyncError } from "../core/errors.ts";
import { PROBLEM_TYPE } from "../core/wire.ts";
import { problemResponse } from "./problem_document.ts";

async function documentOf(error: unknown) {
  const response = problemResponse(error);
  return { response, document: await response.json() };
}

Deno.test("problemResponse() makes an RFC 9457 document", async () => {
  const { response, document } = await documentOf(
    new FilesyncError({
      code: "not-found",
      operation: 'read "a"',
      reason: "it does not exist",
      hint: "Look elsewhere",
      permanent: true,
    }),
  );
  assertEquals(response.headers.get("content-type"), PROBLEM_TYPE);
  assertEquals(document, {
    type: "urn:filesync:problem:not-found",
    title: "There is no such thing",
    status: 404,
    detail: 'Cannot read "a": it does not exist',
    code: "not-found",
    hint: "Look elsewhere",
    permanent: true,
  });
});

Deno.test("problemResponse() gives every code a status", async () => {
  const statuses: Record<ErrorCode, number> = {
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
  for (const [code, status] of Object.entries(statuses)) {
    const { response, document } = await documentOf(
      new FilesyncError({ code: code as ErrorCode, operation: "x", reason: "y" }),
    );
    assertEquals([response.status, document.status, document.type], [
      status,
      status,
      `urn:filesync:problem:${code}`,
    ]);
    assertEquals(typeof document.title, "string");
  }
});

Deno.test("problemResponse() says in whole seconds when to come again", async () => {
  const { response, document } = await documentOf(
    new FilesyncError({ code: "indexing", operation: "x", reason: "y", retryAfter: 1_001 }),
  );
  assertEquals([response.headers.get("retry-after"), document.retryAfter], ["2", undefined]);
});

Deno.test("problemResponse() takes what Hono throws at a body for the fault of the request", async () => {
  const { response, document } = await documentOf(new HTTPException(400, { message: "Malformed JSON" }));
  assertEquals([response.status, document.code, document.permanent], [400, "bad-request", true]);
});

Deno.test("problemResponse() takes any other error for a fault of ours", async () => {
  for (const thrown of [new TypeError("x is not a function"), "text"]) {
    assertEquals((await documentOf(thrown)).response.status, 500);
  }
});
