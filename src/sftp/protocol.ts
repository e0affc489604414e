/** What the SFTP library says, in our words. @module */
// @ts-types="../../types/ssh2.d.ts"
import type { Attributes, SftpError } from "ssh2";
import { type ErrorCode, FilesyncError } from "../core/errors.ts";

/** What stands at a path. */
export interface RemoteStat {
  kind: "file" | "directory" | "symlink" | "other";
  /** Bytes. */
  size: number;
  /** Whole seconds since the epoch: the protocol knows no more. */
  mtime: number;
  /** Permission bits; 0 when the server does not tell. */
  mode: number;
}

/** What is to be set; what is left out stays. */
export interface RemoteChange {
  mode?: number;
  /** Whole seconds since the epoch. */
  mtime?: number;
}

/** What a server can do beyond the protocol. */
export interface Abilities {
  /** Renames over what is there, as one step. */
  posixRename: boolean;
  fsync: boolean;
  /** Sets attributes of a link itself. */
  lsetstat: boolean;
  copyData: boolean;
  statvfs: boolean;
}

/** Statuses of the protocol: draft-ietf-secsh-filexfer-02, section 7. */
const STATUS: Record<number, [ErrorCode, string]> = {
  2: ["not-found", "it does not exist"],
  3: ["permission", "permission denied"],
  6: ["unreachable", "there is no connection"],
  7: ["unreachable", "the connection was lost"],
  8: ["unsupported", "the server cannot do that"],
};

/** The status that says that all was listed, or read. */
export const END_OF_LIST = 1;

/** A question to the library, which calls back with an error or an answer. */
// deno-lint-ignore no-explicit-any -- calls back with or without a value
export type Ask<T> = (done: (error: any, value?: any) => void) => void;

/** Puts a question; named by what it is for. */
export type Asking = <T>(operation: string, ask: Ask<T>) => Promise<T>;

/** What the type bits of a mode say. */
const KINDS: Record<number, RemoteStat["kind"]> = { 0o10: "file", 0o4: "directory", 0o12: "symlink" };

/** Attributes as a look. */
export function statOf({ mode = 0, size = 0, mtime = 0 }: Attributes): RemoteStat {
  return { kind: KINDS[mode >> 12] ?? "other", size, mtime, mode: mode & 0o7777 };
}

/** A change as attributes: the protocol sets both times or none. */
export function toAttributes({ mode, mtime }: RemoteChange): Attributes {
  return { ...(mode === undefined ? {} : { mode }), ...(mtime === undefined ? {} : { mtime, atime: mtime }) };
}

/** An error of the library; without a status of the protocol the connection broke. */
export function failureOf(operation: string, error: SftpError): FilesyncError {
  const { code, message } = error;
  if (code === undefined || typeof code !== "number") {
    return new FilesyncError({
      code: "unreachable",
      operation,
      reason: "the connection was lost",
      hint: "Nothing: it is made again by itself",
      cause: error,
    });
  }
  const [ours, reason] = STATUS[code] ?? ["io", `the server says: ${message}`];
  return new FilesyncError({ code: ours, operation, reason, cause: error });
}
