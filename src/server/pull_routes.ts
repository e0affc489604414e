/** `/v1/refresh`, `/v1/pieces`, `/v1/manifests/:digest`: what a client needs that takes content from here. @module */
import { Hono } from "hono";
import { unpackRanges } from "../chunking/byte_range.ts";
import { packManifest } from "../core/chunk.ts";
import type { Clock } from "../core/clock.ts";
import { parseDigest } from "../core/digest.ts";
import { toFilesyncError } from "../core/errors.ts";
import { problemOf } from "../core/problem.ts";
import { LINES_TYPE, parseWire, pieceHeaderSchema } from "../core/wire.ts";
import type { PieceRequest, Receiver } from "../transport/receiver.ts";
import type { RouteContext } from "./app.ts";
import { framed, held } from "./held_frames.ts";
import { limitBody, MAX_FRAMED_BYTES, readFrames } from "./request_body.ts";
import { withoutPlace } from "./untold_place.ts";

/** How often a client that waits hears that it goes on, milliseconds. */
const SIGN_OF_LIFE_MS = 5_000;

export function pullRoutes({ receiver, clock, place }: RouteContext): Hono {
  const app = new Hono();

  app.post("/refresh", (c) => {
    const lines = ReadableStream.from(refreshLines(receiver, clock, place));
    return c.body(lines.pipeThrough(new TextEncoderStream()), 200, { "content-type": LINES_TYPE });
  });

  app.post("/pieces", limitBody(MAX_FRAMED_BYTES, clock), async (c) => {
    const requests = (await readFrames(c, clock)).map(({ header, content }): PieceRequest => ({
      ...parseWire(pieceHeaderSchema, header, "a request for pieces"),
      ranges: unpackRanges(content),
    }));
    return framed(c, (await receiver.pieces(requests)).map(held));
  });

  app.get("/manifests/:digest", async (c) => {
    const manifest = await receiver.manifest(parseDigest(c.req.param("digest")));
    return framed(c, [held(manifest && packManifest(manifest))]);
  });

  return app;
}

/** A line now and then while it goes on, because it may take long; then how it ended, and an empty line. */
async function* refreshLines(receiver: Receiver, clock: Clock, place?: string): AsyncGenerator<string> {
  const ending = receiver.refresh().then(
    (info) => ({ info }),
    (error) => {
      const problem = problemOf(toFilesyncError("look at the tree", error));
      return { problem: { ...problem, message: withoutPlace(problem.message, place) } };
    },
  );
  for (;;) {
    using timer = new DisposableStack();
    const cancel = timer.adopt(new AbortController(), (controller) => controller.abort());
    const pause = clock.sleep(SIGN_OF_LIFE_MS, cancel.signal).catch(() => {});
    const line = await Promise.race([ending, pause]) ?? { going: true };
    yield `${JSON.stringify(line)}\n`;
    if (!("going" in line)) return yield "\n";
  }
}
