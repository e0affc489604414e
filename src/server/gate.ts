/** Who may come in, and what for: tokens, and how often wrong ones may be tried. @module */
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import type { Clock } from "../core/clock.ts";
import { digestToBytes } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { sha256 } from "../hashing/sha256.ts";
import { FailureLimit } from "./failure_limit.ts";

/** A token, or what gives the one that holds now; `undefined` lets nobody in. */
export type TokenSource = string | (() => string | undefined);

/** Settings of {@linkcode Gate}. */
export interface GateOptions {
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

/** What somebody was let in to do. */
export type Access = "change" | "read";

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

/** Whether `host`, as a request names it, is this machine. */
export function isLoopbackHost(host: string): boolean {
  return LOOPBACK_HOST.test(host);
}

/** See the module's comment. One for all ways in, so that failures are counted together. */
export class Gate {
  /** Whether nobody may change anything. */
  readonly readOnly: boolean;
  /** Whether this machine itself needs no token. */
  readonly open: boolean;
  readonly #mayChange: (digest: Uint8Array) => boolean;
  readonly #mayRead: (digest: Uint8Array) => boolean;
  readonly #failures: FailureLimit;

  constructor({ token, readToken, readOnly = false, open = false }: GateOptions, clock: Clock) {
    this.readOnly = readOnly;
    this.open = open;
    this.#mayChange = matcher(token);
    this.#mayRead = readToken === undefined ? () => false : matcher(readToken);
    this.#failures = new FailureLimit(clock);
  }

  /**
   * What the bearer of `token` may do.
   *
   * @param address Where the request came from.
   * @throws {FilesyncError} `unauthorized` when it is no token of ours, `too-many` when many wrong ones came from there.
   */
  admit(token: string, address: string | undefined): Access {
    const wait = address === undefined ? 0 : this.#failures.wait(address);
    // Before anything is compared: else the right guess would be let in all the same.
    if (wait > 0) throw tooManyTries(wait);
    const access = this.accessOf(digestOf(token));
    if (access !== undefined) return access;
    if (address !== undefined) this.#failures.note(address);
    throw refused("the token is not the right one");
  }

  /** What the token with this digest allows now; `undefined` when it is none of ours (any more). */
  accessOf(digest: Uint8Array): Access | undefined {
    // Both are compared in any case, so that the time tells nothing.
    const [change, read] = [this.#mayChange(digest), this.#mayRead(digest)];
    return change ? "change" : read ? "read" : undefined;
  }
}

/** By what a token is compared: all digests have one length, and tell nothing of its own. */
export function digestOf(token: string): Uint8Array {
  return digestToBytes(sha256(new TextEncoder().encode(token)));
}

/** Compares digests with that of a token, which may change. */
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

/** The error of who was not let in. */
export function refused(reason: string): FilesyncError {
  return new FilesyncError({
    code: "unauthorized",
    operation: "let the request in",
    reason,
    hint: "Take the token that `filesync serve` printed, and give it as --token-file or FILESYNC_TOKEN",
    permanent: true,
  });
}

/** The error of who may not change anything. */
export function forbidden(byServer: boolean): FilesyncError {
  return new FilesyncError({
    code: "read-only",
    operation: "change the tree",
    reason: byServer ? "the server is read-only" : "the token allows reading only",
    hint: byServer ? "Start `filesync serve` without --read-only" : "Use the token that allows changes",
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
