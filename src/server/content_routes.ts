/** `/v1/check`, `/v1/chunks`, `/v1/runs`, `/v1/batch`: content comes in, and is put in place. @module */
import { type Context, Hono } from "hono";
import { type Chunk, type ChunkRun, unpackManifest } from "../core/chunk.ts";
import { type Digest, parseDigest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { Gate } from "../core/gate.ts";
import type { Frame } from "../core/frames.ts";
import {
  batchHeaderSchema,
  contentHeaderSchema,
  offerHeaderSchema,
  parseWire,
  runHeaderSchema,
  SESSION_HEADER,
  TIMING_HEADER,
  toRanges,
} from "../core/wire.ts";
import { type LentMemory, SpareMemory } from "../transport/spare_memory.ts";
import type { ContentOffer } from "../transport/receiver.ts";
import type { RouteContext } from "./app.ts";
import { limitBody, MAX_FRAMED_BYTES, readBody, readFramed } from "./request_body.ts";

/**
 * Most requests with content that are worked on at once. A client has six under way; of many clients, unpacked and
 * with all that is made of them, they would take memory without bound. Only what was read whole gets a place, so
 * that a slow line holds up nobody else.
 */
const MOST_AT_ONCE = 24;

export function contentRoutes({ receiver, apply, clock }: RouteContext): Hono {
  const app = new Hono();
  const memory = new SpareMemory();
  const gate = new Gate(MOST_AT_ONCE);

  /** Reads the frames, and tells with the answer how long it took from there: the rest was the way. */
  const withFrames = async (
    c: Context,
    answer: (frames: Frame[]) => Promise<object>,
    lend?: LentMemory["take"],
  ) => {
    const frames = await readFramed(c, clock, lend);
    const began = clock.now();
    return await gate.run(async () => {
      const body = await answer(await frames());
      c.header(TIMING_HEADER, `work;dur=${clock.now() - began}`);
      return c.json(body);
    });
  };

  app.post("/check", limitBody(MAX_FRAMED_BYTES, clock), (c) =>
    withFrames(c, async (frames) => {
      const offers = frames.map(({ header, content }): ContentOffer => {
        const { digest, size, chunked } = parseWire(offerHeaderSchema, header, "an offer");
        return { digest, size, ...(chunked ? { manifest: manifestIn(content, size) } : {}) };
      });
      const needs = await receiver.check(offers);
      return { needs: needs.map((need) => typeof need === "string" ? need : toRanges(need)) };
    }));

  app.post("/chunks", limitBody(MAX_FRAMED_BYTES, clock), (c) =>
    withFrames(c, async (frames) => {
      const chunks = frames.map(({ header, content }): Chunk => ({
        digest: parseWire(contentHeaderSchema, header, "a chunk").digest,
        data: content,
      }));
      await receiver.stage(chunks);
      return { staged: chunks.length };
    }));

  app.post("/runs", limitBody(MAX_FRAMED_BYTES, clock), async (c) => {
    // The receiver has written them when it answers, and looks at them no more.
    using lent = memory.lend();
    return await withFrames(c, async (frames) => {
      const runs = frames.map(({ header, content }): ChunkRun => ({
        ...parseWire(runHeaderSchema, header, "chunks"),
        data: content,
      }));
      await receiver.stageRuns(runs);
      return { staged: runs.length };
    }, lent.take);
  });

  app.put("/chunks/:digest", limitBody(MAX_FRAMED_BYTES, clock), async (c) => {
    const digest = parseDigest(c.req.param("digest"));
    await receiver.stage([{ digest, data: await readBody(c, clock) }]);
    return c.json({ staged: 1 });
  });

  app.post("/batch", limitBody(MAX_FRAMED_BYTES, clock), (c) =>
    withFrames(c, async ([first, ...rest]) => {
      const { key, actions } = parseWire(batchHeaderSchema, first?.header, "the batch");
      const contents = new Map<Digest, Uint8Array<ArrayBuffer>>();
      const deltas = new Map<Digest, Uint8Array<ArrayBuffer>>();
      for (const { header, content } of rest) {
        const { digest, delta } = parseWire(contentHeaderSchema, header, "content");
        (delta ? deltas : contents).set(digest, content);
      }
      return await apply({ key, actions, contents, deltas }, c.req.header(SESSION_HEADER));
    }));

  return app;
}

function manifestIn(packed: Uint8Array, size: number) {
  try {
    const manifest = unpackManifest(packed);
    if (manifest.reduce((sum, { length }) => sum + length, 0) === size) return manifest;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw new FilesyncError({
    code: "bad-request",
    operation: "read an offer",
    reason: "its chunks do not add up to its size",
    permanent: true,
  });
}
