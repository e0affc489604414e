/**
 * How the directories of a tree are reached without ever following a symbolic link in it.
 *
 * Linux has `openat`, but no JavaScript runtime offers it. What they do offer is a path
 * through `/proc/self/fd`: `/proc/self/fd/7/name` is resolved by the kernel from the open
 * directory 7, wherever it stands by now, exactly as `openat(7, "name")` would.
 * {@linkcode PinnedDirectories} builds on that; {@linkcode CheckedDirectories} is for
 * systems without it and can only look twice.
 *
 * @module
 */
import fs from "node:fs";
import { osCode } from "../core/errors.ts";
import { isWithin, nameOf, ROOT, type TreePath } from "../core/path.ts";

/** Reaches directories of one tree. */
export interface Directories extends Disposable {
  /**
   * Whether a path that {@linkcode reach} gave goes on meaning the same directory; otherwise
   * whoever opened something by it has to call {@linkcode reach} again and compare.
   */
  readonly pinned: boolean;
  /**
   * A native path of `directory`, to which `/` and one name may be added. It holds until
   * the next call, or over it when it is passed as `keep`.
   *
   * @throws {Obstacle} When the directory, or one above it, is missing or is no directory.
   */
  reach(directory: TreePath, keep?: string): string;
  /** Lets go of what is known about `path` and everything below it. */
  forget(path: TreePath): void;
}

/** The top of a tree. While it is closed, `native` names nothing. */
export interface Top {
  native: string;
}

/** Something that is in the way to a directory. */
export class Obstacle extends Error {
  override name = "Obstacle";
  /**
   * @param code `ENOENT`: nothing is there; `ELOOP`: a symbolic link; `ENOTDIR`: something else.
   * @param at The first path on the way that is not a directory.
   */
  constructor(readonly code: "ENOENT" | "ELOOP" | "ENOTDIR", readonly at: TreePath) {
    super(`${code} at ${JSON.stringify(at)}`);
  }
}

/** Flags to open a directory, and nothing else, at the very path. They are missing on Windows. */
export const DIRECTORY_FLAGS = fs.constants.O_RDONLY | (fs.constants.O_DIRECTORY ?? 0) |
  (fs.constants.O_NOFOLLOW ?? 0);

/** The path by which this process, all its threads included, reaches what `descriptor` has open. */
export function descriptorPath(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

interface Pin {
  descriptor: number;
  native: string;
}

/**
 * Keeps directories open and reaches what is in them through the descriptors. Each is opened
 * from its parent's descriptor by its bare name with `O_NOFOLLOW`, so no swap of a parent for
 * a link is ever walked through, and no path is too long.
 */
export class PinnedDirectories implements Directories {
  readonly pinned = true;
  readonly #top: Top;
  readonly #limit: number;
  /** Least recently used first. */
  readonly #pins = new Map<TreePath, Pin>();
  #lastPath = ROOT;
  #lastNative = "";

  /** @param limit Most directories that are kept open; at least 3. */
  constructor(top: Top, limit = 64) {
    this.#top = top;
    this.#limit = limit;
  }

  reach(directory: TreePath, keep?: string): string {
    if (directory === ROOT) return this.#top.native;
    if (directory === this.#lastPath) return this.#lastNative;
    const native = this.#touch(directory) ?? this.#walk(directory, keep);
    this.#lastPath = directory;
    this.#lastNative = native;
    return native;
  }

  forget(path: TreePath): void {
    for (const [pinned, { descriptor }] of this.#pins) {
      if (!isWithin(pinned, path)) continue;
      fs.closeSync(descriptor);
      this.#pins.delete(pinned);
    }
    this.#lastPath = ROOT;
  }

  [Symbol.dispose](): void {
    this.forget(ROOT);
  }

  #touch(directory: TreePath): string | undefined {
    const pin = this.#pins.get(directory);
    if (pin === undefined) return undefined;
    this.#pins.delete(directory);
    this.#pins.set(directory, pin);
    return pin.native;
  }

  /** Opens step by step from the nearest directory above that is open already. */
  #walk(directory: TreePath, keep: string | undefined): string {
    let at = ROOT;
    for (const pinned of this.#pins.keys()) {
      if (pinned.length > at.length && isWithin(directory, pinned)) at = pinned;
    }
    let native = at === ROOT ? this.#top.native : this.#touch(at)!;
    while (at !== directory) {
      at = stepTowards(directory, at);
      native = this.#open(at, `${native}/${nameOf(at)}`, keep);
    }
    return native;
  }

  #open(path: TreePath, through: string, keep: string | undefined): string {
    let descriptor: number;
    try {
      descriptor = fs.openSync(through, DIRECTORY_FLAGS);
    } catch (error) {
      throw obstacleAt(path, through, error);
    }
    const native = descriptorPath(descriptor);
    this.#pins.set(path, { descriptor, native });
    if (this.#pins.size > this.#limit) this.#evict(keep);
    return native;
  }

  /** Closes the oldest, but not the one the caller still holds: its number would soon mean another. */
  #evict(keep: string | undefined): void {
    for (const [path, { descriptor, native }] of this.#pins) {
      if (native === keep) continue;
      fs.closeSync(descriptor);
      this.#pins.delete(path);
      return;
    }
  }
}

/**
 * Looks at every directory on the way, each time. A swap between the look and the use is
 * noticed only where the caller looks again, and too late for a rename or a removal.
 */
export class CheckedDirectories implements Directories {
  readonly pinned = false;
  readonly #top: Top;

  constructor(top: Top) {
    this.#top = top;
  }

  reach(directory: TreePath): string {
    for (let at = ROOT; at !== directory;) {
      at = stepTowards(directory, at);
      const native = `${this.#top.native}/${at}`;
      let info: Deno.FileInfo;
      try {
        info = Deno.lstatSync(native);
      } catch (error) {
        throw obstacleAt(at, native, error);
      }
      if (!info.isDirectory) throw new Obstacle(info.isSymlink ? "ELOOP" : "ENOTDIR", at);
    }
    return directory === ROOT ? this.#top.native : `${this.#top.native}/${directory}`;
  }

  forget(): void {}

  [Symbol.dispose](): void {}
}

/** The ancestor of `directory`, or itself, that stands directly in `above`. */
export function stepTowards(directory: TreePath, above: TreePath): TreePath {
  const slash = directory.indexOf("/", above === ROOT ? 0 : above.length + 1);
  return (slash < 0 ? directory : directory.slice(0, slash)) as TreePath;
}

/** Tells a link from a file: `O_DIRECTORY` with `O_NOFOLLOW` answers `ENOTDIR` to both. */
function obstacleAt(path: TreePath, native: string, error: unknown): unknown {
  const code = osCode(error);
  if (code === "ENOENT") return new Obstacle("ENOENT", path);
  if (code !== "ENOTDIR" && code !== "ELOOP") return error;
  try {
    return new Obstacle(Deno.lstatSync(native).isSymlink ? "ELOOP" : "ENOTDIR", path);
  } catch {
    return new Obstacle("ENOENT", path);
  }
}
