/**
 * What `--json` prints, as schemas: {@linkcode JSON_LINES}. They are kept from the commands themselves, which
 * would only start slower for them; a test has every command print, and compares. docs/JSON.md is made of them.
 *
 * @module
 */
import * as v from "valibot";

/** A schema with what it means. */
type Field = v.GenericSchema;

/** One kind of line. */
export interface JsonLineKind {
  type: string;
  /** Commands that print it. */
  from: readonly string[];
  /** One sentence without a full stop. */
  about: string;
  /** All of the object but `time` and `type`. */
  fields: Record<string, Field>;
}

/** Says what a field means. */
function about<const S extends Field>(schema: S, text: string) {
  return v.pipe(schema, v.description(text));
}

/** Gives a shape a name under which it is described once. */
function named<const S extends Field>(name: string, schema: S, text: string) {
  return v.pipe(schema, v.title(name), v.description(text));
}

const text = v.string();
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const bytes = count;
const path = about(v.string(), "below the tree, with slashes");
const moment = v.pipe(v.string(), v.isoTimestamp());
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/), v.description("SHA-256, hexadecimal"));
const millis = about(v.number(), "milliseconds since the epoch");
const seconds = about(v.number(), "seconds");
const permissions = about(count, "permission bits");
const optional = v.optional;

const FILE = { size: about(bytes, "bytes"), mtime: millis, mode: permissions, digest };

/** What stands at a path. */
const entryShapes = [
  v.strictObject({ kind: v.literal("file"), path, ...FILE }),
  v.strictObject({ kind: v.literal("directory"), path, mtime: millis, mode: permissions }),
  v.strictObject({ kind: v.literal("symlink"), path, mtime: millis, target: text }),
];
const entry = named("Entry", v.union(entryShapes), "what stands at a path");

const expected = optional(v.looseObject({ kind: v.string() }));
const action = named(
  "Action",
  v.union([
    v.strictObject({ type: v.literal("put"), path, ...FILE, expected }),
    v.strictObject({ type: v.literal("directory"), path, mtime: millis, mode: permissions, expected }),
    v.strictObject({ type: v.literal("symlink"), path, mtime: millis, target: text, expected }),
    v.strictObject({ type: v.literal("remove"), path, expected }),
    v.strictObject({
      type: v.literal("move"),
      path,
      from: about(v.string(), "where it was"),
      expected,
    }),
  ]),
  "one change to a destination; `expected` tells what a two-way sync saw there",
);

const PROBLEM = {
  code: about(text, "a stable name, such as `permission`"),
  path: optional(text),
  message: text,
  hint: optional(about(text, "what can be done")),
  permanent: about(v.boolean(), "whether trying again is of no use until something changes"),
  retryAfter: optional(about(v.number(), "milliseconds")),
};
const problem = named("Problem", v.strictObject(PROBLEM), "one path that could not be handled");

const HISTORY = {
  sequence: count,
  what: about(
    v.picklist(["put", "directory", "symlink", "remove", "move", "found", "found-gone"]),
    "`found…`: somebody else changed the tree",
  ),
  path,
  from: optional(about(text, "where a moved entry came from")),
  size: optional(bytes),
  digest: optional(digest),
};

const counts = named(
  "Counts",
  v.strictObject({
    put: optional(count),
    directory: optional(count),
    symlink: optional(count),
    remove: optional(count),
    move: optional(count),
  }),
  "how many actions of each kind",
);

const side = v.picklist(["source", "backup"]);
const SERVICE = {
  name: optional(text),
  scope: optional(v.picklist(["system", "user"])),
};
const words = about(v.array(v.array(text)), "commands, each as its words");

/** Every kind of line, in the order of the documentation. */
export const JSON_LINES: readonly JsonLineKind[] = [
  {
    type: "started",
    from: ["watch", "sync", "restore", "verify", "scan"],
    about: "A command has begun",
    fields: {
      command: text,
      source: optional(text),
      destination: optional(text),
      dryRun: optional(v.boolean()),
    },
  },
  {
    type: "progress",
    from: ["watch", "sync", "restore", "verify", "digest", "scan"],
    about: "How far it is, once a second at most; all is done when items are",
    fields: {
      doneItems: count,
      totalItems: about(v.nullable(count), "`null` while it is not known"),
      doneBytes: bytes,
      totalBytes: v.nullable(bytes),
      sentBytes: about(bytes, "what really went over the wire"),
      seconds: optional(seconds),
      current: optional(about(text, "the path in hand")),
    },
  },
  {
    type: "applied",
    from: ["watch", "sync", "restore"],
    about: "An action is done at the destination",
    fields: {
      action,
      sentBytes: optional(bytes),
      on: optional(about(side, "where, when both sides change")),
      dryRun: optional(about(v.boolean(), "it would be done, and was not")),
    },
  },
  {
    type: "conflict",
    from: ["sync"],
    about: "Both sides changed a path",
    fields: {
      path,
      winner: side,
      copy: optional(about(text, "where the other content is; else it is a version")),
    },
  },
  {
    type: "problem",
    from: ["watch", "serve", "sync", "restore", "verify", "digest", "scan"],
    about: "A path could not be handled; all else goes on",
    fields: { problem, retryAt: optional(about(moment, "when it is tried again")) },
  },
  {
    type: "notice",
    from: ["watch", "serve", "sync", "restore", "verify", "scan"],
    about: "Something worth knowing that is about no single path",
    fields: { level: v.picklist(["info", "warning"]), message: text, hint: optional(text) },
  },
  {
    type: "connection",
    from: ["watch", "sync"],
    about: "The way to the receiver opened or closed",
    fields: {
      state: v.picklist(["online", "offline", "indexing"]),
      detail: optional(text),
      retryAt: optional(moment),
    },
  },
  {
    type: "totals",
    from: ["watch", "sync", "restore"],
    about: "What was done in all",
    fields: {
      counts,
      bytes: about(bytes, "size of the files put"),
      sentBytes: bytes,
      savedBytes: optional(about(bytes, "what need not be sent")),
      seconds,
      problems: about(count, "how many are left"),
      dryRun: optional(v.boolean()),
      failed: optional(about(v.boolean(), "it broke off, and there was more to do")),
    },
  },
  {
    type: "version",
    from: ["sync"],
    about: "A version was made of a whole tree",
    fields: {
      number: count,
      of: v.picklist(["source", "backup", "served"]),
      digest,
      files: count,
      bytes,
      reason: text,
    },
  },
  {
    type: "version",
    from: ["versions"],
    about: "A version that is kept of a whole tree",
    fields: {
      number: count,
      name: optional(v.picklist(["latest", "previous"])),
      made: moment,
      digest,
      files: count,
      directories: count,
      symlinks: count,
      bytes,
      reason: text,
    },
  },
  {
    type: "path-version",
    from: ["versions"],
    about: "A version of one path",
    fields: { version: count, made: moment, entry, until: optional(moment) },
  },
  {
    type: "difference",
    from: ["versions"],
    about: "What a version changed at one path (`--diff`)",
    fields: { path, before: optional(entry), after: optional(entry) },
  },
  {
    type: "kept-version",
    from: ["versions"],
    about: "What was replaced or removed in a served tree",
    fields: {
      id: count,
      cause: about(text, "what was done to it"),
      gone: about(moment, "until when it stood there"),
      since: optional(moment),
      entry,
    },
  },
  {
    type: "verified",
    from: ["verify"],
    about: "What reading everything again has found",
    fields: {
      same: count,
      damaged: about(count, "files with other content, though neither size nor time says so"),
      changed: count,
      missing: count,
      added: count,
      damagedChunks: about(count, "of versions"),
      repaired: count,
      unreadable: count,
      seconds,
    },
  },
  {
    type: "digest",
    from: ["digest"],
    about: "One digest for all that is in a directory",
    fields: {
      digest,
      directory: text,
      files: count,
      directories: count,
      links: count,
      bytes,
      problems: count,
    },
  },
  {
    type: "entry",
    from: ["digest", "versions"],
    about: "A line of a listing: the fields of an [Entry](#entry-object) (`digest --list`, `versions --at`)",
    fields: {
      kind: v.picklist(["file", "directory", "symlink"]),
      path,
      mtime: millis,
      mode: optional(permissions),
      size: optional(bytes),
      digest: optional(digest),
      target: optional(text),
    },
  },
  {
    type: "listening",
    from: ["serve"],
    about: "The server is ready",
    fields: {
      url: text,
      directory: text,
      token: optional(about(text, "only when it was just made")),
      pin: optional(about(text, "of its certificate")),
      watchCommand: optional(about(text, "to type on the other machine")),
      dashboard: optional(about(text, "its address for browsers")),
      indexed: optional(v.strictObject({ files: count, bytes })),
    },
  },
  {
    type: "received",
    from: ["serve"],
    about: "The server changed its tree, or found it changed",
    fields: {
      record: named("Record", v.strictObject({ ...HISTORY, time: millis }), "one change of a served tree"),
      client: optional(about(text, "who sent it")),
    },
  },
  {
    type: "reload",
    from: ["serve", "watch"],
    about: "Settings are read again, or have been",
    fields: { done: v.boolean() },
  },
  {
    type: "change",
    from: ["history"],
    about: "A change at a destination; `time` is when it was made",
    fields: HISTORY,
  },
  {
    type: "status",
    from: ["status"],
    about: "How a push stands",
    fields: {
      source: text,
      destination: text,
      running: v.boolean(),
      connection: optional(v.strictObject({
        state: v.picklist(["online", "offline", "indexing"]),
        detail: optional(text),
        retryAt: optional(millis),
        hint: optional(about(v.string(), "what to do, when the push was refused")),
      })),
      known: v.strictObject({ entries: count, bytes }),
      waiting: v.strictObject({ actions: count, bytes }),
      nextTry: optional(millis),
      problems: v.array(v.strictObject({
        ...PROBLEM,
        since: millis,
        attempts: optional(count),
        nextTry: optional(millis),
      })),
      state: about(text, "the directory of what is remembered"),
    },
  },
  {
    type: "why",
    from: ["why"],
    about: "Why a path is, or is not, in step",
    fields: {
      path: about(text, "absolute"),
      destination: text,
      verdict: v.picklist(["in step", "waiting", "problem", "ignored", "not seen", "gone"]),
      reason: text,
      next: optional(about(text, "what can be done")),
    },
  },
  {
    type: "check",
    from: ["doctor"],
    about: "One thing that was looked at",
    fields: {
      name: text,
      verdict: v.picklist(["ok", "warn", "fail"]),
      detail: text,
      next: optional(about(text, "what can be done")),
    },
  },
  {
    type: "scanned",
    from: ["scan"],
    about: "A tree has been scanned into a catalog",
    fields: {
      root: text,
      scan: about(count, "the number of the scan"),
      files: count,
      directories: count,
      bytes,
      added: count,
      modified: count,
      removed: count,
      moved: count,
      bytesAdded: bytes,
      bytesModified: bytes,
      bytesRemoved: bytes,
      growth: about(v.number(), "by how many bytes all files together grew"),
      seconds,
      problems: count,
    },
  },
  {
    type: "change",
    from: ["changes"],
    about: "A change that a scan found; `time` is when the scan began",
    fields: {
      scan: count,
      kind: v.picklist(["added", "modified", "moved", "removed"]),
      path: about(text, "absolute"),
      from: optional(about(text, "where a moved file was")),
      oldSize: optional(bytes),
      newSize: optional(bytes),
      oldMtime: optional(moment),
      newMtime: optional(moment),
      oldFingerprint: optional(about(text, "BLAKE3, hexadecimal")),
      newFingerprint: optional(about(text, "BLAKE3, hexadecimal")),
    },
  },
  {
    type: "catalog",
    from: ["catalog"],
    about: "What was asked for is done",
    fields: { action: text, catalog: text },
  },
  {
    type: "service",
    from: ["service"],
    about: "`print`: what `install` would do",
    fields: {
      ...SERVICE,
      action: v.literal("print"),
      platform: v.picklist(["linux", "macos", "windows"]),
      directories: v.array(text),
      files: v.array(v.strictObject({ path: text, text, mode: optional(count) })),
      commands: words,
    },
  },
  {
    type: "service",
    from: ["service"],
    about: "`install`, `uninstall`, `start`, `stop`: what was done",
    fields: {
      ...SERVICE,
      action: v.picklist(["install", "uninstall", "start", "stop"]),
      state: optional(v.picklist(["started", "stopped"])),
      written: optional(v.array(text)),
      kept: optional(v.array(text)),
      removed: optional(v.array(text)),
      commands: optional(words),
      caution: optional(text),
      next: optional(about(text, "a command line")),
    },
  },
  {
    type: "service",
    from: ["service"],
    about: "`status`: how a service does",
    fields: {
      ...SERVICE,
      action: v.literal("status"),
      state: v.picklist(["running", "starting", "stopping", "stopped", "failed", "absent"]),
      detail: optional(text),
      pid: optional(count),
      restarts: optional(count),
      log: v.array(text),
    },
  },
  { type: "made", from: ["init"], about: "The settings file was made", fields: { path: text } },
  {
    type: "upgrade",
    from: ["upgrade"],
    about: "What is known of newer releases",
    fields: {
      version: about(text, "of this program"),
      target: text,
      from: optional(about(text, "the list that was asked")),
      newest: optional(text),
      archive: optional(about(text, "only of a newer one")),
      sha256: optional(digest),
    },
  },
  {
    type: "error",
    from: ["all, on stderr"],
    about: "Why the command failed",
    fields: {
      code: text,
      message: text,
      hint: text,
      permanent: v.boolean(),
      exitCode: count,
    },
  },
];

/** The schema of a whole line. */
export function lineSchema({ type, fields }: JsonLineKind): v.GenericSchema {
  return v.strictObject({ time: moment, type: v.literal(type), ...fields });
}

/**
 * What is wrong with a line; nothing when it is as one of its kinds.
 *
 * @param command What printed it.
 */
export function faultIn(line: Record<string, unknown>, command: string): string | undefined {
  const kinds = JSON_LINES.filter(({ type, from }) =>
    type === line.type && (from.includes(command) || type === "error")
  );
  const faults = kinds.map((kind) => {
    const { success, issues } = v.safeParse(lineSchema(kind), line);
    return success ? undefined : v.summarize(issues);
  });
  if (kinds.length === 0) return `${command} prints no line of the type "${line.type}"`;
  return faults.includes(undefined) ? undefined : faults[0];
}
