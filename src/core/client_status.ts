/**
 * What a client tells its server of itself, for the people who look there: what waits, what has problems, and
 * how far it is. It is bounded: a long list is told by its beginning and its length.
 *
 * @module
 */
import type { Problem } from "./problem.ts";

/** A problem that a client has. */
export interface ClientProblem extends Pick<Problem, "code" | "path" | "message" | "hint" | "permanent"> {
  /** Milliseconds from now until it is tried again; absent when something has to change first. */
  retryIn?: number;
  /** Tries so far. */
  attempts?: number;
}

/** How far a client is with what it does now. */
export interface ClientProgress {
  doneItems: number;
  totalItems: number;
  doneBytes: number;
  totalBytes: number;
  /** The path in hand. */
  current?: string;
}

/** See the module's comment. */
export interface ClientStatus {
  /** Actions in the queue, and the bytes of content that they put. */
  waiting: { actions: number; bytes: number };
  /** The first of them. */
  problems: ClientProblem[];
  /** How many there are in all. */
  problemCount: number;
  progress?: ClientProgress;
  /** Why removals are held back, when they are. */
  brake?: string;
}

/** What a server answers to it. */
export interface StatusAnswer {
  /** Whether the session is known; when not, because the server was restarted, say hello again. */
  known: boolean;
}

/** Most problems that are told. */
export const MAX_TOLD_PROBLEMS = 20;

/** Most characters of a path, and of any other text, that are told. */
export const MAX_TOLD_PATH = 500;
export const MAX_TOLD_TEXT = 300;

/** Least milliseconds between two reports of a client. */
export const STATUS_EVERY_MS = 250;

/** `status` with everything cut to the lengths that a server takes. */
export function boundedStatus(status: ClientStatus): ClientStatus {
  const { waiting, problems, problemCount, progress, brake } = status;
  const text = (given: string) => cut(given, MAX_TOLD_TEXT);
  return {
    waiting,
    problems: problems.slice(0, MAX_TOLD_PROBLEMS).map(({ code, path, message, hint, ...rest }) => ({
      code: cut(code, 50) as Problem["code"],
      message: text(message),
      permanent: rest.permanent,
      ...(path === undefined ? {} : { path: cut(path, MAX_TOLD_PATH) }),
      ...(hint === undefined ? {} : { hint: text(hint) }),
      ...(rest.retryIn === undefined ? {} : { retryIn: Math.max(0, Math.round(rest.retryIn)) }),
      ...(rest.attempts === undefined ? {} : { attempts: rest.attempts }),
    })),
    problemCount,
    ...(progress === undefined ? {} : {
      progress: {
        ...progress,
        ...(progress.current === undefined ? {} : { current: cut(progress.current, MAX_TOLD_PATH) }),
      },
    }),
    ...(brake === undefined ? {} : { brake: text(brake) }),
  };
}

/** At most `most` characters of `text`, with an ellipsis in place of what is left out; never half a character. */
function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most - 1).toWellFormed().replace(/\uFFFD$/, "")}…`;
}
