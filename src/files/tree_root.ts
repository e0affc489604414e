/**
 * The door to a tree. All access to a source or destination tree goes through a
 * {@linkcode TreeRoot} and its {@linkcode Anchor}s, which keep every path inside it: no
 * symbolic link in the tree is ever followed. On Linux that holds even while somebody
 * swaps directories for links at the same time; elsewhere parents are looked at before
 * each step and after each opening, which leaves a small window.
 *
 * @module
 */
import fs from "node:fs";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { childOf } from "../core/path.ts";
import { type Anchor, TreeAnchor } from "./anchor.ts";
import {
  CheckedDirectories,
  descriptorPath,
  type Directories,
  DIRECTORY_FLAGS,
  PinnedDirectories,
  type Top,
} from "./directories.ts";
import { toStat } from "./stat.ts";
import { TEMP_DIRECTORY, TempDirectory } from "./temp_file.ts";

export type { Anchor } from "./anchor.ts";
export type { OpenFile } from "./open_file.ts";
export type { TempFile } from "./temp_file.ts";

/** How a tree is held: by open directories, or by paths that are checked each time. */
export type Anchoring = "descriptors" | "paths";

/** A directory that is being kept in step, held by device and inode. */
export class TreeRoot implements Disposable {
  /** The real path of the directory when it was opened. */
  readonly path: string;
  /** Its device. */
  readonly dev: number;
  /** Its inode. */
  readonly ino: number;
  /** How it is held. */
  readonly anchoring: Anchoring;
  readonly #descriptor: number | undefined;
  readonly #top: Top;
  readonly #state: Directories;
  readonly #temp: TempDirectory;

  private constructor(path: string, info: Deno.FileInfo, descriptor: number | undefined) {
    const { dev, ino } = toStat(info);
    this.path = path;
    this.dev = dev;
    this.ino = ino;
    this.anchoring = descriptor === undefined ? "paths" : "descriptors";
    this.#descriptor = descriptor;
    this.#top = { native: descriptor === undefined ? path : descriptorPath(descriptor) };
    this.#state = this.#directories();
    this.#temp = new TempDirectory(this.#state);
  }

  /**
   * Opens the directory, links on the way to it followed.
   *
   * Descriptors need a Linux with `/proc`, a Deno whose `node:fs` gives real descriptors
   * (2.9 does, 2.7 does not), and all permissions, which Deno asks for below `/proc`.
   *
   * @param options `anchoring`: by default descriptors where they work, else paths.
   * @throws {FilesyncError} `not-found`, `permission`, `conflict` when it is no directory,
   * `unsupported` when descriptors were asked for and do not work.
   */
  static open(directory: string, options: { anchoring?: Anchoring } = {}): TreeRoot {
    const operation = `open ${JSON.stringify(directory)}`;
    try {
      const path = Deno.realPathSync(directory);
      const info = Deno.lstatSync(path);
      if (!info.isDirectory) {
        const hint = "Name the directory that it is in";
        throw new FilesyncError({ code: "conflict", operation, reason: "it is not a directory", hint });
      }
      if (options.anchoring === "paths") return new TreeRoot(path, info, undefined);
      const descriptor = openDescriptor(path, info);
      if (descriptor === undefined && options.anchoring === "descriptors") {
        throw new FilesyncError({
          code: "unsupported",
          operation,
          reason: "directories cannot be held open by this system and its permissions",
          hint: "It takes Linux, a mounted /proc and all permissions (-A)",
          permanent: true,
        });
      }
      return new TreeRoot(path, info, descriptor);
    } catch (error) {
      const known = toFilesyncError(operation, error);
      if (known.code !== "not-found") throw known;
      const { code, reason } = known;
      throw new FilesyncError({
        code,
        operation,
        reason,
        hint: "Create it, or correct the path",
        cause: error,
      });
    }
  }

  /** Whether the directory still stands at its path: it may have been removed, replaced or unmounted. */
  isInPlace(): boolean {
    try {
      const { dev, ino } = Deno.lstatSync(this.path);
      return dev === this.dev && ino === this.ino;
    } catch {
      return false;
    }
  }

  /** Begins one piece of work. Dispose what it returns, and do so before the root. */
  anchor(): Anchor {
    return new TreeAnchor(this.#directories(), this.#temp);
  }

  /** Lets go of the directory; an anchor that is left finds nothing any more. */
  [Symbol.dispose](): void {
    this.#state[Symbol.dispose]();
    if (this.#descriptor === undefined || this.#top.native === CLOSED) return;
    this.#top.native = CLOSED;
    fs.closeSync(this.#descriptor);
  }

  #directories(): Directories {
    return this.#descriptor === undefined
      ? new CheckedDirectories(this.#top)
      : new PinnedDirectories(this.#top);
  }
}

/** Names nothing, ever. The closed descriptor's number may soon mean some other directory. */
const CLOSED = descriptorPath(-1);

/** Opens the directory, provided that its descriptor proves to lead back to it. */
function openDescriptor(path: string, { dev, ino }: Deno.FileInfo): number | undefined {
  if (Deno.build.os !== "linux") return undefined;
  const descriptor = fs.openSync(path, DIRECTORY_FLAGS);
  try {
    const reached = Deno.statSync(descriptorPath(descriptor));
    if (reached.dev === dev && reached.ino === ino) return descriptor;
  } catch {
    // No /proc, or no permission for it.
  }
  fs.closeSync(descriptor);
  return undefined;
}

/**
 * Removes what an earlier run left in the directory of temporary files. Call it at
 * start-up, before anything is written.
 *
 * @returns How many files it removed.
 */
export function cleanTemp(root: TreeRoot): number {
  using anchor = root.anchor();
  if (anchor.lstat(TEMP_DIRECTORY)?.kind !== "directory") return 0;
  const left = anchor.list(TEMP_DIRECTORY).map((name) => childOf(TEMP_DIRECTORY, name));
  for (const path of left) anchor.removeFile(path);
  return left.length;
}
