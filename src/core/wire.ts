/**
 * What both ends of the wire say to each other, version 1. The shapes are
 * checked where they come in; what passes is of the program's own types.
 *
 * @module
 */
import * as v from "valibot";
import type { Action } from "./action.ts";
import { type ClientStatus, MAX_TOLD_PATH, MAX_TOLD_PROBLEMS, MAX_TOLD_TEXT } from "./client_status.ts";
import type { Entry } from "./entry.ts";
import { type Digest, isDigest } from "./digest.ts";
import type { Expectation } from "./expectation.ts";
import { type ErrorCode, FilesyncError } from "./errors.ts";
import { pathFault, type TreePath } from "./path.ts";

/** The version of the protocol; ends that differ in it refuse each other. */
export const PROTOCOL = 1;

/** Names the client's session, in requests. */
export const SESSION_HEADER = "Filesync-Session";

/** Names a request. The server repeats it with its answer, so that no answer passes for that to another request. */
export const REQUEST_HEADER = "Filesync-Request";

/** Says how long the server was at work, beside the way to it and back: `work;dur=` milliseconds. */
export const TIMING_HEADER = "Server-Timing";

/** The media type of a list with one JSON value a line. */
export const LINES_TYPE = "application/x-ndjson";

/** `urn:filesync:problem:<code>` is the `type` of a problem document. */
export const PROBLEM_TYPE = "application/problem+json";

/** A point in time that a file system can hold: milliseconds, within 300,000 years of the epoch. */
const time = v.pipe(v.number(), v.integer(), v.minValue(-8.64e15), v.maxValue(8.64e15));
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const mode = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0o7777));
const digest = v.custom<Digest>(isDigest, "is not 64 lower-case hexadecimal digits");
/** Most bytes of a link's target: `PATH_MAX` of Linux. */
const target = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxBytes(4095),
  v.check((text) => !text.includes("\0"), "has NUL"),
);

/** A path; the reason in the message is {@linkcode pathFault}'s. */
export const pathSchema: v.GenericSchema<unknown, TreePath> = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const fault = pathFault(dataset.value);
    if (fault === undefined) return dataset.value as TreePath;
    addIssue({ message: fault });
    return NEVER;
  }),
);

/** What an action expects at its path. */
const expected: v.GenericSchema<unknown, Expectation | undefined> = v.optional(v.variant("kind", [
  v.object({ kind: v.literal("nothing") }),
  v.object({ kind: v.literal("file"), digest }),
  v.object({ kind: v.literal("symlink"), target: v.string() }),
  v.object({ kind: v.literal("directory") }),
  v.object({ kind: v.literal("undamaged") }),
]));

/** One action. */
export const actionSchema: v.GenericSchema<unknown, Action> = v.variant("type", [
  v.object({ type: v.literal("put"), path: pathSchema, size, mtime: time, mode, digest, expected }),
  v.object({ type: v.literal("directory"), path: pathSchema, mtime: time, mode, expected }),
  v.object({ type: v.literal("symlink"), path: pathSchema, mtime: time, target, expected }),
  v.object({ type: v.literal("remove"), path: pathSchema, expected }),
  v.object({ type: v.literal("move"), path: pathSchema, from: pathSchema, expected }),
]);

/** The header of the first frame of a batch; the content of small files follows, one a frame. */
export const batchHeaderSchema = v.object({
  key: v.pipe(v.string(), v.minLength(8), v.maxLength(100)),
  actions: v.array(actionSchema),
});

/**
 * The header of a frame that carries content: a chunk, or a whole small file; in a batch also a delta,
 * encoded, that makes the content of another.
 */
export const contentHeaderSchema = v.object({ digest, delta: v.optional(v.boolean(), false) });

/** The header of a frame with chunks of an offered content, one after the other, from a position in its manifest. */
export const runHeaderSchema = v.object({ content: digest, first: size });

/** The header of a frame that offers content; its packed manifest is the frame's content when `chunked`. */
export const offerHeaderSchema = v.object({ digest, size, chunked: v.boolean() });

/** The header of a frame that asks for signatures; the packed ranges are the frame's content. */
export const signatureHeaderSchema = v.object({ content: digest, blockSize: size });

/** The header of a frame that asks for parts of a content; the packed ranges are the frame's content. */
export const pieceHeaderSchema = v.object({ content: digest });

/** The header of a frame that answers with what is asked of a content, if it is held. */
export const heldHeaderSchema = v.object({ held: v.boolean() });

/** The body of `POST /v1/manifests`: for the groups of a manifest, or for the chunks of some groups. */
export const manifestSchema = v.union([
  v.strictObject({ digest, groups: v.array(size) }),
  v.strictObject({ digest }),
  v.strictObject({ path: pathSchema }),
]);

/** The header of a frame with the packed groups of a manifest. */
export const groupsHeaderSchema = v.object({ digest, size });

/** A problem; what the code is, is not checked: a newer receiver may know more. */
const problemSchema = v.object({
  code: v.custom<ErrorCode>((code) => typeof code === "string"),
  path: v.exactOptional(v.string()),
  message: v.string(),
  hint: v.exactOptional(v.string()),
  permanent: v.boolean(),
  retryAfter: v.exactOptional(v.number()),
});

/** What a client says when it comes. */
export const helloSchema = v.object({
  protocol: v.number(),
  /** Shown to people: `user@host:/directory`. */
  client: v.optional(v.pipe(v.string(), v.maxLength(300)), ""),
  version: v.optional(v.pipe(v.string(), v.maxLength(50)), ""),
});

const toldText = v.pipe(v.string(), v.maxLength(MAX_TOLD_TEXT));
const toldPath = v.pipe(v.string(), v.maxLength(MAX_TOLD_PATH));

/** The body of `POST /v1/status`. */
export const clientStatusSchema: v.GenericSchema<unknown, ClientStatus> = v.object({
  waiting: v.object({ actions: size, bytes: size }),
  problems: v.pipe(
    v.array(v.object({
      code: v.custom<ErrorCode>((code) => typeof code === "string" && code.length <= 50),
      path: v.exactOptional(toldPath),
      message: toldText,
      hint: v.exactOptional(toldText),
      permanent: v.boolean(),
      retryIn: v.exactOptional(size),
      attempts: v.exactOptional(size),
    })),
    v.maxLength(MAX_TOLD_PROBLEMS),
  ),
  problemCount: size,
  progress: v.exactOptional(v.object({
    doneItems: size,
    totalItems: size,
    doneBytes: size,
    totalBytes: size,
    current: v.exactOptional(toldPath),
  })),
  brake: v.exactOptional(toldText),
});

/** The answer of `POST /v1/status`. */
export const statusAnswerSchema = v.object({ known: v.boolean() });

/** One entry of a tree. */
export const entrySchema: v.GenericSchema<unknown, Entry> = v.variant("kind", [
  v.object({ kind: v.literal("file"), path: pathSchema, size, mtime: time, mode, digest }),
  v.object({ kind: v.literal("directory"), path: pathSchema, mtime: time, mode }),
  v.object({ kind: v.literal("symlink"), path: pathSchema, mtime: time, target: v.string() }),
]);

/** What a receiver says of itself. */
const receiverInfo = {
  indexId: v.string(),
  sequence: size,
  hasContents: v.boolean(),
  chunking: v.string(),
  maxBatchBytes: v.pipe(size, v.minValue(1)),
  maxBatchItems: v.pipe(size, v.minValue(1)),
  rootId: v.optional(v.string(), ""),
  foldsNames: v.optional(v.boolean(), false),
};

/**
 * The version of the protocol that an answer to a hello names: before the rest is understood, which another version
 * may word otherwise.
 */
export const spokenSchema = v.looseObject({ protocol: v.optional(v.number(), PROTOCOL) });

/** Why two ends that speak `client` and `server` cannot talk, and which of them has to be upgraded. */
export function protocolMismatch(client: number, server: number): FilesyncError {
  return new FilesyncError({
    code: "upgrade",
    operation: "begin a session",
    reason: `the client speaks version ${client} of the protocol, the server version ${server}`,
    hint: `Upgrade ${client < server ? "the client" : "the server"}`,
    permanent: true,
  });
}

/** The answer to a hello. */
export const welcomeSchema = v.object({ session: v.pipe(v.string(), v.minLength(1)), ...receiverInfo });

/** One line of the answer of `POST /v1/refresh`: that it goes on, or how it ended. */
export const refreshLineSchema = v.union([
  v.strictObject({ going: v.literal(true) }),
  v.strictObject({ problem: problemSchema }),
  v.strictObject({ info: v.object({ ...receiverInfo, problems: v.array(problemSchema) }) }),
]);

/** The body of `POST /v1/move`. */
export const moveSchema = v.object({ from: pathSchema, to: pathSchema });

/** The query of `GET /v1/tree`. */
export const treeQuerySchema = v.object({ under: v.optional(pathSchema) });

/** The query of `GET /v1/history`. */
export const historyQuerySchema = v.object({
  under: v.optional(pathSchema),
  touching: v.optional(pathSchema),
  before: v.optional(v.pipe(v.string(), v.digits(), v.toNumber())),
  limit: v.optional(v.pipe(v.string(), v.digits(), v.toNumber(), v.minValue(1), v.maxValue(10_000))),
});

/** The query of `GET /v1/versions`. */
export const versionsQuerySchema = v.omit(historyQuerySchema, ["touching"]);

/** The query of `GET /v1/versions/tree`: the moment, milliseconds since the epoch, and what is asked for. */
export const treeAtQuerySchema = v.object({
  at: v.pipe(v.string(), v.digits(), v.toNumber(), v.safeInteger()),
  under: v.optional(pathSchema),
});

/** The answer of `GET /v1/versions`. */
export const keptPageSchema = v.object({
  versions: v.array(v.object({
    id: size,
    keptAt: time,
    cause: v.picklist(["replaced", "removed", "moved"]),
    since: time,
    entry: entrySchema,
  })),
  completeSince: time,
});

/** What is missing of an offer, on the wire: positions in the manifest as half-open ranges. */
export type WireNeed = "nothing" | "whole" | [start: number, end: number][];

/** Positions as half-open ranges. `positions` must rise. */
export function toRanges(positions: readonly number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const position of positions) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === position) last[1]++;
    else ranges.push([position, position + 1]);
  }
  return ranges;
}

/** The positions in half-open ranges. */
export function fromRanges(ranges: readonly [number, number][]): number[] {
  return ranges.flatMap(([start, end]) => Array.from({ length: end - start }, (_, i) => start + i));
}

/**
 * Checks a value that came over the wire.
 *
 * @throws {FilesyncError} `bad-request`, or `bad-path` when it is a path that is at fault.
 */
export function parseWire<T>(schema: v.GenericSchema<unknown, T>, value: unknown, what: string): T {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  throw wireFault(what, result.issues);
}

/** The error that the first of `issues` is. */
export function wireFault(what: string, issues: readonly v.BaseIssue<unknown>[]): FilesyncError {
  const issue = issues[0];
  const where = v.getDotPath(issue);
  return new FilesyncError({
    code: issue.type === "raw_transform" ? "bad-path" : "bad-request",
    operation: `read ${what}`,
    reason: (where === null ? "" : `${where}: `) + issue.message,
    permanent: true,
  });
}
