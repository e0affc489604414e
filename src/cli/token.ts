/** The token a client shows to a server. @module */
import { toFilesyncError } from "../core/errors.ts";
import type { Context, Flag, Invocation } from "./command.ts";
import { usageError } from "./usage_error.ts";

/** Names the variable that holds the token itself. */
export const TOKEN_VARIABLE = "FILESYNC_TOKEN";

/** The flag of every command that may need a token. */
export const TOKEN_FILE_FLAG: Flag = {
  name: "token-file",
  value: "FILE",
  env: "FILESYNC_TOKEN_FILE",
  description: `Read the server's token from FILE; ${TOKEN_VARIABLE} can hold the token itself`,
};

/**
 * The token that was given, if any.
 *
 * @throws {FilesyncError} When the file cannot be read or is empty.
 */
export function readToken(invocation: Invocation, context: Context): string | undefined {
  const path = invocation.flag(TOKEN_FILE_FLAG.name);
  if (path === undefined) return context.environment(TOKEN_VARIABLE) || undefined;
  try {
    const token = Deno.readTextFileSync(path).trim();
    if (token === "") {
      throw usageError(
        `use the token in "${path}"`,
        "the file is empty",
        "Put the token into it that `filesync serve` printed",
      );
    }
    return token;
  } catch (error) {
    throw toFilesyncError(`read the token in "${path}"`, error);
  }
}
