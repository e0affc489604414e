/** `POST /v1/status`: a client tells how it is doing, for the people who look at the server. @module */
import { Hono } from "hono";
import { clientStatusSchema, SESSION_HEADER } from "../core/wire.ts";
import type { RouteContext } from "./app.ts";
import { checked } from "./json_body.ts";
import { limitBody } from "./request_body.ts";

/** Most bytes of a status: all that its schema lets pass, of characters that JSON writes as escapes. */
const MAX_STATUS_BYTES = 192 << 10;

export function statusRoutes({ sessions, clock }: RouteContext): Hono {
  return new Hono().post(
    "/status",
    limitBody(MAX_STATUS_BYTES, clock),
    checked("json", clientStatusSchema),
    (c) => c.json({ known: sessions.tell(c.req.header(SESSION_HEADER), c.req.valid("json")) }),
  );
}
