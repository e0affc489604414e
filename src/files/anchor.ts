/** Everything that is done to a tree, by paths that are kept inside it. @module */
import fs from "node:fs";
import { permissionBits } from "../core/entry.ts";
import { FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";
import { nameOf, parentOf, ROOT, type TreePath } from "../core/path.ts";
import { descriptorPath, type Directories, DIRECTORY_FLAGS, Obstacle, stepTowards } from "./directories.ts";
import { type OpenFile, openFile } from "./open_file.ts";
import { type Stat, toStat } from "./stat.ts";
import type { TempDirectory, TempFile } from "./temp_file.ts";

/**
 * A set of open directories for one piece of work, such as a batch or one pass over a tree.
 * It is meant to live shortly: a directory that somebody else moves is still reached
 * where it went.
 *
 * No method follows a symbolic link. Every method but `lstat` throws a
 * {@linkcode FilesyncError}: `conflict` when something of another kind is in the way,
 * `not-found` when a parent is missing.
 */
export interface Anchor extends Disposable {
  /** What stands at `path`; `undefined` when nothing does, or a parent is missing or is no directory. */
  lstat(path: TreePath): Stat | undefined;
  /** The names in a directory, in no order and unchecked; bytes that are not Unicode come as U+FFFD. */
  list(path: TreePath): string[];
  /** Where a symbolic link points. */
  readLink(path: TreePath): string;
  /** Opens a regular file for reading; refuses anything else, without waiting for a pipe's writer. */
  openRead(path: TreePath): OpenFile;
  /** Makes a directory with exactly these permission bits; one that is there gets the bits. */
  makeDirectory(path: TreePath, mode: number): void;
  /** Makes the missing directories above `path`; returns those it made, outermost first. */
  makeParents(path: TreePath): TreePath[];
  /** Puts a temporary file, closed by now, at `path` in place of any file or link there. */
  place(temp: TempFile, path: TreePath): void;
  /** Puts a symbolic link at `path` in place of any file or link there. */
  makeSymlink(target: string, path: TreePath): void;
  /** As rename(2): replaces a file by a file, or an empty directory by a directory. */
  rename(from: TreePath, to: TreePath): void;
  /** Removes anything but a directory; fine when nothing is there. */
  removeFile(path: TreePath): void;
  /** Removes an empty directory; fine when nothing is there. */
  removeDirectory(path: TreePath): void;
  /**
   * Sets permission bits (not of a link) and modification time, milliseconds since the
   * epoch; the time of last access becomes the same.
   */
  setAttributes(path: TreePath, attributes: { mode?: number; mtime?: number }): void;
  /** Returns when the names in a directory are on the disk. */
  syncDirectory(path: TreePath): void;
  /**
   * A new temporary file, to be placed or discarded.
   *
   * @param path What it will become, for the texts of errors.
   */
  createTemp(path?: TreePath): TempFile;
}

/**
 * `O_PATH`, which Node does not name: a handle on whatever stands at a path, without opening
 * it. It needs no permission on the file, waits for no pipe, and takes a link as it is.
 */
const O_PATH = 0o10000000;
const READ_FLAGS = fs.constants.O_RDONLY | (fs.constants.O_NOFOLLOW ?? 0) | (fs.constants.O_NONBLOCK ?? 0);

/** The {@linkcode Anchor} over any way to reach directories. */
export class TreeAnchor implements Anchor {
  readonly #directories: Directories;
  readonly #temp: TempDirectory;

  constructor(directories: Directories, temp: TempDirectory) {
    this.#directories = directories;
    this.#temp = temp;
  }

  lstat(path: TreePath): Stat | undefined {
    try {
      return toStat(Deno.lstatSync(this.#native(path)));
    } catch (error) {
      const code = osCode(error);
      if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") return undefined;
      throw failure("look at", path, error);
    }
  }

  list(path: TreePath): string[] {
    return attempt("list", path, () => {
      const names = Array.from(Deno.readDirSync(this.#directories.reach(path)), (entry) => entry.name);
      if (!this.#directories.pinned) this.#directories.reach(path);
      return names;
    });
  }

  readLink(path: TreePath): string {
    return attempt("read the link", path, () => {
      const native = this.#native(path);
      if (!Deno.lstatSync(native).isSymlink) {
        throw conflict("read the link", path, "it is not a symbolic link");
      }
      try {
        return Deno.readLinkSync(native);
      } catch (error) {
        if (!(error instanceof Deno.errors.InvalidData)) throw error;
        throw new FilesyncError({
          code: "unsupported",
          operation: `read the link ${quote(path)}`,
          reason: "where it points is not valid Unicode",
          hint: "Make it anew, or exclude it in .filesyncignore",
          permanent: true,
          cause: error,
        });
      }
    });
  }

  openRead(path: TreePath): OpenFile {
    return attempt("read", path, () => {
      const native = this.#native(path);
      // Looked at before, because opening a device can set it going; after, because it may be another.
      requireFile(path, Deno.lstatSync(native));
      const descriptor = fs.openSync(native, READ_FLAGS);
      try {
        const self = this.#directories.pinned ? descriptorPath(descriptor) : this.#recheck(path, descriptor);
        const info = Deno.statSync(self);
        requireFile(path, info);
        return openFile(descriptor, self, toStat(info), `read ${quote(path)}`);
      } catch (error) {
        fs.closeSync(descriptor);
        throw error;
      }
    });
  }

  makeDirectory(path: TreePath, mode: number): void {
    attempt("make the directory", path, () => {
      const native = this.#native(path);
      try {
        Deno.mkdirSync(native, { mode: permissionBits("directory", mode) });
      } catch (error) {
        if (osCode(error) !== "EEXIST" || !Deno.lstatSync(native).isDirectory) throw error;
      }
      // Again, because the umask was taken off, and for a directory that was there.
      this.setAttributes(path, { mode });
    });
  }

  makeParents(path: TreePath): TreePath[] {
    const parent = parentOf(path);
    const made: TreePath[] = [];
    attempt("make the directories above", path, () => {
      let missing = this.#firstMissing(parent);
      while (missing !== undefined) {
        try {
          Deno.mkdirSync(this.#native(missing));
          made.push(missing);
        } catch (error) {
          // Somebody else made it meanwhile; if it is no directory, the next step or the caller's fails.
          if (osCode(error) !== "EEXIST") throw error;
        }
        missing = missing === parent ? undefined : stepTowards(parent, missing);
      }
    });
    return made;
  }

  place(temp: TempFile, path: TreePath): void {
    attempt("write", path, () => fs.renameSync(temp.nativePath, this.#native(path)));
  }

  makeSymlink(target: string, path: TreePath): void {
    attempt("make the link", path, () => {
      const made = this.#temp.make((native) => {
        fs.symlinkSync(target, native);
        return native;
      });
      try {
        fs.renameSync(made, this.#native(path));
      } catch (error) {
        fs.unlinkSync(made);
        throw error;
      }
    });
  }

  rename(from: TreePath, to: TreePath): void {
    attempt(`move ${quote(from)} to`, to, () => {
      const source = this.#directories.reach(parentOf(from));
      const target = this.#directories.reach(parentOf(to), source);
      fs.renameSync(`${source}/${nameOf(from)}`, `${target}/${nameOf(to)}`);
    });
    this.#directories.forget(from);
    this.#directories.forget(to);
  }

  removeFile(path: TreePath): void {
    this.#remove(path, (native) => {
      // Looked at first, because Deno's unlink takes an empty directory too.
      if (Deno.lstatSync(native).isDirectory) throw conflict("remove", path, "a directory stands there");
      fs.unlinkSync(native);
    });
  }

  removeDirectory(path: TreePath): void {
    this.#remove(path, (native) => fs.rmdirSync(native));
    this.#directories.forget(path);
  }

  setAttributes(path: TreePath, attributes: { mode?: number; mtime?: number }): void {
    attempt("set mode and time of", path, () => {
      const native = this.#native(path);
      if (this.#directories.pinned) setThroughDescriptor(native, attributes);
      else setByPath(native, attributes);
    });
  }

  syncDirectory(path: TreePath): void {
    // Windows cannot open a directory, and has no such call.
    if (Deno.build.os === "windows") return;
    attempt("save the directory", path, () => {
      const descriptor = fs.openSync(`${this.#directories.reach(path)}/.`, DIRECTORY_FLAGS);
      try {
        fs.fsyncSync(descriptor);
      } finally {
        fs.closeSync(descriptor);
      }
    });
  }

  createTemp(path?: TreePath): TempFile {
    const operation = path === undefined ? "write a temporary file" : `write ${quote(path)}`;
    try {
      return this.#temp.createFile(operation);
    } catch (error) {
      throw explain(operation, error);
    }
  }

  [Symbol.dispose](): void {
    this.#directories[Symbol.dispose]();
  }

  #native(path: TreePath): string {
    // "/." takes the directory itself: a bare /proc/self/fd/N is a link to it.
    if (path === ROOT) return `${this.#directories.reach(ROOT)}/.`;
    return `${this.#directories.reach(parentOf(path))}/${nameOf(path)}`;
  }

  #firstMissing(directory: TreePath): TreePath | undefined {
    try {
      this.#directories.reach(directory);
    } catch (error) {
      if (error instanceof Obstacle && error.code === "ENOENT") return error.at;
      throw error;
    }
  }

  /** Makes sure that what was opened is what stands at `path` inside the tree. */
  #recheck(path: TreePath, descriptor: number): string {
    const native = this.#native(path);
    const opened = fs.fstatSync(descriptor);
    const standing = fs.lstatSync(native);
    if (opened.dev !== standing.dev || opened.ino !== standing.ino) {
      throw conflict("read", path, "it was replaced while it was opened");
    }
    return native;
  }

  #remove(path: TreePath, remove: (native: string) => void): void {
    try {
      remove(this.#native(path));
    } catch (error) {
      // With something else than a directory above it, nothing stands at the path either.
      if (error instanceof Obstacle || osCode(error) === "ENOENT") return;
      throw failure("remove", path, error);
    }
  }
}

/** Sets attributes of exactly what stands at `native`, whatever it is swapped for. */
function setThroughDescriptor(native: string, { mode, mtime }: { mode?: number; mtime?: number }): void {
  const descriptor = fs.openSync(native, O_PATH | fs.constants.O_NOFOLLOW);
  try {
    const self = descriptorPath(descriptor);
    if (mode !== undefined) {
      const { kind } = toStat(Deno.statSync(self));
      if (kind === "file" || kind === "directory") Deno.chmodSync(self, permissionBits(kind, mode));
    }
    if (mtime !== undefined) {
      const time = new Date(mtime);
      Deno.utimeSync(self, time, time);
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

function setByPath(native: string, { mode, mtime }: { mode?: number; mtime?: number }): void {
  const { kind } = toStat(Deno.lstatSync(native));
  if (mode !== undefined && (kind === "file" || kind === "directory")) {
    Deno.chmodSync(native, permissionBits(kind, mode));
  }
  if (mtime !== undefined) {
    // Node's seconds are cut off to the nanosecond and would often lose a millisecond; and
    // what is before 1970 it takes for now.
    const seconds = (Math.max(mtime, 0) + 0.0005) / 1000;
    fs.lutimesSync(native, seconds, seconds);
  }
}

function requireFile(path: TreePath, info: Deno.FileInfo): void {
  const { kind } = toStat(info);
  if (kind === "file") return;
  throw conflict(
    "read",
    path,
    {
      directory: "it is a directory",
      symlink: "it is a symbolic link",
      other: "it is a socket, a pipe or a device",
    }[kind],
  );
}

function conflict(verb: string, path: TreePath, reason: string): FilesyncError {
  return new FilesyncError({ code: "conflict", operation: `${verb} ${quote(path)}`, reason });
}

function attempt<T>(verb: string, path: TreePath, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw failure(verb, path, error);
  }
}

function failure(verb: string, path: TreePath, error: unknown): FilesyncError {
  return explain(`${verb} ${quote(path)}`, error);
}

function explain(operation: string, error: unknown): FilesyncError {
  if (!(error instanceof Obstacle)) return toFilesyncError(operation, error);
  const at = quote(error.at);
  return new FilesyncError({
    operation,
    cause: error,
    ...error.code === "ENOENT"
      ? { code: "not-found", reason: `the directory ${at} does not exist` }
      : error.code === "ELOOP"
      ? { code: "conflict", reason: `${at} is a symbolic link, and links are never followed` }
      : { code: "conflict", reason: `${at} is not a directory` },
  });
}

function quote(path: TreePath): string {
  return JSON.stringify(path === ROOT ? "." : path);
}
