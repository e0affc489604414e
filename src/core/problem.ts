/**
 * A problem is one path that could not be handled: data that travels in results and
 * lists, not an exception. On the wire it is an RFC 9457 problem document.
 *
 * @module
 */
import { type ErrorCode, FilesyncError } from "./errors.ts";

/** One thing that could not be done, with the reason and the next step. */
export interface Problem {
  code: ErrorCode;
  /** The path it is about; absent when it is about no single path. */
  path?: string;
  /** `Cannot …: …`, without a full stop. */
  message: string;
  /** What the user can do next. */
  hint?: string;
  /** Whether it stays until something changes. */
  permanent: boolean;
  /** Milliseconds to wait before the next try, when the other side said so. */
  retryAfter?: number;
}

/** The problem that `error` is, for `path`. */
export function problemOf(error: FilesyncError, path?: string): Problem {
  return {
    code: error.code,
    ...(path === undefined ? {} : { path }),
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    permanent: error.permanent,
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
  };
}

/** The error that `problem` was, so that it can be thrown again on this side of the wire. */
export function errorOf(problem: Problem): FilesyncError {
  const [, operation = "do this", reason = problem.message] =
    /^Cannot (.*?): ([^]*)$/.exec(problem.message) ?? [];
  return new FilesyncError({ ...problem, operation, reason });
}
