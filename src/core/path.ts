/**
 * Paths inside a tree. A {@linkcode TreePath} is relative, `/`-separated and
 * has been checked once, by {@linkcode parsePath}; code that takes one never
 * checks again, and code that has a plain string cannot pass it on.
 *
 * @module
 */
import { PathError } from "./errors.ts";

declare const checked: unique symbol;

/** A checked path relative to the root of a tree. {@linkcode ROOT} is the root itself. */
export type TreePath = string & { readonly [checked]: true };

/** The root of a tree. */
export const ROOT = "" as TreePath;

/** The directory in which a destination keeps its own state; never part of a tree, at any depth. */
export const STATE_DIRECTORY = ".filesync";

/** Most bytes of UTF-8 in a whole path. Beyond it no tool of the system could name the file in one call. */
export const MAX_PATH_BYTES = 32_768;

/**
 * Most names in a path. Each directory on the way is opened, made, recorded and saved: were there no limit,
 * one request could have 16,000 of them made, and keep everybody else waiting for minutes.
 */
export const MAX_PATH_DEPTH = 500;

/** Most bytes of UTF-8 in one name: `NAME_MAX` of Linux, and of nearly every file system. */
export const MAX_NAME_BYTES = 255;

const encoder = new TextEncoder();

/**
 * Checks a path that comes from outside (the network, a flag, a directory listing).
 *
 * @throws {PathError} When the path is empty, absolute, holds NUL, `.`, `..` or an
 * empty segment, is not well-formed Unicode, is too long, or names
 * {@linkcode STATE_DIRECTORY}.
 */
export function parsePath(text: string): TreePath {
  const reason = pathFault(text);
  if (reason !== undefined) throw new PathError(text, reason);
  return text as TreePath;
}

/** Why `text` is not a path inside a tree, or `undefined` when it is one. */
export function pathFault(text: string): string | undefined {
  if (text === "") return "the path is empty";
  if (text.startsWith("/")) return "the path is absolute";
  if (encoder.encode(text).length > MAX_PATH_BYTES) {
    return `the path is longer than ${MAX_PATH_BYTES} bytes`;
  }
  const names = text.split("/");
  if (names.length > MAX_PATH_DEPTH) return `the path is more than ${MAX_PATH_DEPTH} directories deep`;
  for (const name of names) {
    const reason = nameFault(name);
    if (reason !== undefined) return reason;
  }
}

/** A path of fewer characters can be neither too long nor too deep, as long as its names are none. */
const SURELY_SHORT = 2 * MAX_PATH_DEPTH;

/** Why `name`, which stands in `directory`, makes no path inside a tree, or `undefined` when it does. */
export function childFault(directory: TreePath, name: string): string | undefined {
  const fault = nameFault(name);
  if (fault !== undefined || directory.length + name.length < SURELY_SHORT - 1) return fault;
  return pathFault(childOf(directory, name));
}

/** Why `name` cannot be one segment of a path, or `undefined` when it can. */
export function nameFault(name: string): string | undefined {
  if (name === "") return "the path has an empty segment";
  if (name === "." || name === "..") return `the path has the segment "${name}"`;
  if (name.includes("/")) return "the name has a slash";
  if (name.includes("\0")) return "the path has a NUL character";
  if (!name.isWellFormed() || name.includes("\uFFFD")) {
    return "the name is not valid Unicode";
  }
  if (meansState(name)) {
    return `"${STATE_DIRECTORY}" is reserved for the program's own state`;
  }
  // A UTF-16 code unit is at most three bytes of UTF-8.
  if (name.length * 3 > MAX_NAME_BYTES && encoder.encode(name).length > MAX_NAME_BYTES) {
    return `the name is longer than ${MAX_NAME_BYTES} bytes`;
  }
}

/** One spelling for all that a file system without regard to case and Unicode form takes for the same path. */
export function foldPath(path: TreePath): string {
  return path.normalize("NFC").toLowerCase().normalize("NFC");
}

/** What some file system takes for {@linkcode STATE_DIRECTORY}, once it is folded. */
const STATE_SPELLING = /^\.filesync[. ]*(:|$)|^filesy~\d+$/i;

/** Characters that the file system of macOS passes over in comparing names; list of git's `utf8.c`. */
const PASSED_OVER = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;

/**
 * Whether some file system takes `name` for {@linkcode STATE_DIRECTORY}: it may not tell cases, widths and
 * ligatures apart (macOS, casefold), pass over some characters (macOS), drop dots and spaces at the end,
 * take `:…` for a stream and know short names (Windows).
 */
function meansState(name: string): boolean {
  if (STATE_SPELLING.test(name)) return true;
  return /[^\0-\x7f]/.test(name) && STATE_SPELLING.test(name.replace(PASSED_OVER, "").normalize("NFKC"));
}

/** Names of devices, which Windows knows in every directory and with every extension. */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])[ .]*(\.|:|$)/i;

/** Why Windows would take `name`, which {@linkcode nameFault} has passed, for something else; `undefined` when it would not. */
export function windowsNameFault(name: string): string | undefined {
  const character = /[<>:"|?*\\\0-\x1f]/.exec(name)?.[0];
  if (character !== undefined) return `Windows allows no ${JSON.stringify(character)} in a name`;
  if (/[. ]$/.test(name)) return "Windows allows no dot or space at the end of a name";
  if (DEVICE.test(name)) return "Windows takes the name for a device";
}

/** The directory that holds `path`; {@linkcode ROOT} for a name at the top. */
export function parentOf(path: TreePath): TreePath {
  const slash = path.lastIndexOf("/");
  return (slash < 0 ? "" : path.slice(0, slash)) as TreePath;
}

/** The last segment of `path`. */
export function nameOf(path: TreePath): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The path of `name` in `directory`. `name` must have passed {@linkcode nameFault}. */
export function childOf(directory: TreePath, name: string): TreePath {
  return (directory === ROOT ? name : `${directory}/${name}`) as TreePath;
}

/** Whether `path` is `directory` itself or lies below it. */
export function isWithin(path: TreePath, directory: TreePath): boolean {
  return directory === ROOT || path === directory ||
    (path.length > directory.length && path.startsWith(directory) &&
      path.charCodeAt(directory.length) === 47);
}

/** Whether one of the two paths contains the other, or both are the same. */
export function areRelated(a: TreePath, b: TreePath): boolean {
  return isWithin(a, b) || isWithin(b, a);
}

/** `path` with its prefix `from` replaced by `to`. `path` must lie within `from`. */
export function rebase(path: TreePath, from: TreePath, to: TreePath): TreePath {
  return (to + path.slice(from.length)) as TreePath;
}

/**
 * The half-open range `[low, high)` of strings, in binary order, that holds exactly
 * the paths below `directory` (without it): for range queries on an index.
 */
export function rangeBelow(directory: TreePath): { low: string; high: string } {
  // "0" is the character after "/".
  return { low: `${directory}/`, high: `${directory}0` };
}

/** Of `paths`, those that lie within no other. */
export function outermost(paths: readonly TreePath[]): TreePath[] {
  const all = new Set(paths);
  return paths.filter((path) => {
    for (let above = parentOf(path); above !== ROOT; above = parentOf(above)) {
      if (all.has(above)) return false;
    }
    return true;
  });
}

/**
 * Whether `a` stands before `b` in the order of paths, that of their UTF-8 bytes and of SQLite: by code
 * point, where JavaScript's own order is by UTF-16 unit.
 */
export function comesBefore(a: string, b: string): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for code points above all others.
    const xIsHigh = x >= 0xd800 && x <= 0xdfff;
    const yIsHigh = y >= 0xd800 && y <= 0xdfff;
    return xIsHigh === yIsHigh ? x < y : yIsHigh;
  }
  return a.length < b.length;
}
