/** `/v1/files/*`, `/v1/directories/*`, `/v1/links/*`, `/v1/entries/*`: one path at a time, for scripts. @module */
import { decodeBase64 } from "@std/encoding";
import { type Context, Hono } from "hono";
import * as v from "valibot";
import { chunkingByName } from "../chunking/chunker.ts";
import { type Digest, digestFromBytes } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { nameFault, parsePath, type TreePath } from "../core/path.ts";
import { actionSchema, parseWire, SESSION_HEADER } from "../core/wire.ts";
import { stageStream } from "../transport/stage_stream.ts";
import type { RouteContext } from "./app.ts";
import { applyOne } from "./apply_one.ts";
import { contentAnswer } from "./content_answer.ts";
import { checked } from "./json_body.ts";
import { bodyPieces, limitBody, MAX_JSON_BYTES, readBody, requireCoding } from "./request_body.ts";

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
    c.header("last-modified", new Date(entry.mtime).toUTCString());
    return await contentAnswer(c, entry, (range) => receiver.read(path, range));
  });

  app.put("/files/*", async (c) => {
    const path = pathOf(c, "files");
    requireWhole(c);
    const promised = digestOf(c.req.header("repr-digest") ?? c.req.header("content-digest"));
    const { chunking } = await receiver.open();
    const length = Number(c.req.header("content-length") ?? 0);
    const { digest, size } = await stageStream(
      receiver,
      bodyPieces(c, clock),
      chunkingByName(chunking),
      length,
    );
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

  app.put("/directories/*", limitBody(MAX_JSON_BYTES, clock), async (c) => {
    const path = pathOf(c, "directories");
    const text = new TextDecoder().decode(await readBody(c, clock));
    const given = text === "" ? {} : parseWire(attributes, jsonOf(text), "the body");
    const action = parseWire(actionSchema, {
      type: "directory",
      path,
      mtime: given.mtime ?? clock.now(),
      mode: given.mode ?? 0o755,
    }, "the body");
    return c.json({ sequence: await applyOne(context, action, session(c)) });
  });

  app.put("/links/*", limitBody(MAX_JSON_BYTES, clock), checked("json", linkBody), async (c) => {
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
  const { pathname } = new URL(c.req.url);
  const prefix = `/v1/${collection}/`;
  // The address may name the route in another spelling than what matched it: `%761` for `v1`, or by way of `..`.
  const encoded = pathname.startsWith(prefix) ? pathname.slice(prefix.length) : "";
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

/** Throws unless the body is the content itself: a part of it, or another form, would replace the whole (RFC 9110, 14.5). */
function requireWhole(c: Context): void {
  requireCoding(c, ["identity"]);
  if (c.req.header("content-range") === undefined) return;
  throw new FilesyncError({
    code: "bad-request",
    operation: "write the file",
    reason: "the request has a part of it only",
    hint: "Send the whole content, without Content-Range",
    permanent: true,
  });
}

/**
 * The SHA-256 of an RFC 9530 digest field; other algorithms are passed over. One that is malformed is
 * refused: who sends a digest must not be left to believe that it was compared.
 */
function digestOf(header: string | undefined): Digest | undefined {
  if (header === undefined) return undefined;
  let digest: Digest | undefined;
  for (const member of header.split(",")) {
    const match = /^\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):\s*$/.exec(member);
    if (match === null) throw malformedDigest("it is not <algorithm>=:<base64>:");
    const [, algorithm, encoded] = match;
    if (algorithm !== "sha-256") continue;
    try {
      digest = digestFromBytes(decodeBase64(encoded));
    } catch {
      throw malformedDigest("it is not the base64 of 32 bytes");
    }
  }
  return digest;
}

function malformedDigest(reason: string): FilesyncError {
  return new FilesyncError({
    code: "bad-request",
    operation: "read the digest of the body",
    reason,
    permanent: true,
  });
}

function numberOf(c: Context, name: string): number | undefined {
  const text = c.req.query(name);
  return text === undefined || text === "" ? undefined : Number(text);
}

function jsonOf(text: string): unknown {
  try {
    const value = JSON.parse(text);
    if (!Array.isArray(value)) return value;
  } catch {
    // Told below.
  }
  throw new FilesyncError({
    code: "bad-request",
    operation: "read the body",
    reason: "it is not a JSON object",
    permanent: true,
  });
}

function notFound(verb: string, path: TreePath): FilesyncError {
  return new FilesyncError({
    code: "not-found",
    operation: `${verb} "${path}"`,
    reason: "it does not exist",
    permanent: true,
  });
}
