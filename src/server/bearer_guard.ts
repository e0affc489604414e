/** Lets only those in who have a token, and lets them do only what it allows. @module */
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import type { Context, MiddlewareHandler } from "hono";
import type { Clock } from "../core/clock.ts";
import { digestToBytes } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { sha256 } from "../hashing/sha256.ts";
import { FailureLimit } from "./failure_limit.ts";

/** A token, or what gives the one that holds now; `undefined` lets nobody in. */
export type TokenSource = string | (() => string | undefined);

/** Settings of {@linkcode bearerGuard}. */
export interface BearerGuardOptions {
  /** The token, as clients send it. */
  token: TokenSource;
  /** Another token, which lets its bearer read only. */
  readToken?: TokenSource;
  /** Whether nobody may change anything. @default {false} */
  readOnly?: boolean;
  /**
   * Whether requests without any token are let in, as long as they name this machine in `Host`
   * (a web page cannot make a browser do that under its own name). Only for a server that listens
   * on the loopback address.
   *
   * @default {false}
   */
  open?: boolean;
}

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

/** What is asked with `POST` and changes nothing in the tree. All else but `GET` and `HEAD` may do so. */
const READING_POSTS: ReadonlySet<string> = new Set(
  ["sessions", "signatures", "manifests", "pieces", "refresh"].map((name) => `/v1/${name}`),
);

/** What a request was let in to do. */
type Access = "change" | "read";

/**
 * A middleware that answers 401 unless the request carries a token, 403 when the token does not allow
 * what it asks for, and 429 to a network that has sent many wrong tokens.
 */
export function bearerGuard(
  { token, readToken, readOnly = false, open = false }: BearerGuardOptions,
  clock: Clock,
): MiddlewareHandler {
  const mayChange = matcher(token);
  const mayRead = readToken === undefined ? () => false : matcher(readToken);
  const failures = new FailureLimit(clock);

  function accessOf(c: Context): Access {
    const given = c.req.header("authorization");
    if (given === undefined) {
      if (open && isLocal(c)) return "change";
      throw refused("no token came with it");
    }
    const address: string | undefined = c.env?.remoteAddress;
    const wait = address === undefined ? 0 : failures.wait(address);
    // Before anything is compared: else the right guess would be let in all the same.
    if (wait > 0) throw tooManyTries(wait);
    const actual = digestOf(given.replace(/^Bearer /i, ""));
    // Both are compared in any case, so that the time tells nothing.
    const [change, read] = [mayChange(actual), mayRead(actual)];
    if (change) return "change";
    if (read) return "read";
    if (address !== undefined) failures.note(address);
    throw refused("the token is not the right one");
  }

  return async function guard(c, next) {
    const access = accessOf(c);
    if ((readOnly || access === "read") && !isReading(c)) throw forbidden(readOnly);
    await next();
  };
}

/** Compares digests with that of a token, which may change. They have one length, and tell nothing of the token's. */
function matcher(source: TokenSource): (actual: Uint8Array) => boolean {
  if (typeof source === "string") {
    const expected = digestOf(source);
    return (actual) => timingSafeEqual(actual, expected);
  }
  return (actual) => {
    const token = source();
    return token !== undefined && timingSafeEqual(actual, digestOf(token));
  };
}

function digestOf(token: string): Uint8Array {
  return digestToBytes(sha256(new TextEncoder().encode(token)));
}

/** Whether a request comes from this machine, and from no web page that a browser on it shows. */
function isLocal(c: Context): boolean {
  if (!LOOPBACK_HOST.test(c.req.header("host") ?? new URL(c.req.url).host)) return false;
  // Pictures and scripts are asked for without an origin, but every browser of today tells of the page.
  return c.req.header("origin") === undefined && [undefined, "none"].includes(c.req.header("sec-fetch-site"));
}

function isReading({ req: { method, path } }: Context): boolean {
  return method === "GET" || method === "HEAD" || (method === "POST" && READING_POSTS.has(path));
}

function refused(reason: string): FilesyncError {
  return new FilesyncError({
    code: "unauthorized",
    operation: "let the request in",
    reason,
    hint: "Take the token that `filesync serve` printed, and give it as --token-file or FILESYNC_TOKEN",
    permanent: true,
  });
}

function tooManyTries(retryAfter: number): FilesyncError {
  return new FilesyncError({
    code: "too-many",
    operation: "let the request in",
    reason: "too many wrong tokens came from its network",
    hint: "Wait, then try again with the token that `filesync serve` printed",
    retryAfter,
  });
}

function forbidden(byServer: boolean): FilesyncError {
  return new FilesyncError({
    code: "read-only",
    operation: "change the tree",
    reason: byServer ? "the server is read-only" : "the token allows reading only",
    hint: byServer ? "Start `filesync serve` without --read-only" : "Use the token that allows changes",
    permanent: true,
  });
}
