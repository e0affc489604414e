/** Lets only those in who have a token, and lets them do only what it allows. @module */
import type { Context, MiddlewareHandler } from "hono";
import { type Access, forbidden, type Gate, isLoopbackHost, refused } from "./gate.ts";

/** What is asked with `POST` and changes nothing in the tree. All else but `GET` and `HEAD` may do so. */
const READING_POSTS: ReadonlySet<string> = new Set(
  ["sessions", "signatures", "manifests", "pieces", "refresh", "status"].map((name) => `/v1/${name}`),
);

/**
 * A middleware that answers 401 unless the request carries a token, 403 when the token does not allow
 * what it asks for, and 429 to a network that has sent many wrong tokens.
 */
export function bearerGuard(gate: Gate): MiddlewareHandler {
  function accessOf(c: Context): Access {
    const given = bearerOf(c);
    if (given !== undefined) return gate.admit(given, addressOf(c));
    if (gate.open && isLocal(c)) return "change";
    throw refused("no token came with it");
  }

  return async function guard(c, next) {
    const access = accessOf(c);
    if ((gate.readOnly || access === "read") && !isReading(c)) throw forbidden(gate.readOnly);
    await next();
  };
}

/**
 * The token in a request's header. A name with a password is none: browsers send those with all that they ask a proxy
 * for which wanted them, and would be taken for who guesses.
 */
export function bearerOf(c: Context): string | undefined {
  const given = c.req.header("authorization");
  return given === undefined || /^Basic /i.test(given) ? undefined : given.replace(/^Bearer /i, "");
}

/** Where a request came from; unknown without a socket. */
export function addressOf(c: Context): string | undefined {
  return c.env?.remoteAddress;
}

/** What a request calls this server. */
export function hostOf(c: Context): string {
  return c.req.header("host") ?? new URL(c.req.url).host;
}

/** Whether a request comes from this machine, and from no web page that a browser on it shows. */
function isLocal(c: Context): boolean {
  if (!isLoopbackHost(hostOf(c))) return false;
  // Pictures and scripts are asked for without an origin, but every browser of today tells of the page.
  return c.req.header("origin") === undefined && [undefined, "none"].includes(c.req.header("sec-fetch-site"));
}

function isReading({ req: { method, path } }: Context): boolean {
  return method === "GET" || method === "HEAD" || (method === "POST" && READING_POSTS.has(path));
}
