/** `/v1/tree`, `/v1/history`, `/v1/move`: the tree as a whole. @module */
import { Hono } from "hono";
import { historyQuerySchema, LINES_TYPE, moveSchema, SESSION_HEADER, treeQuerySchema } from "../core/wire.ts";
import type { RouteContext } from "./app.ts";
import { applyOne } from "./apply_one.ts";
import { checked } from "./json_body.ts";
import { lineStream } from "./line_stream.ts";
import { limitBody, MAX_JSON_BYTES } from "./request_body.ts";

export function treeRoutes(context: RouteContext): Hono {
  const { receiver, clock } = context;
  const app = new Hono();

  app.get("/tree", checked("query", treeQuerySchema), async (c) => {
    await receiver.open();
    const { under } = c.req.valid("query");
    return c.body(lineStream(receiver.tree(under)), 200, { "content-type": LINES_TYPE });
  });

  app.get(
    "/history",
    checked("query", historyQuerySchema),
    async (c) => c.json({ records: await receiver.history(c.req.valid("query")) }),
  );

  app.post("/move", limitBody(MAX_JSON_BYTES, clock), checked("json", moveSchema), async (c) => {
    const { from, to } = c.req.valid("json");
    const sequence = await applyOne(context, { type: "move", path: to, from }, c.req.header(SESSION_HEADER));
    return c.json({ sequence });
  });

  return app;
}
