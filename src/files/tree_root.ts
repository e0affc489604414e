/**
 * The door to a tree. All access to a source or destination tree goes through a
 * {@linkcode TreeRoot} and its {@linkcode Anchor}s, which keep every path inside it: no
 * symbolic link in the tree is ever followed. On Linux that holds even while somebody
 * swaps directories for links at the same time; elsewhere parents are looked at before
 * each step and after each opening, which leaves a small window.
 *
 * @module
 */
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { childOf, parentOf } from "../core/path.ts";
import { type Anchor, TreeAnchor } from "./anchor.ts";
import { CheckedDirectories } from "./checked_directories.ts";
import type { Directories } from "./directories.ts";
import { ALL_KEPT, findKept, type KeptAttributes } from "./kept_attributes.ts";
import { loadLibc } from "./libc.ts";
import { DescriptorDirectory, PinnedDirectories } from "./pinned_directories.ts";
import { toStat } from "./stat.ts";
import { TEMP_DIRECTORY, TempDirectory } from "./temp_file.ts";

export type { Anchor } from "./anchor.ts";
export type { OpenFile } from "./open_file.ts";
export type { Listed, Stat } from "./stat.ts";
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
  /**
   * Whether {@linkcode syncFileSystem} can be relied on: where directories are held by
   * descriptors, by a kernel that tells what went wrong with writing (Linux 5.8).
   */
  readonly canSyncFileSystem: boolean;
  /** Where it can be held open. */
  readonly #top: DescriptorDirectory | undefined;
  readonly #state: Directories;
  readonly #temp: TempDirectory;
  #kept: KeptAttributes | undefined;

  private constructor(path: string, info: Deno.FileInfo, top: DescriptorDirectory | undefined) {
    const { dev, ino } = toStat(info);
    this.path = path;
    this.dev = dev;
    this.ino = ino;
    this.anchoring = top === undefined ? "paths" : "descriptors";
    this.canSyncFileSystem = top !== undefined && tellsWriteErrors(kernelRelease());
    this.#top = top;
    this.#state = this.#directories();
    this.#temp = new TempDirectory(this.#state);
  }

  /**
   * Opens the directory, links on the way to it followed.
   *
   * Descriptors need a Linux with `/proc` and the GNU C library, and all permissions, which Deno
   * asks for below `/proc`.
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
      const top = openTop(path, info);
      if (top === undefined && options.anchoring === "descriptors") {
        throw new FilesyncError({
          code: "unsupported",
          operation,
          reason: "directories cannot be held open by this system and its permissions",
          hint: "It takes Linux with the GNU C library, a mounted /proc and all permissions (-A)",
          permanent: true,
        });
      }
      return new TreeRoot(path, info, top);
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

  /**
   * Resolves when everything that was written to the file system of the tree so far, by anybody,
   * is on the disk: contents, names and attributes. Other work goes on meanwhile. For many small
   * files that costs a fraction of saving each of them.
   *
   * @throws {FilesyncError} `unsupported` without {@linkcode canSyncFileSystem}; or when writing
   * failed, for whatever file of the file system.
   */
  async syncFileSystem(): Promise<void> {
    const operation = `save the file system of ${JSON.stringify(this.path)}`;
    if (this.#top === undefined || !this.canSyncFileSystem) {
      const reason = "this system has no call that does it and tells of errors";
      throw new FilesyncError({ code: "unsupported", operation, reason, permanent: true });
    }
    try {
      await this.#top.syncFileSystem();
    } catch (error) {
      throw toFilesyncError(operation, error);
    }
  }

  /** What its file system keeps of attributes; found out when it is first asked for. */
  get kept(): KeptAttributes {
    return (this.#kept ??= findKept(this)) ?? ALL_KEPT;
  }

  /** Begins one piece of work. Dispose what it returns, and do so before the root. */
  anchor(): Anchor {
    return new TreeAnchor(this.#directories(), this.#temp, this);
  }

  /** Lets go of the directory; an anchor that is left finds nothing any more. */
  [Symbol.dispose](): void {
    this.#state[Symbol.dispose]();
    this.#top?.[Symbol.dispose]();
  }

  #directories(): Directories {
    return this.#top === undefined ? new CheckedDirectories(this.path) : new PinnedDirectories(this.#top);
  }
}

/** Whether `syncfs` of this kernel reports write errors: before Linux 5.8 it says that all is well. */
export function tellsWriteErrors(release: string): boolean {
  const [major, minor] = release.split(".").map(Number.parseFloat);
  return major > 5 || (major === 5 && minor >= 8);
}

/** The kernel's version; none where it may not be asked for. */
function kernelRelease(): string {
  try {
    return Deno.osRelease();
  } catch {
    return "";
  }
}

/** Opens the directory, provided that its descriptor proves to lead back to it. */
function openTop(path: string, { dev, ino }: Deno.FileInfo): DescriptorDirectory | undefined {
  const libc = loadLibc();
  if (libc === undefined) return undefined;
  const top = DescriptorDirectory.open(libc, path);
  try {
    const reached = Deno.statSync(top.nativePath("."));
    if (reached.dev === dev && reached.ino === ino) return top;
  } catch {
    // No /proc, or no permission for it.
  }
  top[Symbol.dispose]();
  return undefined;
}

/**
 * Removes the files that an earlier run left in the directory of temporary files. Call it at
 * start-up, before anything is written.
 *
 * @param keep Names of files that are still needed.
 * @returns How many files it removed.
 */
export function cleanTemp(root: TreeRoot, keep: ReadonlySet<string> = new Set()): number {
  using anchor = root.anchor();
  if (anchor.lstat(TEMP_DIRECTORY)?.kind !== "directory") return 0;
  const left = anchor.list(TEMP_DIRECTORY).filter((name) => !keep.has(name)).map((name) =>
    childOf(TEMP_DIRECTORY, name)
  ).filter((path) => anchor.lstat(path)?.kind !== "directory");
  for (const path of left) anchor.removeFile(path);
  return left.length;
}

/** Removes the directory of temporary files, and the state directory above it, unless anything is in them. */
export function removeEmptyTemp(root: TreeRoot): void {
  using anchor = root.anchor();
  try {
    for (const path of [TEMP_DIRECTORY, parentOf(TEMP_DIRECTORY)]) anchor.removeDirectory(path);
  } catch (error) {
    // Something is in it, or it may not be removed: it does no harm.
    if (!(error instanceof FilesyncError)) throw error;
  }
}
