/** Says with every answer to which request it belongs. @module */
import type { MiddlewareHandler } from "hono";
import { REQUEST_HEADER } from "../core/wire.ts";

/** What a request may be named: it comes back in a header. */
const NAME = /^[\w-]{1,100}$/;

/** A middleware that sets {@linkcode REQUEST_HEADER} as the request does, errors too. */
export function repeatRequestName(): MiddlewareHandler {
  return async function repeatRequestName(c, next) {
    await next();
    nameAnswer(c.res, c.req.raw);
  };
}

/** Sets the header on one answer. */
export function nameAnswer(response: Response, request: Request): void {
  const name = request.headers.get(REQUEST_HEADER);
  if (name !== null && NAME.test(name)) response.headers.set(REQUEST_HEADER, name);
}
