/** `GET /live`: the parts of a page that change, sent again whenever they do (server-sent events). @module */
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Clock } from "../../core/clock.ts";
import { FilesyncError } from "../../core/errors.ts";
import type { Shell } from "./section.ts";

/** A part of a page: the name of its element, and what stands in it. */
export type Parts = Record<string, string>;

/** Milliseconds between two looks at what has changed. */
const EVERY_MS = 500;

/** A line is sent at least so often, milliseconds: proxies end what is silent. */
const ALIVE_MS = 15_000;

/** Most pages that are kept current at once. */
const MOST = 32;

/**
 * The route.
 *
 * @param pages Makes the parts of each page that has some. What one reader's page was sent another's is sent too: they
 * are made once for all.
 */
export function liveRoutes(clock: Clock, pages: Record<string, () => Promise<Parts>>, shell: Shell): Hono {
  let readers = 0;
  const made = new Map<string, { at: number; parts: Promise<Parts> }>();

  function partsOf(page: string): Promise<Parts> {
    const now = clock.now();
    const last = made.get(page);
    if (last !== undefined && Math.abs(now - last.at) < EVERY_MS / 2) return last.parts;
    const parts = pages[page]();
    made.set(page, { at: now, parts });
    return parts;
  }

  return new Hono().get("/live", shell.guard, (c) => {
    const page = c.req.query("of") ?? "";
    if (!Object.hasOwn(pages, page)) throw refusal("not-found", "there is no such page");
    if (readers >= MOST) throw refusal("too-many", `${MOST} pages are kept current already`);
    // A proxy that gathers answers before it passes them on would pass on nothing.
    c.header("x-accel-buffering", "no");
    return streamSSE(c, async (stream) => {
      const ended = new AbortController();
      stream.onAbort(() => ended.abort());
      const sent = new Map<string, string>();
      let sentAt = clock.now();
      readers++;
      try {
        while (!ended.signal.aborted && shell.isStillIn(c)) {
          for (const [id, html] of Object.entries(await partsOf(page))) {
            if (sent.get(id) === html) continue;
            await stream.writeSSE({ event: "part", data: JSON.stringify({ id, html }) });
            sent.set(id, html);
            sentAt = clock.now();
          }
          if (clock.now() - sentAt >= ALIVE_MS) {
            await stream.write(":\n\n");
            sentAt = clock.now();
          }
          await clock.sleep(EVERY_MS, ended.signal).catch(() => {});
        }
      } finally {
        readers--;
      }
    });
  });
}

function refusal(code: "not-found" | "too-many", reason: string): FilesyncError {
  const hint = "Reload the page now and then";
  return new FilesyncError({ code, operation: "keep the page current", reason, hint, permanent: true });
}
