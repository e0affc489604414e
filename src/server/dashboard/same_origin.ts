/** Tells requests that our own pages made from those that other pages had a browser make. @module */
import type { Context } from "hono";
import { hostOf } from "../bearer_guard.ts";

/**
 * Whether a request comes from a page of ours, or from no page at all: an address that was typed, or a
 * program. Browsers say so in `Sec-Fetch-Site`, but only over TLS or to this machine; else `Origin` tells for what
 * is sent with `POST`. Another port of the same host is another origin.
 */
export function isOwn(c: Context): boolean {
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined) return site === "same-origin" || site === "none";
  const origin = c.req.header("origin");
  return origin === undefined || isOrigin(origin, hostOf(c));
}

/** Whether a request was surely made by a page of ours: only then may it change anything by the right of a cookie. */
export function isSurelyOwn(c: Context): boolean {
  const site = c.req.header("sec-fetch-site");
  return site === undefined ? isOwn(c) && c.req.header("origin") !== undefined : site === "same-origin";
}

/** Whether an origin is that of a host. The scheme is not compared: a proxy may have taken the TLS off. */
function isOrigin(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
}
