/** JSON bodies and queries, checked against a schema. @module */
import { sValidator } from "@hono/standard-validator";
import type * as v from "valibot";
import { wireFault } from "../core/wire.ts";
import { requireType } from "./request_body.ts";

/** A middleware that checks a JSON body or a query against `schema`; answers 400 when it does not fit, 415 to a body of another type. */
export function checked<
  Target extends "json" | "query",
  Schema extends v.GenericSchema,
>(target: Target, schema: Schema) {
  return sValidator(target, schema, (result, c) => {
    // The validator takes a body of any other type for an empty object.
    if (target === "json") requireType(c, "application/json");
    if (!result.success) {
      throw wireFault(target === "json" ? "the body" : "the query", result.error as v.BaseIssue<unknown>[]);
    }
  });
}
