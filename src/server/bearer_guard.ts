/** Lets only those in who have the token. @module */
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import type { MiddlewareHandler } from "hono";
import { FilesyncError } from "../core/errors.ts";
import { sha256 } from "../hashing/sha256.ts";
import { digestToBytes } from "../core/digest.ts";

/** Settings of {@linkcode bearerGuard}. */
export interface BearerGuardOptions {
  /** The token, as clients send it. */
  token: string;
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

/** A middleware that answers 401 unless the request carries the token. */
export function bearerGuard({ token, open = false }: BearerGuardOptions): MiddlewareHandler {
  // Digests have one length, which the comparison needs, and which tells nothing of the token's.
  const expected = digestToBytes(sha256(new TextEncoder().encode(token)));
  return async function guard(c, next) {
    const given = c.req.header("authorization");
    if (given === undefined) {
      const local = open && LOOPBACK_HOST.test(c.req.header("host") ?? new URL(c.req.url).host) &&
        c.req.header("origin") === undefined;
      if (!local) throw refused("no token came with it");
    } else {
      const actual = digestToBytes(sha256(new TextEncoder().encode(given.replace(/^Bearer /i, ""))));
      if (!timingSafeEqual(actual, expected)) throw refused("the token is not the right one");
    }
    await next();
  };
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
