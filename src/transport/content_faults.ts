/** Why content could not be built for a put. @module */
import type { PutAction } from "../core/action.ts";
import { FilesyncError } from "../core/errors.ts";

/** The client must send it, or more of it. */
export function contentMissing(put: PutAction): FilesyncError {
  return new FilesyncError({
    code: "content-missing",
    operation: `put "${put.path}"`,
    reason: "its content is not here",
    hint: "Offer it again, and stage what is missing",
  });
}

/** What was sent is not what was promised. */
export function contentMismatch(put: PutAction, what: "digest" | "size"): FilesyncError {
  return new FilesyncError({
    code: "digest-mismatch",
    operation: `put "${put.path}"`,
    reason: `the content has another ${what}`,
    hint: "Send it again; if it stays so, something on the way changes the data",
  });
}
