/**
 * Directories by path, for systems where they cannot be held open. All that can be done is to
 * look twice: at every directory on the way before each step, and again after what was opened
 * or listed. A swap between the look and the use is noticed too late for a rename or a removal.
 *
 * @module
 */
import fs from "node:fs";
import { permissionBits } from "../core/entry.ts";
import { FilesyncError, osCode, PathError } from "../core/errors.ts";
import { nameOf, ROOT, type TreePath, windowsNameFault } from "../core/path.ts";
import { type Directories, Obstacle, stepTowards } from "./directories.ts";
import type { Directory } from "./directory.ts";
import { type OpenFile, openFile } from "./open_file.ts";
import { type Listed, type Stat, toStat } from "./stat.ts";
import { PathFile, type WritableFile } from "./writable_file.ts";

const { O_RDONLY, O_DIRECTORY = 0, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants as Partial<
  typeof fs.constants
>;

/** Looks at every directory on the way, each time. */
export class CheckedDirectories implements Directories {
  readonly #top: string;
  readonly #os: typeof Deno.build.os;

  /**
   * @param top The real path of the root of the tree.
   * @param os Whose rules for names hold.
   */
  constructor(top: string, os = Deno.build.os) {
    this.#top = top;
    this.#os = os;
  }

  reach(directory: TreePath): PathDirectory {
    for (let at = ROOT; at !== directory;) {
      at = stepTowards(directory, at);
      this.#requireName(nameOf(at));
      let info: Deno.FileInfo;
      try {
        info = Deno.lstatSync(`${this.#top}/${at}`);
      } catch (error) {
        const code = osCode(error);
        throw code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP"
          ? new Obstacle("ENOENT", at)
          : error;
      }
      if (!info.isDirectory) throw new Obstacle(info.isSymlink ? "ELOOP" : "ENOTDIR", at);
    }
    const native = directory === ROOT ? this.#top : `${this.#top}/${directory}`;
    return new PathDirectory(native, (name) => this.#requireName(name), () => void this.reach(directory));
  }

  /** Refuses a name that would lead elsewhere: to Windows `..\\..\\x` is no name, but a path. */
  #requireName(name: string): void {
    if (this.#os !== "windows" || name === ".") return;
    const fault = windowsNameFault(name);
    if (fault !== undefined) throw new PathError(name, fault);
  }

  forget(): void {}

  [Symbol.dispose](): void {}
}

class PathDirectory implements Directory {
  readonly #native: string;
  readonly #requireName: (name: string) => void;
  readonly #lookAgain: () => void;

  /**
   * @param requireName Throws when a name would lead elsewhere.
   * @param lookAgain Throws when `native` is no directory inside the tree any more.
   */
  constructor(native: string, requireName: (name: string) => void, lookAgain: () => void) {
    this.#native = native;
    this.#requireName = requireName;
    this.#lookAgain = lookAgain;
  }

  nativePath(name: string): string {
    this.#requireName(name);
    return `${this.#native}/${name}`;
  }

  stat(name: string): Stat | undefined {
    try {
      return toStat(Deno.lstatSync(this.nativePath(name)));
    } catch (error) {
      const code = osCode(error);
      if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") return undefined;
      throw error;
    }
  }

  list(): string[] {
    const names = Array.from(Deno.readDirSync(this.#native), (entry) => entry.name);
    this.#lookAgain();
    return names;
  }

  listWithStats(): Listed[] {
    const names = this.list();
    const listed = names.flatMap((name) => {
      const stat = this.#tryToStat(name);
      return stat === undefined ? [] : [{ name, stat }];
    });
    this.#lookAgain();
    return listed;
  }

  readLink(name: string): string | undefined {
    try {
      return Deno.readLinkSync(this.nativePath(name));
    } catch (error) {
      if (error instanceof Deno.errors.InvalidData) return undefined;
      throw error;
    }
  }

  openRead(name: string, operation: string): OpenFile {
    const nativePath = this.nativePath(name);
    const descriptor = fs.openSync(nativePath, O_RDONLY! | O_NOFOLLOW | O_NONBLOCK);
    try {
      this.#lookAgain();
      const opened = fs.fstatSync(descriptor);
      const standing = fs.lstatSync(nativePath);
      if (opened.dev !== standing.dev || opened.ino !== standing.ino) {
        const reason = "it was replaced while it was opened";
        throw new FilesyncError({ code: "conflict", operation, reason });
      }
      return openFile({
        nativePath,
        stat: toStat(Deno.statSync(nativePath)),
        operation,
        read: (into, position) => fs.readSync(descriptor, into, 0, into.length, position),
        close: () => fs.closeSync(descriptor),
      });
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
  }

  createFile(name: string): WritableFile {
    // createNew is O_CREAT | O_EXCL, which never follows a link.
    const nativePath = this.nativePath(name);
    const options = { read: true, write: true, createNew: true, mode: 0o600 };
    return new PathFile(nativePath, Deno.openSync(nativePath, options));
  }

  openFile(name: string): WritableFile {
    const nativePath = this.nativePath(name);
    if (!Deno.lstatSync(nativePath).isFile) throw new Deno.errors.AlreadyExists("It is not a regular file");
    return new PathFile(nativePath, Deno.openSync(nativePath, { read: true, write: true }));
  }

  makeDirectory(name: string, mode: number): void {
    Deno.mkdirSync(this.nativePath(name), { mode });
  }

  makeSymlink(target: string, name: string): void {
    fs.symlinkSync(target, this.nativePath(name));
  }

  rename(name: string, to: this, newName: string): void {
    fs.renameSync(this.nativePath(name), to.nativePath(newName));
  }

  removeFile(name: string): void {
    const nativePath = this.nativePath(name);
    // Looked at first, because Deno's unlink takes an empty directory too.
    if (Deno.lstatSync(nativePath).isDirectory) throw new Deno.errors.IsADirectory(nativePath);
    fs.unlinkSync(nativePath);
  }

  removeDirectory(name: string): void {
    fs.rmdirSync(this.nativePath(name));
  }

  setAttributes(name: string, { mode, mtime }: { mode?: number; mtime?: number }): void {
    const nativePath = this.nativePath(name);
    const { kind } = toStat(Deno.lstatSync(nativePath));
    if (mode !== undefined && (kind === "file" || kind === "directory")) {
      Deno.chmodSync(nativePath, permissionBits(kind, mode));
    }
    if (mtime !== undefined) {
      // Node's seconds are cut off to the nanosecond and would often lose a millisecond; and
      // what is before 1970 it takes for now.
      const seconds = (Math.max(mtime, 0) + 0.0005) / 1000;
      fs.lutimesSync(nativePath, seconds, seconds);
    }
  }

  async syncFile(name: string): Promise<void> {
    const nativePath = this.nativePath(name);
    if (!Deno.lstatSync(nativePath).isFile) throw new Deno.errors.AlreadyExists("It is not a regular file");
    // Windows saves only what may be written.
    using file = Deno.openSync(nativePath, { read: true, write: Deno.build.os === "windows" });
    await file.sync();
  }

  sync(): void {
    // Windows cannot open a directory, and has no such call.
    if (Deno.build.os === "windows") return;
    const descriptor = fs.openSync(this.nativePath("."), O_RDONLY! | O_DIRECTORY | O_NOFOLLOW);
    try {
      fs.fsyncSync(descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  }

  #tryToStat(name: string): Stat | Error | undefined {
    try {
      // What it is shown as is not what it is called: nothing stands there, but it did not go.
      return this.stat(name) ??
        (name.includes("\uFFFD") ? new Error("its name is not valid Unicode") : undefined);
    } catch (error) {
      return error as Error;
    }
  }
}
