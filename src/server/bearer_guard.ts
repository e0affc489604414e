/** Lets only those in who have the token. @module */
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import type { MiddlewareHandler } from "hono";
import { FilesyncError } from "../core/errors.ts";
import { sha256 } from "../hashing/sha256.ts";
import { digestToBytes } from "../core/digest.ts";

/** A token, or what gives the one that holds now; `undefined` lets nobody in. */
export type TokenSource = string | (() => string | undefined);

/** Settings of {@linkcode bearerGuard}. */
export interface BearerGuardOptions {
  /** The token, as clients send it. */
  token: TokenSource;
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
  const now = asFunction(token);
  return async function guard(c, next) {
    const given = c.req.header("authorization");
    if (given === undefined) {
      const local = open && LOOPBACK_HOST.test(c.req.header("host") ?? new URL(c.req.url).host) &&
        c.req.header("origin") === undefined;
      if (!local) throw refused("no token came with it");
    } else {
      const right = now();
      if (right === undefined) throw refused("there is no token to compare it with");
      const [actual, expected] = [given.replace(/^Bearer /i, ""), right].map(digestOf);
      if (!timingSafeEqual(actual, expected)) throw refused("the token is not the right one");
    }
    await next();
  };
}

function asFunction(source: TokenSource): () => string | undefined {
  return typeof source === "string" ? () => source : source;
}

/** Digests have one length, which the comparison needs, and which tells nothing of the token's. */
function digestOf(token: string): Uint8Array {
  return digestToBytes(sha256(new TextEncoder().encode(token)));
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
