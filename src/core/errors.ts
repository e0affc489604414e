/**
 * The errors of the program. An error says what was being done, to what, why it
 * failed, whether trying again can help, and what the user can do next.
 *
 * @module
 */

/** Exit codes of the command line. */
export const EXIT = {
  done: 0,
  problems: 1,
  usage: 2,
  unreachable: 3,
  brake: 4,
  interrupted: 130,
} as const;

/** Stable names of what can go wrong; part of the wire protocol, version 1. */
export type ErrorCode =
  | "bad-path"
  | "bad-range"
  | "bad-request"
  | "brake"
  | "conflict"
  | "content-missing"
  | "digest-mismatch"
  | "disk-full"
  | "exists-unknown"
  | "indexing"
  | "internal"
  | "io"
  | "locked"
  | "not-found"
  | "permission"
  | "read-only"
  | "timeout"
  | "too-large"
  | "too-many"
  | "unauthorized"
  | "unreachable"
  | "unsupported"
  | "upgrade"
  | "usage";

/** What every {@linkcode FilesyncError} is made of. */
export interface ErrorDetails {
  code: ErrorCode;
  /** What was being done, as a verb phrase: `write "a/b"`. */
  operation: string;
  /** Why it failed, as a clause without a full stop. */
  reason: string;
  /** What the user can do next, as a sentence without a full stop. */
  hint?: string;
  /** Whether the same request will fail again unless something changes. @default {false} */
  permanent?: boolean;
  /** Milliseconds the other side asks to wait before the next try. */
  retryAfter?: number;
  cause?: unknown;
}

/** An error that can be shown to a user as it is: `Cannot <operation>: <reason>`. */
export class FilesyncError extends Error {
  override name = "FilesyncError";
  readonly code: ErrorCode;
  readonly operation: string;
  readonly reason: string;
  readonly hint: string | undefined;
  readonly permanent: boolean;
  readonly retryAfter: number | undefined;

  constructor(details: ErrorDetails) {
    super(`Cannot ${details.operation}: ${details.reason}`, { cause: details.cause });
    this.code = details.code;
    this.operation = details.operation;
    this.reason = details.reason;
    this.hint = details.hint;
    this.permanent = details.permanent ?? false;
    this.retryAfter = details.retryAfter;
  }
}

/** A path that cannot be inside a tree. */
export class PathError extends FilesyncError {
  override name = "PathError";
  constructor(path: string, reason: string) {
    super({
      code: "bad-path",
      operation: `use the path ${JSON.stringify(path.slice(0, 200))}`,
      reason,
      hint: "Rename it, or exclude it in .filesyncignore",
      permanent: true,
    });
  }
}

/** What a user can do about an error that names no step of its own. */
const NEXT_STEPS: Readonly<Record<ErrorCode, string>> = {
  "bad-path": "Rename it, or exclude it in .filesyncignore",
  "bad-range": "Ask for a part that the file has",
  "bad-request": "Use the same version of filesync on both sides",
  brake: "Look at what would be removed with --dry-run; --allow-mass-delete lets it happen",
  conflict: "Look at what stands there; when it has changed it is tried again",
  "content-missing": "Nothing: the content is sent again by itself",
  "digest-mismatch": "Nothing: it is sent again; if it goes on, check the memory and disks of both machines",
  "disk-full": "Free some space; it will be tried again",
  "exists-unknown": "Move away what was not put there by filesync, or take it over with --delete",
  indexing: "Nothing: it goes on when the files have been read",
  internal: "Run it again with --debug, and report what it prints",
  io: "Run filesync doctor; if it goes on, check the disk",
  locked: "Stop the other process, or wait for it",
  "not-found": "Check the path",
  permission: "Give the user that runs filesync access to it",
  "read-only": "Make it writable, or use a token that allows changes",
  timeout: "Nothing: it will be tried again; a slow line can be spared with --limit",
  "too-large": "Send it in smaller parts",
  "too-many": "Wait: it will be tried again",
  unauthorized: "Take the token that `filesync serve` printed, and give it as --token-file or FILESYNC_TOKEN",
  unreachable: "Run filesync doctor --to with the same address",
  unsupported: "Exclude it in .filesyncignore",
  upgrade: "Use the same version of filesync on both sides",
  usage: "See what can be given with --help",
};

/** All codes there are. */
export const ERROR_CODES = Object.keys(NEXT_STEPS) as ErrorCode[];

/** What the user can do next: what the error or problem says itself, or what is usual for its code. */
export function nextStep({ code, hint }: { code: ErrorCode; hint?: string }): string {
  // Of another version there may be codes that this one does not know.
  return hint ?? NEXT_STEPS[code] ?? NEXT_STEPS.internal;
}

const OS_CODES: Record<string, [ErrorCode, string, string?]> = {
  EACCES: ["permission", "permission denied", "Give the user that runs filesync access to it"],
  EDQUOT: ["disk-full", "the disk quota is used up", "Free some space; it will be tried again"],
  EEXIST: ["conflict", "something stands there already"],
  EISDIR: ["conflict", "a directory stands there"],
  EIO: [
    "io",
    "the disk reports an error",
    "Check the disk, its cable, and what the system says of it (dmesg)",
  ],
  ELOOP: ["conflict", "a symbolic link stands where a directory is expected"],
  EMFILE: ["io", "too many files are open", "Raise the limit with ulimit -n"],
  ENAMETOOLONG: ["bad-path", "the name is too long for this file system"],
  ENFILE: [
    "io",
    "too many files are open on this machine",
    "Close programs, or raise fs.file-max with sysctl",
  ],
  ENOENT: ["not-found", "it does not exist"],
  ENOSPC: ["disk-full", "the disk is full", "Free some space; it will be tried again"],
  ENOTDIR: ["conflict", "a file stands where a directory is expected"],
  ENOTEMPTY: ["conflict", "the directory is not empty"],
  EPERM: ["permission", "the operation is not permitted"],
  EROFS: ["read-only", "the file system is read-only", "Mount it writable"],
  EXDEV: [
    "unsupported",
    "it is on another file system than the top of the tree",
    "Run filesync for the mounted directory by itself, or exclude it in .filesyncignore",
  ],
};

const DAMAGED = "Move the file away; filesync makes a new one and compares everything again";

/**
 * What the texts of SQLite (of `sqlite3_errstr`) mean. Not all of its errors come with a number, so the text
 * is the key.
 */
const SQLITE_MEANINGS: [text: string, code: ErrorCode, reason: string, permanent: boolean, hint: string][] = [
  [
    "database or disk is full",
    "disk-full",
    "the disk is full",
    false,
    "Free some space; it will be tried again",
  ],
  [
    "disk I/O error",
    "io",
    "the disk reports an error",
    false,
    "Check the disk, its room, and what the system says of it (dmesg)",
  ],
  ["file is not a database", "io", "the file is not a database", true, DAMAGED],
  ["database disk image is malformed", "io", "the database is damaged", true, DAMAGED],
  ["database is locked", "locked", "another process keeps it locked", false, "Stop the other process"],
  [
    "locking protocol",
    "locked",
    "who wrote it was killed in the middle of that",
    false,
    "Start what writes it once more, which mends it",
  ],
  ["attempt to write a readonly database", "read-only", "it is read-only", false, "Make it writable"],
  [
    "unable to open database file",
    "io",
    "it cannot be opened",
    false,
    "Check its permissions and its directory's",
  ],
];

const DENO_CODES: Record<string, string> = {
  AlreadyExists: "EEXIST",
  FilesystemLoop: "ELOOP",
  IsADirectory: "EISDIR",
  NotADirectory: "ENOTDIR",
  NotFound: "ENOENT",
  PermissionDenied: "EACCES",
};

/** The `errno` name of an error thrown by Deno or by `node:fs`, such as `"ENOENT"`. */
export function osCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as { code?: unknown };
  if (typeof code === "string") return code;
  return DENO_CODES[error.name];
}

/** What may pass by itself, however often it comes: nothing is lost by it, only late. */
const PASSING: ReadonlySet<ErrorCode> = new Set(["disk-full", "locked"]);

/** Whether `error` says that a disk of our own is full for now, or a database of our own busy. */
export function isPassing(error: unknown): boolean {
  const { code, permanent } = toFilesyncError("", error);
  return PASSING.has(code) && !permanent;
}

/** What failed first, when cleaning up after it failed, too: that mostly fails because of it. */
export function firstError(error: unknown): unknown {
  return error instanceof SuppressedError ? firstError(error.suppressed) : error;
}

/** Turns whatever a system call or a database threw into a {@linkcode FilesyncError}; passes one on unchanged. */
export function toFilesyncError(operation: string, error: unknown): FilesyncError {
  if (error instanceof FilesyncError) return error;
  if (error instanceof SuppressedError) return toFilesyncError(operation, firstError(error));
  const name = osCode(error);
  if (name === "ERR_SQLITE_ERROR") return databaseError(operation, error as Error);
  const known = name === undefined ? undefined : OS_CODES[name];
  const message = error instanceof Error ? error.message : String(error);
  if (known === undefined) return new FilesyncError({ code: "io", operation, reason: message, cause: error });
  const [code, reason, hint] = known;
  return new FilesyncError({ code, operation, reason, hint, cause: error });
}

function databaseError(operation: string, error: Error): FilesyncError {
  const meaning = SQLITE_MEANINGS.find(([text]) => error.message.includes(text));
  if (meaning === undefined) {
    return new FilesyncError({ code: "io", operation, reason: error.message, cause: error });
  }
  const [, code, reason, permanent, hint] = meaning;
  return new FilesyncError({ code, operation, reason, permanent, hint, cause: error });
}
