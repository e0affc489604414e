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

/** Where temporary files are made. No path from outside can name it: `parsePath` refuses it. */
export const TEMP_DIRECTORY = `${STATE_DIRECTORY}/tmp` as TreePath;

/** A file that is being written and has no name in the tree yet. */
export interface TempFile {
  /** A path by which any thread of this process reaches the file. */
  readonly nativePath: string;
  /** Where the next {@linkcode write} goes, bytes from the start. Settable. */
  position: number;
  /** Writes all of `data` at {@linkcode position}, which moves on. */
  write(data: Uint8Array): void;
  /** Takes the whole content of another file, copied by the kernel. */
  copyFrom(nativePath: string): void;
  /** Makes the file empty again. */
  truncate(): void;
  /**
   * Sets permission bits and modification time (milliseconds since the epoch). Call it
   * after the last {@linkcode write} and before {@linkcode close}.
   */
  setAttributes(attributes: { mode?: number; mtime?: number }): void;
  /** Resolves when content and attributes are on the disk; other work goes on meanwhile. */
  sync(): Promise<void>;
  /** Returns when content and attributes are on the disk. */
  syncNow(): void;
  /** Closes the file; does nothing when it is closed. */
  close(): void;
  /** Closes and removes the file. Never throws; does nothing to a file that was placed. */
  discard(): void;
}

/** The directory of temporary files. It is made on demand, also after somebody removed it. */
export class TempDirectory {
  readonly #directories: Directories;

  /** @param directories Used for nothing else, so that what is open stays open. */
  constructor(directories: Directories) {
    this.#directories = directories;
  }

  /** A new empty file, for this user only (`0o600`). */
  createFile(operation: string): TempFile {
    // createNew is O_CREAT | O_EXCL, which never follows a link.
    return this.make((nativePath) =>
      new OpenTempFile(
        nativePath,
        Deno.openSync(nativePath, { write: true, createNew: true, mode: 0o600 }),
        operation,
      )
    );
  }

  /** Runs `make` with a native path in the directory at which nothing stands. */
  make<T>(make: (nativePath: string) => T): T {
    try {
      return make(this.#freshPath());
    } catch (error) {
      if (osCode(error) !== "ENOENT") throw error;
      this.#makeDirectory();
      return make(this.#freshPath());
    }
  }

  #freshPath(): string {
    return `${this.#directories.reach(TEMP_DIRECTORY)}/${crypto.randomUUID()}`;
  }

  #makeDirectory(): void {
    const state = parentOf(TEMP_DIRECTORY);
    this.#directories.forget(state);
    for (const directory of [state, TEMP_DIRECTORY]) {
      try {
        Deno.mkdirSync(`${this.#directories.reach(parentOf(directory))}/${nameOf(directory)}`, {
          mode: 0o700,
        });
      } catch (error) {
        if (osCode(error) !== "EEXIST") throw error;
      }
    }
  }
}

class OpenTempFile implements TempFile {
  readonly nativePath: string;
  readonly #file: Deno.FsFile;
  readonly #operation: string;
  #position = 0;
  #open = true;

  constructor(nativePath: string, file: Deno.FsFile, operation: string) {
    this.nativePath = nativePath;
    this.#file = file;
    this.#operation = operation;
  }

  get position(): number {
    return this.#position;
  }

  set position(position: number) {
    if (position !== this.#position) this.#file.seekSync(position, Deno.SeekMode.Start);
    this.#position = position;
  }

  write(data: Uint8Array): void {
    try {
      for (let done = 0; done < data.length;) {
        const written = this.#file.writeSync(data.subarray(done));
        done += written;
        this.#position += written;
      }
    } catch (error) {
      throw toFilesyncError(this.#operation, error);
    }
  }

  copyFrom(nativePath: string): void {
    try {
      Deno.copyFileSync(nativePath, this.nativePath);
      this.#position = this.#file.seekSync(0, Deno.SeekMode.End);
    } catch (error) {
      throw toFilesyncError(this.#operation, error);
    }
  }

  truncate(): void {
    this.#file.truncateSync(0);
    this.position = 0;
  }

  setAttributes({ mode, mtime }: { mode?: number; mtime?: number }): void {
    try {
      if (mode !== undefined) Deno.chmodSync(this.nativePath, permissionBits("file", mode));
      if (mtime !== undefined) {
        const time = new Date(mtime);
        this.#file.utimeSync(time, time);
      }
    } catch (error) {
      throw toFilesyncError(this.#operation, error);
    }
  }

  async sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (error) {
      throw toFilesyncError(this.#operation, error);
    }
  }

  syncNow(): void {
    try {
      this.#file.syncSync();
    } catch (error) {
      throw toFilesyncError(this.#operation, error);
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#file.close();
  }

  discard(): void {
    try {
      this.close();
      Deno.removeSync(this.nativePath);
    } catch {
      // It was placed, or what is left is for cleanTemp at the next start.
    }
  }
}
