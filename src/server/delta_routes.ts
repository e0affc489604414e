/** `/v1/signatures`, `/v1/manifests`: what a client must know of old content to send only what has changed in it. @module */
import { Hono } from "hono";
import { unpackRanges } from "../chunking/byte_range.ts";
import { manifestSchema, parseWire, signatureHeaderSchema } from "../core/wire.ts";
import type { SignatureRequest } from "../transport/receiver.ts";
import type { RouteContext } from "./app.ts";
import { framed, held } from "./held_frames.ts";
import { checked } from "./json_body.ts";
import { limitBody, MAX_FRAMED_BYTES, MAX_JSON_BYTES, readFrames } from "./request_body.ts";

export function deltaRoutes({ receiver, clock }: RouteContext): Hono {
  const app = new Hono();

  app.post("/signatures", limitBody(MAX_FRAMED_BYTES, clock), async (c) => {
    const requests = (await readFrames(c, clock)).map(({ header, content }): SignatureRequest => ({
      ...parseWire(signatureHeaderSchema, header, "a request for signatures"),
      ranges: unpackRanges(content),
    }));
    return framed(c, (await receiver.signatures(requests)).map(held));
  });

  app.post("/manifests", limitBody(MAX_JSON_BYTES, clock), checked("json", manifestSchema), async (c) => {
    const asked = c.req.valid("json");
    if ("groups" in asked) return framed(c, [held(await receiver.groupChunks(asked.digest, asked.groups))]);
    const { groups, ...of } = await receiver.manifestGroups(asked) ?? {};
    const { header, content } = held(groups);
    return framed(c, [{ header: { ...header, ...of }, content }]);
  });

  return app;
}
