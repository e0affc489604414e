/** Everything that is done to a tree, by paths that are kept inside it. @module */
import { permissionBits } from "../core/entry.ts";
import { FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";
import { childOf, nameOf, parentOf, ROOT, type TreePath } from "../core/path.ts";
import { type Directories, Obstacle, stepTowards } from "./directories.ts";
import type { Directory } from "./directory.ts";
import type { OpenFile } from "./open_file.ts";
import type { AttributeKeeper, KeptAttributes } from "./kept_attributes.ts";
import type { Listed, Stat } from "./stat.ts";
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
  /**
   * The names in a directory, as {@linkcode list} gives them, and what stands there; several
   * times as fast as `lstat` for each. What went meanwhile is left out. What could not be
   * looked at comes with the error that `lstat` would have thrown.
   */
  listWithStats(path: TreePath): Listed<FilesyncError>[];
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
  /** Resolves when content, mode and time of a file are on the disk; other work goes on meanwhile. */
  syncFile(path: TreePath): Promise<void>;
  /** Returns when the names in a directory are on the disk. */
  syncDirectory(path: TreePath): void;
  /**
   * A new temporary file, to be placed or discarded.
   *
   * @param path What it will become, for the texts of errors.
   */
  createTemp(path?: TreePath): TempFile;
  /**
   * The temporary file of a name, as an earlier call left it, after a restart too, or else a new one.
   *
   * @param name For none but such files: longer than the names of others.
   */
  openTemp(name: string): TempFile;
  /** Removes the temporary file of a name, if there is one, as `TempFile.discard` does. Never throws. */
  removeTemp(name: string): void;
  /** Lets go of what it holds open: what is done next is done where directories stand by then. */
  letGo(): void;
  /** What the file system keeps of attributes. */
  readonly kept: KeptAttributes;
}

/** The {@linkcode Anchor} over any way to reach directories. */
export class TreeAnchor implements Anchor {
  readonly #directories: Directories;
  readonly #temp: TempDirectory;
  readonly #keeper: AttributeKeeper;

  constructor(directories: Directories, temp: TempDirectory, keeper: AttributeKeeper) {
    this.#directories = directories;
    this.#temp = temp;
    this.#keeper = keeper;
  }

  get kept(): KeptAttributes {
    return this.#keeper.kept;
  }

  lstat(path: TreePath): Stat | undefined {
    try {
      return this.#holder(path).stat(nameIn(path));
    } catch (error) {
      if (error instanceof Obstacle) return undefined;
      throw failure("look at", path, error);
    }
  }

  list(path: TreePath): string[] {
    return attempt("list", path, () => this.#directories.reach(path).list());
  }

  listWithStats(path: TreePath): Listed<FilesyncError>[] {
    const listed = attempt("list", path, () => this.#directories.reach(path).listWithStats());
    for (const entry of listed) {
      if (entry.stat instanceof Error) {
        entry.stat = failure("look at", childOf(path, entry.name), entry.stat);
      }
    }
    return listed as Listed<FilesyncError>[];
  }

  readLink(path: TreePath): string {
    return attempt("read the link", path, () => {
      const [directory, name] = [this.#holder(path), nameIn(path)];
      const stat = directory.stat(name);
      if (stat !== undefined && stat.kind !== "symlink") {
        throw conflict("read the link", path, "it is not a symbolic link");
      }
      const target = directory.readLink(name);
      if (target !== undefined) return target;
      throw new FilesyncError({
        code: "unsupported",
        operation: `read the link ${quote(path)}`,
        reason: "where it points is not valid Unicode",
        hint: "Make it anew, or exclude it in .filesyncignore",
        permanent: true,
      });
    });
  }

  openRead(path: TreePath): OpenFile {
    return attempt("read", path, () => {
      const [directory, name] = [this.#holder(path), nameIn(path)];
      // Looked at before, because opening a device can set it going; after, because it may be another.
      requireFile(path, directory.stat(name));
      const file = directory.openRead(name, `read ${quote(path)}`);
      try {
        requireFile(path, file.stat);
        return file;
      } catch (error) {
        file[Symbol.dispose]();
        throw error;
      }
    });
  }

  makeDirectory(path: TreePath, mode: number): void {
    attempt("make the directory", path, () => {
      const [directory, name] = [this.#holder(path), nameIn(path)];
      try {
        directory.makeDirectory(name, permissionBits("directory", mode));
      } catch (error) {
        if (osCode(error) !== "EEXIST" || directory.stat(name)?.kind !== "directory") throw error;
      }
      // Again, because the umask was taken off, and for a directory that was there.
      this.#give(directory, name, { mode });
    });
  }

  makeParents(path: TreePath): TreePath[] {
    const parent = parentOf(path);
    const made: TreePath[] = [];
    attempt("make the directories above", path, () => {
      let missing = this.#firstMissing(parent);
      while (missing !== undefined) {
        try {
          this.#holder(missing).makeDirectory(nameOf(missing), 0o777);
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
    attempt("write", path, () => temp.renameTo(this.#holder(path), nameIn(path)));
  }

  makeSymlink(target: string, path: TreePath): void {
    attempt("make the link", path, () => {
      const made = this.#temp.make((directory, name) => {
        directory.makeSymlink(target, name);
        return name;
      });
      try {
        this.#temp.directory.rename(made, this.#holder(path), nameIn(path));
      } catch (error) {
        this.#temp.directory.removeFile(made);
        throw error;
      }
    });
  }

  rename(from: TreePath, to: TreePath): void {
    attempt(`move ${quote(from)} to`, to, () => {
      const source = this.#holder(from);
      const target = this.#directories.reach(parentOf(to), source);
      source.rename(nameIn(from), target, nameIn(to));
    });
    this.#directories.forget(from);
    this.#directories.forget(to);
  }

  removeFile(path: TreePath): void {
    this.#remove(path, (directory, name) => directory.removeFile(name));
  }

  removeDirectory(path: TreePath): void {
    this.#remove(path, (directory, name) => directory.removeDirectory(name));
    this.#directories.forget(path);
  }

  setAttributes(path: TreePath, attributes: { mode?: number; mtime?: number }): void {
    attempt("set mode and time of", path, () => this.#give(this.#holder(path), nameIn(path), attributes));
  }

  /** Sets attributes; a mode only where it would be kept, if it is refused. */
  #give(directory: Directory, name: string, attributes: { mode?: number; mtime?: number }): void {
    const { mode, mtime } = attributes;
    try {
      directory.setAttributes(name, attributes);
    } catch (error) {
      if (mode === undefined || osCode(error) !== "EPERM" || this.kept.modes) throw error;
      directory.setAttributes(name, { mtime });
    }
  }

  async syncFile(path: TreePath): Promise<void> {
    try {
      await this.#holder(path).syncFile(nameIn(path));
    } catch (error) {
      throw failure("save", path, error);
    }
  }

  syncDirectory(path: TreePath): void {
    attempt("save the directory", path, () => {
      try {
        this.#directories.reach(path).sync();
      } catch (error) {
        if (toFilesyncError("", error).code !== "permission" || path === ROOT) throw error;
        this.#openLocked(path).sync();
      }
    });
  }

  /** Opens a directory that its own mode keeps from being opened: while it has another one. */
  #openLocked(path: TreePath): Directory {
    const [holder, name] = [this.#holder(path), nameOf(path)];
    const mode = holder.stat(name)?.mode ?? 0;
    holder.setAttributes(name, { mode: mode | 0o500 });
    try {
      return this.#directories.reach(path);
    } finally {
      holder.setAttributes(name, { mode });
    }
  }

  createTemp(path?: TreePath): TempFile {
    const operation = path === undefined ? "write a temporary file" : `write ${quote(path)}`;
    try {
      return this.#temp.createFile(operation);
    } catch (error) {
      throw explain(operation, error);
    }
  }

  openTemp(name: string): TempFile {
    const operation = "write a temporary file";
    try {
      return this.#temp.openFile(name, operation);
    } catch (error) {
      throw explain(operation, error);
    }
  }

  removeTemp(name: string): void {
    this.#temp.removeFile(name);
  }

  letGo(): void {
    this.#directories.forget(ROOT);
  }

  [Symbol.dispose](): void {
    this.#directories[Symbol.dispose]();
  }

  /** The directory that `path` is in; for the root, the root itself. */
  #holder(path: TreePath): Directory {
    return this.#directories.reach(parentOf(path));
  }

  #firstMissing(directory: TreePath): TreePath | undefined {
    try {
      this.#directories.reach(directory);
    } catch (error) {
      if (error instanceof Obstacle && error.code === "ENOENT") return error.at;
      throw error;
    }
  }

  #remove(path: TreePath, remove: (directory: Directory, name: string) => void): void {
    try {
      remove(this.#holder(path), nameIn(path));
    } catch (error) {
      // With something else than a directory above it, nothing stands at the path either.
      if (error instanceof Obstacle || osCode(error) === "ENOENT") return;
      throw failure("remove", path, error);
    }
  }
}

/** The name of `path` in the directory that it is in. */
function nameIn(path: TreePath): string {
  return path === ROOT ? "." : nameOf(path);
}

/** What is not there at all is for the next step to tell. */
function requireFile(path: TreePath, stat: Stat | undefined): void {
  if (stat === undefined || stat.kind === "file") return;
  throw conflict(
    "read",
    path,
    {
      directory: "it is a directory",
      symlink: "it is a symbolic link",
      other: "it is a socket, a pipe or a device",
    }[stat.kind],
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
