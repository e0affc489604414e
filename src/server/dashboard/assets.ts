/** The style sheet and the script of all pages, as parts of the program. @module */
import { Hono } from "hono";
import { sha256 } from "../../hashing/sha256.ts";
import script from "./assets/dashboard.js" with { type: "text" };
import styles from "./assets/dashboard.css" with { type: "text" };

/** A file that pages need. Its name changes with its content, so that it may be kept for good. */
export interface Asset {
  href: string;
  type: string;
  text: string;
}

/** The style sheet. */
export const STYLES: Asset = asset("css", "text/css; charset=utf-8", styles);

/** The script; every page can be read without it. */
export const SCRIPT: Asset = asset("js", "text/javascript; charset=utf-8", script);

/** What stands for the pages in tabs and lists of a browser. */
export const ICON: Asset = asset(
  "svg",
  "image/svg+xml",
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="#0b6e75"/>` +
    `<path d="M5 9h12l-3-3M19 15H7l3 3" fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/></svg>`,
);

/** Gives them to everybody: the page to log in needs them, and they tell nothing. */
export function assetRoutes(): Hono {
  const app = new Hono();
  for (const { href, type, text } of [STYLES, SCRIPT, ICON]) {
    app.get(
      href,
      (c) =>
        c.body(text, 200, { "content-type": type, "cache-control": "public, max-age=31536000, immutable" }),
    );
  }
  return app;
}

function asset(extension: string, type: string, text: string): Asset {
  const print = sha256(new TextEncoder().encode(text)).slice(0, 12);
  return { href: `/assets/dashboard-${print}.${extension}`, type, text };
}
