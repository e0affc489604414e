/** Errors of someone who typed something else than the program understands. @module */
import { FilesyncError } from "../core/errors.ts";

/** An error that ends with exit code 2: `Cannot <operation>: <reason>`. */
export function usageError(operation: string, reason: string, hint?: string): FilesyncError {
  return new FilesyncError({ code: "usage", operation, reason, hint, permanent: true });
}
