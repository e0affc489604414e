/** `/v1/files/*`, `/v1/directories/*`, `/v1/links/*`, `/v1/entries/*`: one path at a time, for scripts. @module */
import { decodeBase64, encodeBase64 } from "@std/encoding";
import { type Context, Hono } from "hono";
import * as v from "valibot";
import { chunkingByName } from "../chunking/chunker.ts";
import { digestFromBytes, digestToBytes } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { nameFault, parsePath, type TreePath } from "../core/path.ts";
import { actionSchema, parseWire, SESSION_HEADER } from "../core/wire.ts";
import { stageStream } from "../transport/stage_stream.ts";
import type { RouteContext } from "./app.ts";
import { applyOne } from "./apply_one.ts";
import { checked } from "./json_body.ts";
import { limitBody, MAX_JSON_BYTES } from "./request_body.ts";

const attributes = v.object({ mtime: v.optional(v.number()), mode: v.optional(v.number()) });
const linkBody = v.object({ target: v.string(), mtime: v.optional(v.number()) });

export function entryRoutes(context: RouteContext): Hono {
  const { receiver, clock } = context;
  const app = new Hono();
  const session = (c: Context) => c.req.header(SESSION_HEADER);

  app.get("/entries/*", async (c) => c.json({ entry: await receiver.entry(pathOf(c, "entries")) ?? null }));

  app.get("/files/*", async (c) => {
    const path = pathOf(c, "files");
    const entry = await receiver.entry(path);
    if (entry?.kind !== "file") throw notFound("read", path);
    const range = rangeOf(c.req.header("range"), entry.size);
    const { start, end } = range ?? { start: 0, end: entry.size };
    c.header("content-type", "application/octet-stream");
    c.header("content-length", String(end - start));
    c.header("accept-ranges", "bytes");
    c.header("last-modified", new Date(entry.mtime).toUTCString());
    c.header("repr-digest", `sha-256=:${encodeBase64(digestToBytes(entry.digest))}:`);
    if (range !== undefined) c.header("content-range", `bytes ${start}-${end - 1}/${entry.size}`);
    return c.body(await receiver.read(path, { start, end }), range === undefined ? 200 : 206);
  });

  app.put("/files/*", async (c) => {
    const path = pathOf(c, "files");
    const promised = digestOf(c.req.header("repr-digest") ?? c.req.header("content-digest"));
    const { chunking } = await receiver.open();
    const length = Number(c.req.header("content-length") ?? 0);
    const body = c.req.raw.body ?? new Blob([]).stream();
    const { digest, size } = await stageStream(receiver, body, chunkingByName(chunking), length);
    if (promised !== undefined && promised !== digest) {
      throw new FilesyncError({
        code: "digest-mismatch",
        operation: `write "${path}"`,
        reason: "the content that arrived has another digest",
        hint: "Send it again",
        permanent: true,
      });
    }
    const action = parseWire(actionSchema, {
      type: "put",
      path,
      size,
      digest,
      mtime: numberOf(c, "mtime") ?? clock.now(),
      mode: numberOf(c, "mode") ?? 0o644,
    }, "the query");
    return c.json({ sequence: await applyOne(context, action, session(c)), digest, size });
  });

  app.delete("/files/*", async (c) => {
    const path = pathOf(c, "files");
    if (await receiver.entry(path) === undefined) throw notFound("remove", path);
    return c.json({ sequence: await applyOne(context, { type: "remove", path }, session(c)) });
  });

  app.put("/directories/*", limitBody(MAX_JSON_BYTES), async (c) => {
    const path = pathOf(c, "directories");
    const text = await c.req.text();
    const given = text === "" ? {} : parseWire(attributes, jsonOf(text), "the body");
    const action = parseWire(actionSchema, {
      type: "directory",
      path,
      mtime: given.mtime ?? clock.now(),
      mode: given.mode ?? 0o755,
    }, "the body");
    return c.json({ sequence: await applyOne(context, action, session(c)) });
  });

  app.put("/links/*", limitBody(MAX_JSON_BYTES), checked("json", linkBody), async (c) => {
    const { target, mtime = clock.now() } = c.req.valid("json");
    const action = parseWire(
      actionSchema,
      { type: "symlink", path: pathOf(c, "links"), target, mtime },
      "the body",
    );
    return c.json({ sequence: await applyOne(context, action, session(c)) });
  });

  return app;
}

/** The path in the address, decoded segment by segment, so that an encoded slash cannot make two of one. */
function pathOf(c: Context, collection: string): TreePath {
  const encoded = new URL(c.req.url).pathname.slice(`/v1/${collection}/`.length);
  const names = encoded.split("/").map((segment) => {
    try {
      return decodeURIComponent(segment);
    } catch {
      throw new FilesyncError({
        code: "bad-path",
        operation: `use the path ${JSON.stringify(encoded.slice(0, 200))}`,
        reason: "it is not percent-encoded UTF-8",
        permanent: true,
      });
    }
  });
  // parsePath would take a slash inside a name for a separator.
  const bad = names.find((name) => name.includes("/"));
  if (bad !== undefined) {
    throw new FilesyncError({
      code: "bad-path",
      operation: `use the path ${JSON.stringify(encoded.slice(0, 200))}`,
      reason: nameFault(bad)!,
      permanent: true,
    });
  }
  return parsePath(names.join("/"));
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

/** The SHA-256 of an RFC 9530 digest field; other algorithms are passed over. */
function digestOf(header: string | undefined) {
  const encoded = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):/.exec(header ?? "")?.[1];
  if (encoded === undefined) return undefined;
  try {
    return digestFromBytes(decodeBase64(encoded));
  } catch {
    throw new FilesyncError({
      code: "bad-request",
      operation: "read the digest of the body",
      reason: "it is not the base64 of 32 bytes",
      permanent: true,
    });
  }
}

function numberOf(c: Context, name: string): number | undefined {
  const text = c.req.query(name);
  return text === undefined || text === "" ? undefined : Number(text);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new FilesyncError({
      code: "bad-request",
      operation: "read the body",
      reason: "it is not JSON",
      permanent: true,
    });
  }
}

function notFound(verb: string, path: TreePath): FilesyncError {
  return new FilesyncError({
    code: "not-found",
    operation: `${verb} "${path}"`,
    reason: "it does not exist",
    permanent: true,
  });
}
