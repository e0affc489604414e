/** Headers that keep browsers from doing more with an answer than it is meant for. @module */
import type { MiddlewareHandler } from "hono";
import { secureHeaders } from "hono/secure-headers";

/** Allows a page nothing; a route that answers with a page sets what that needs. */
const POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** A middleware that sets them on every answer, errors too. */
export function securityHeaders(): MiddlewareHandler {
  // Strict transport security would hold for all ports of the host, and what else is served there.
  const set = secureHeaders({ strictTransportSecurity: false, referrerPolicy: "no-referrer" });
  return async function securityHeaders(c, next) {
    await set(c, next);
    const { headers } = c.res;
    if (!headers.has("content-security-policy")) headers.set("content-security-policy", POLICY);
    // What stands in a tree, and what is told of it, is for who had the token, not for caches on the way.
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  };
}
