/** `POST /v1/sessions`: a client comes, and is told who it talks to. @module */
import { Hono } from "hono";
import { helloSchema, PROTOCOL, protocolMismatch } from "../core/wire.ts";
import type { RouteContext } from "./app.ts";
import { checked } from "./json_body.ts";
import { limitBody, MAX_JSON_BYTES } from "./request_body.ts";

export function sessionRoutes({ receiver, sessions, version, clock }: RouteContext): Hono {
  return new Hono().post(
    "/sessions",
    limitBody(MAX_JSON_BYTES, clock),
    checked("json", helloSchema),
    async (c) => {
      const hello = c.req.valid("json");
      if (hello.protocol !== PROTOCOL) throw protocolMismatch(hello.protocol, PROTOCOL);
      const info = await receiver.open();
      const { id } = sessions.begin(hello.client, hello.version);
      return c.json({ session: id, protocol: PROTOCOL, version, ...info }, 201);
    },
  );
}
