/**
 * Files in the making. Content is written to a temporary file beside the tree, on the
 * same file system, and then renamed over its path: a path holds the old content or the
 * new, whole, and never anything between.
 *
 * @module
 */
import { permissionBits } from "../core/entry.ts";
import { osCode, toFilesyncError } from "../core/errors.ts";
import { nameOf, parentOf, STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import type { Directories } from "./directories.ts";
import type { Directory } from "./directory.ts";
import type { OpenFile } from "./open_file.ts";
import type { WritableFile } from "./writable_file.ts";
import { stretchesOf } from "./zeros.ts";

/** Where temporary files are made. No path from outside can name it: `parsePath` refuses it. */
export const TEMP_DIRECTORY = `${STATE_DIRECTORY}/tmp` as TreePath;

/** A file that is being written and has no name in the tree yet. */
export interface TempFile {
  /** A path by which any thread of this process reaches the file. */
  readonly nativePath: string;
  /** Where the next {@linkcode write} goes, bytes from the start. Settable. */
  position: number;
  /**
   * Reads once, from `position` (bytes from the start).
   *
   * @returns Bytes read, maybe fewer than fit; 0 at the end.
   */
  read(into: Uint8Array, position: number): number;
  /**
   * Writes all of `data` at {@linkcode position}, which moves on. Long runs of zeros become holes, where the system
   * can do that.
   */
  write(data: Uint8Array): void;
  /** Opens what is written once more, to be read; also when it is closed. */
  openRead(): OpenFile;
  /**
   * Copies `length` bytes of another file, from byte `start`, to {@linkcode position}, which
   * moves on. The kernel copies where it can, and shares the blocks where the file system can.
   *
   * @returns Bytes copied: fewer where `from` ends before.
   */
  copyRange(from: OpenFile, start: number, length: number): number;
  /**
   * The same for whoever verifies afterwards what was written: holes of `from` stay holes, as far as the file system
   * tells of them, and some have told of holes where data was on its way to the disk.
   */
  copySparsely(from: OpenFile, start: number, length: number): number;
  /** Makes the file empty again. */
  truncate(): void;
  /**
   * Takes room for `length` bytes from `start`, where the file system can: rather fail now than after writing most
   * of it.
   */
  reserve(start: number, length: number): void;
  /**
   * Sets permission bits and modification time (milliseconds since the epoch). Call it
   * after the last {@linkcode write} and before {@linkcode close}.
   */
  setAttributes(attributes: { mode?: number; mtime?: number }): void;
  /**
   * Has what was written so far begin its way to the disk, where the system can do that, so that
   * {@linkcode sync} takes less. Does nothing while an earlier call is at work.
   */
  writeOut(): void;
  /** Resolves when content and attributes are on the disk; other work goes on meanwhile. */
  sync(): Promise<void>;
  /** Returns when content and attributes are on the disk. */
  syncNow(): void;
  /** Closes the file; does nothing when it is closed. */
  close(): void;
  /** Renames it to `name` in a directory of the tree; for `Anchor.place`, which others call. */
  renameTo(directory: Directory, name: string): void;
  /** Closes and removes the file. Never throws; does nothing to a file that was placed. */
  discard(): void;
}

/** Bytes that are copied at once where the kernel does not copy. */
const COPY_BYTES = 256 << 10;

/** The directory of temporary files. It is made on demand, also after somebody removed it. */
export class TempDirectory {
  readonly #directories: Directories;

  /** @param directories Used for nothing else, so that what is open stays open. */
  constructor(directories: Directories) {
    this.#directories = directories;
  }

  /** The directory. Do not keep it. */
  get directory(): Directory {
    return this.#directories.reach(TEMP_DIRECTORY);
  }

  /** A new empty file, for this user only (`0o600`). */
  createFile(operation: string): TempFile {
    return this.make((directory, name) =>
      new OpenTempFile(this, name, directory.createFile(name), operation)
    );
  }

  /** The file that {@linkcode createFile} or this made under that name, as it was left, or else a new one. */
  openFile(name: string, operation: string): TempFile {
    const open = (directory: Directory) => {
      try {
        // It may have got the mode of a file that nobody may write, before it could not be placed.
        directory.setAttributes(name, { mode: 0o600 });
        return directory.openFile(name);
      } catch (error) {
        if (osCode(error) !== "ENOENT") throw error;
        return directory.createFile(name);
      }
    };
    return this.#inDirectory((directory) => new OpenTempFile(this, name, open(directory), operation));
  }

  /** Removes the file that {@linkcode createFile} or {@linkcode openFile} made under that name. Never throws. */
  removeFile(name: string): void {
    try {
      this.directory.removeFile(name);
    } catch {
      // Somebody else removed it, or what is left is for cleanTemp at the next start.
    }
  }

  /** Runs `make` with a name in the directory at which nothing stands. */
  make<T>(make: (directory: Directory, name: string) => T): T {
    return this.#inDirectory((directory) => make(directory, crypto.randomUUID()));
  }

  #inDirectory<T>(act: (directory: Directory) => T): T {
    try {
      return act(this.directory);
    } catch (error) {
      if (osCode(error) !== "ENOENT") throw error;
      this.#makeDirectory();
      return act(this.directory);
    }
  }

  #makeDirectory(): void {
    const state = parentOf(TEMP_DIRECTORY);
    this.#directories.forget(state);
    for (const path of [state, TEMP_DIRECTORY]) {
      try {
        this.#directories.reach(parentOf(path)).makeDirectory(nameOf(path), 0o700);
      } catch (error) {
        if (osCode(error) !== "EEXIST") throw error;
      }
    }
  }
}

class OpenTempFile implements TempFile {
  readonly #home: TempDirectory;
  readonly #name: string;
  readonly #file: WritableFile;
  readonly #operation: string;
  position = 0;
  #isWritingOut = false;
  #isOpen = true;
  #isPlaced = false;

  constructor(home: TempDirectory, name: string, file: WritableFile, operation: string) {
    this.#home = home;
    this.#name = name;
    this.#file = file;
    this.#operation = operation;
  }

  get nativePath(): string {
    return this.#home.directory.nativePath(this.#name);
  }

  read(into: Uint8Array, position: number): number {
    return this.#attempt((file) => file.read(into, position));
  }

  write(data: Uint8Array): void {
    this.#attempt((file) => {
      for (const { bytes, isZero } of stretchesOf(data)) {
        if (isZero && file.leaveOut(this.position, bytes.length)) {
          this.position += bytes.length;
          continue;
        }
        for (let done = 0; done < bytes.length;) {
          const written = file.write(bytes.subarray(done), this.position);
          done += written;
          this.position += written;
        }
      }
    });
  }

  openRead(): OpenFile {
    return this.#attempt(() => this.#home.directory.openRead(this.#name, this.#operation));
  }

  copyRange(from: OpenFile, start: number, length: number): number {
    return this.#goOnCopying(
      from,
      start,
      length,
      (file) => file.copyRange(from, start, length, this.position),
    );
  }

  copySparsely(from: OpenFile, start: number, length: number): number {
    return this.#goOnCopying(
      from,
      start,
      length,
      (file) => file.copySparsely(from, start, length, this.position),
    );
  }

  /** Copies with `begin`, and by reading and writing what that leaves. */
  #goOnCopying(from: OpenFile, start: number, length: number, begin: (file: WritableFile) => number): number {
    let copied = this.#attempt(begin);
    this.position += copied;
    const block = new Uint8Array(Math.min(length - copied, COPY_BYTES));
    while (copied < length) {
      const read = from.read(block.subarray(0, length - copied), start + copied);
      if (read === 0) break;
      this.write(block.subarray(0, read));
      copied += read;
    }
    return copied;
  }

  truncate(): void {
    this.#attempt((file) => file.truncate());
    this.position = 0;
  }

  reserve(start: number, length: number): void {
    this.#attempt((file) => file.reserve(start, length));
  }

  setAttributes({ mode, mtime }: { mode?: number; mtime?: number }): void {
    this.#attempt((file) => {
      if (mode !== undefined) setModeOfOurs(file, permissionBits("file", mode));
      if (mtime !== undefined) file.setTime(mtime);
    });
  }

  writeOut(): void {
    if (this.#isWritingOut || !this.#isOpen) return;
    this.#isWritingOut = true;
    // What goes wrong with it, sync will tell.
    this.#file.writeOut().catch(() => {}).finally(() => this.#isWritingOut = false);
  }

  async sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (error) {
      throw toFilesyncError(this.#operation, error);
    }
  }

  syncNow(): void {
    this.#attempt((file) => file.syncNow());
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#file.close();
  }

  renameTo(directory: Directory, name: string): void {
    this.#home.directory.rename(this.#name, directory, name);
    this.#isPlaced = true;
  }

  discard(): void {
    this.close();
    if (!this.#isPlaced) this.#home.removeFile(this.#name);
  }

  #attempt<T>(act: (file: WritableFile) => T): T {
    try {
      return act(this.#file);
    } catch (error) {
      throw toFilesyncError(this.#operation, error);
    }
  }
}

/** Sets the mode of a file that we made: only a file system that keeps no modes refuses that. */
function setModeOfOurs(file: WritableFile, mode: number): void {
  try {
    file.setMode(mode);
  } catch (error) {
    if (osCode(error) !== "EPERM") throw error;
  }
}
