/** JSON bodies and queries, checked against a schema. @module */
import { sValidator } from "@hono/standard-validator";
import type * as v from "valibot";
import { wireFault } from "../core/wire.ts";

/** A middleware that checks a JSON body or a query against `schema` and answers 400 when it does not fit. */
export function checked<
  Target extends "json" | "query",
  Schema extends v.GenericSchema,
>(target: Target, schema: Schema) {
  return sValidator(target, schema, (result) => {
    if (!result.success) {
      throw wireFault(target === "json" ? "the body" : "the query", result.error as v.BaseIssue<unknown>[]);
    }
  });
}
