/** Why a request had no answer, in words for the people who wait for it. @module */
import { FilesyncError } from "../core/errors.ts";

/** What is shown of it. */
export interface NoAnswer {
  /** Why, as a clause. */
  reason: string;
  /** What can be done. */
  hint: string;
}

const CHECK = "Check that `filesync serve` runs there and that the address is right";

/** What the words of Deno's and of node's clients mean; the first one that fits counts. */
const MEANINGS: readonly (readonly [words: RegExp, reason: string, hint?: string])[] = [
  [/connection refused|ECONNREFUSED/i, "nothing listens there (connection refused)"],
  [
    /dns error|lookup address|name or service|ENOTFOUND|EAI_AGAIN/i,
    "the host name is not known",
    "Check the name; a directory on this machine is written ./name or /path/name",
  ],
  [/network is unreachable|no route|ENETUNREACH|EHOSTUNREACH/i, "there is no network to it"],
  [
    // The "bad ports" of the Fetch standard.
    /port \d+ are blocked/i,
    "clients of HTTP never use that port, which belongs to something else",
    "Start `filesync serve` with another port in --listen",
  ],
  [
    /corrupt message|wrong version number/i,
    "what answers there speaks no TLS",
    "If it was started without --tls, write http:// in place of https://",
  ],
  [
    /invalid HTTP version/i,
    "what answers there speaks no plain HTTP",
    "If it was started with --tls, write https:// in place of http://",
  ],
  [/handshake eof/i, "the connection broke"],
  [
    /certificate|tls/i,
    "its certificate is not trusted",
    "Give the pin that `filesync serve --tls` printed: --tls-pin sha256:…",
  ],
];

/** What `error`, with which `fetch` failed, says. */
export function noAnswer(error: unknown): NoAnswer {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return { reason: "it did not answer in time", hint: CHECK };
  }
  // Deno 2.9 says what happened in the cause, 2.7 in the message. The address in it is anybody's words.
  const message = (error instanceof Error ? `${error.message} ${error.cause ?? ""}` : String(error))
    .replaceAll(/https?:\/\/[^\s)]*/gi, "");
  const [, reason, hint = CHECK] = MEANINGS.find(([words]) => words.test(message)) ??
    [, "the connection broke"];
  return { reason, hint };
}

/** The failure to reach what is at `origin`, by what `cause` says. */
export function unreachable(origin: string, cause: unknown): FilesyncError {
  return new FilesyncError({ code: "unreachable", operation: `reach ${origin}`, ...noAnswer(cause), cause });
}
