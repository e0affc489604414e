/** The server's tokens, kept in files that only their owner can read. @module */
import { encodeBase64Url } from "@std/encoding";
import type { Clock } from "../core/clock.ts";
import { FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";
import { replaceFile } from "../files/replace_file.ts";

/** Bytes of randomness in a token. */
const TOKEN_BYTES = 24;

/** A file is looked at again after this many milliseconds. */
const LOOK_AGAIN_MS = 1_000;

/** Errors that say nothing of the file. */
const UNTOLD: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "EIO"]);

/** A token, and whether it was made just now. */
export interface Token {
  value: string;
  isNew: boolean;
}

/**
 * Reads the token in the file at `path`, or makes one there.
 *
 * @throws {FilesyncError} When the file cannot be read or made, is empty, or can be read by others.
 */
export function readOrMakeToken(path: string): Token {
  try {
    return { value: readToken(path), isNew: false };
  } catch (error) {
    if (osCode(error) !== "ENOENT") throw toFilesyncError(`read the token in "${path}"`, error);
  }
  const value = encodeBase64Url(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)));
  try {
    // A token that was told must not go with the power, nor an empty file stay for it.
    replaceFile(path, `${value}\n`, 0o600);
  } catch (error) {
    throw toFilesyncError(`write the token to "${path}"`, error);
  }
  return { value, isNew: true };
}

/**
 * Gives the token that the file at `path` holds now, so that a new one holds, and the old one no more,
 * within a second of being written. While the file cannot be used there is none; what it gives throws a
 * {@linkcode FilesyncError} while nobody can tell, because the process or its disk is in trouble.
 */
export function followToken(
  path: string,
  clock: Clock,
  read: (path: string) => string = readToken,
): () => string | undefined {
  let value: string | undefined;
  let lookedAt = -Infinity;
  return () => {
    const now = clock.now();
    // A clock that was set back counts as late, too.
    if (Math.abs(now - lookedAt) < LOOK_AGAIN_MS) return value;
    lookedAt = now;
    try {
      return value = read(path);
    } catch (error) {
      value = undefined;
      if (!UNTOLD.has(osCode(error) ?? "")) return undefined;
      lookedAt = -Infinity;
      // A client that was told that its token is wrong would not come again.
      throw toFilesyncError("read the token", error);
    }
  };
}

function readToken(path: string): string {
  const value = Deno.readTextFileSync(path).trim();
  const { mode } = Deno.statSync(path);
  if (mode !== null && Deno.build.os !== "windows" && (mode & 0o077) !== 0) {
    throw new FilesyncError({
      code: "permission",
      operation: `use the token in "${path}"`,
      reason: "others can read it",
      hint: `Run: chmod 600 "${path}"`,
      permanent: true,
    });
  }
  if (value === "") {
    throw new FilesyncError({
      code: "usage",
      operation: `use the token in "${path}"`,
      reason: "the file is empty",
      hint: "Remove it, and a token will be made",
      permanent: true,
    });
  }
  return value;
}
