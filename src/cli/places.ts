/** Directories that users name. @module */
import { dirname, join, relative } from "@std/path";
import { type ErrorCode, FilesyncError, osCode, PathError, toFilesyncError } from "../core/errors.ts";
import { parsePath, ROOT, type TreePath } from "../core/path.ts";
import { usageError } from "./usage_error.ts";

/** `path` from the root. */
export function absolute(path: string): string {
  return path.startsWith("/") ? path : join(Deno.cwd(), path);
}

/**
 * The real path of a directory, links resolved.
 *
 * @throws {FilesyncError} When it is missing, cannot be reached or is none.
 */
export function realDirectory(path: string): string {
  const fault = (code: ErrorCode, reason: string, hint?: string, cause?: unknown) =>
    new FilesyncError({ code, operation: `open "${path}"`, reason, hint, permanent: true, cause });
  let real: string;
  let isDirectory: boolean;
  try {
    real = Deno.realPathSync(path);
    ({ isDirectory } = Deno.statSync(real));
  } catch (error) {
    const { code, reason } = toFilesyncError("", error);
    throw fault(code, reason, code === "not-found" ? "Create it, or correct the path" : undefined, error);
  }
  if (!isDirectory) throw fault("conflict", "it is not a directory", "Name the directory that it is in");
  return real;
}

/** The real path that `path` has, or would have once it is made: links above it are resolved. */
export function realPathOf(path: string): string {
  const full = absolute(path);
  try {
    return Deno.realPathSync(full);
  } catch {
    const parent = dirname(full);
    return parent === full ? full : join(realPathOf(parent), relative(parent, full));
  }
}

/**
 * The path below `directory` that `path` has there: the empty one for the directory itself, `undefined` for
 * what lies elsewhere, or when `directory` is empty. Both are taken from the root.
 */
export function pathWithin(directory: string, path: string): string | undefined {
  if (directory === "") return undefined;
  const within = relative(directory, path);
  return within === ".." || /^\.\.[/\\]/.test(within) ? undefined : within;
}

/**
 * The path in a tree that a user means by `text`, relative to its top, or to the directory that was named.
 *
 * @param what What it is for, to name in the error: `--under`.
 * @param within The directory that was named, when it is not the whole tree.
 * @throws {FilesyncError} `usage` when no tree can have it.
 */
export function pathInTree(text: string, what: string, within: TreePath = ROOT): TreePath {
  try {
    const path = parsePath(text.replace(/^(\.\/)+/, "").replace(/\/+$/, ""));
    return within === ROOT ? path : parsePath(`${within}/${path}`);
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    const hint = "Name it by its path below the top of the tree, such as 2024/a.jpg";
    throw usageError(`use ${JSON.stringify(text)} for ${what}`, error.reason, hint);
  }
}

/** Ignore patterns for those of `places` that lie in `directory`: watching files of ours would never come to rest. */
export function patternsFor(directory: string, places: (string | undefined)[]): string[] {
  return places.flatMap((place) => {
    if (place === undefined) return [];
    const within = pathWithin(directory, absolute(place));
    if (!within) return [];
    const pattern = `/${within.replace(/[\\*?[\]!# ]/g, "\\$&")}`;
    // A log that was rotated has a number.
    return [pattern, `${pattern}.[0-9]`];
  });
}

/** A directory that goes away with its user. */
export function scratchDirectory(): Disposable & { path: string } {
  const path = Deno.makeTempDirSync({ prefix: "filesync-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/** Copies a database, so that a dry run can play with it. SQLite's log of late changes goes along. */
export function copyDatabase(directory: string, name: string, to: string): void {
  for (const suffix of ["", "-wal"]) {
    try {
      Deno.copyFileSync(join(directory, name + suffix), join(to, name + suffix));
    } catch (error) {
      if (osCode(error) !== "ENOENT") throw toFilesyncError(`copy "${name}" for a dry run`, error);
    }
  }
}
