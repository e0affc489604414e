/** The forms of pages. @module */
import type { Context } from "hono";
import { FilesyncError } from "../../core/errors.ts";

/**
 * The fields of the form that a request brings.
 *
 * @throws {FilesyncError} `bad-request` when its body is none.
 */
export async function formOf(c: Context): Promise<Record<string, unknown>> {
  try {
    return await c.req.parseBody();
  } catch (cause) {
    throw new FilesyncError({
      code: "bad-request",
      operation: "read what was sent",
      reason: "it is not a form",
      hint: "Use the button on the page",
      permanent: true,
      cause,
    });
  }
}
