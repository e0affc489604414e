/** The files that hold kept content: bytes one after the other, found by what the database says. @module */
import { join } from "@std/path";
import { FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";

/** What every pack begins with: name and version of the format, 16 bytes. */
export const PACK_HEADER = new TextEncoder().encode("filesync pack 1\n");

/** Most files that are open at once and wait for no sync. */
const MOST_OPEN = 8;

const NAME = /^(\d{6,})\.pack$/;

/** A pack on disk. */
export interface PackFile {
  number: number;
  /** Bytes. */
  size: number;
}

/** The directory of pack files. */
export class PackFiles implements Disposable {
  readonly #directory: string;
  readonly #readOnly: boolean;
  /** Least recently used first. */
  readonly #open = new Map<number, Deno.FsFile>();
  readonly #unsynced = new Set<number>();
  /** Those that are being synced just now. */
  readonly #syncing = new Set<number>();
  #hasNewNames = false;

  /** @param directory Made when it is missing, unless it is only read. */
  constructor(directory: string, { readOnly = false } = {}) {
    this.#directory = directory;
    this.#readOnly = readOnly;
    if (!readOnly) Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  /** All packs there are, by number. */
  list(): PackFile[] {
    try {
      return Array.from(Deno.readDirSync(this.#directory), ({ name }) => NAME.exec(name)?.[1])
        .filter((number) => number !== undefined)
        .map((number) => ({ number: Number(number), size: Deno.statSync(this.#path(Number(number))).size }))
        .sort((a, b) => a.number - b.number);
    } catch (error) {
      throw toFilesyncError(`list the packs in ${JSON.stringify(this.#directory)}`, error);
    }
  }

  /** Makes a pack, in place of what nobody recorded, with nothing but its header. Returns where that ends. */
  create(pack: number): number {
    this.#attempt("make", pack, () => {
      this.#close(pack);
      const options = { read: true, write: true, create: true, truncate: true, mode: 0o600 };
      this.#open.set(pack, Deno.openSync(this.#path(pack), options));
    });
    this.#hasNewNames = true;
    this.write(pack, 0, PACK_HEADER);
    return PACK_HEADER.length;
  }

  /** Writes all of `data` from byte `start`. */
  write(pack: number, start: number, data: Uint8Array): void {
    this.#unsynced.add(pack);
    this.#attempt("write", pack, () => {
      const file = this.#file(pack);
      file.seekSync(start, Deno.SeekMode.Start);
      for (let at = 0; at < data.length;) at += file.writeSync(data.subarray(at));
    });
  }

  /**
   * The `length` bytes from `start`.
   *
   * @throws {FilesyncError} `content-missing` when the pack is gone or ends before.
   */
  read(pack: number, start: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    const filled = this.#attempt("read", pack, () => {
      const file = this.#file(pack);
      file.seekSync(start, Deno.SeekMode.Start);
      let filled = 0;
      while (filled < length) {
        const read = file.readSync(bytes.subarray(filled));
        if (read === null) break;
        filled += read;
      }
      return filled;
    });
    if (filled === length) return bytes;
    throw this.#missing(pack, "the file ends too early");
  }

  /**
   * Resolves when all that was written is on the disk, and the names of new packs.
   *
   * @param syncAll Does so for the whole file system, when somebody else needs that anyway.
   */
  async sync(syncAll?: () => Promise<void>): Promise<void> {
    const packs = [...this.#unsynced];
    const hasNewNames = this.#hasNewNames;
    // What is written from here on may come too late for this one, and is left to the next.
    this.#unsynced.clear();
    this.#hasNewNames = false;
    for (const pack of packs) this.#syncing.add(pack);
    try {
      if (syncAll !== undefined) await syncAll();
      else await Promise.all(packs.map((pack) => this.#file(pack).sync()));
      if (syncAll === undefined && hasNewNames && Deno.build.os !== "windows") {
        using directory = Deno.openSync(this.#directory);
        await directory.sync();
      }
    } catch (error) {
      for (const pack of packs) this.#unsynced.add(pack);
      this.#hasNewNames ||= hasNewNames;
      throw toFilesyncError(`save the packs in ${JSON.stringify(this.#directory)}`, error);
    } finally {
      this.#syncing.clear();
      this.#closeSome();
    }
  }

  /** Cuts a pack back to what was recorded of it. */
  truncate(pack: number, size: number): void {
    this.#attempt("shorten", pack, () => this.#file(pack).truncateSync(size));
  }

  /** Removes a pack; fine when it is gone. */
  remove(pack: number): void {
    this.#close(pack);
    try {
      Deno.removeSync(this.#path(pack));
    } catch (error) {
      if (osCode(error) !== "ENOENT") throw toFilesyncError(`remove the pack ${this.#name(pack)}`, error);
    }
  }

  /** Closes all files. */
  [Symbol.dispose](): void {
    for (const pack of [...this.#open.keys()]) this.#close(pack);
  }

  #attempt<T>(verb: string, pack: number, act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (osCode(error) === "ENOENT") throw this.#missing(pack, "the file is gone", error);
      throw toFilesyncError(`${verb} the pack ${this.#name(pack)}`, error);
    }
  }

  #missing(pack: number, reason: string, cause?: unknown): FilesyncError {
    return new FilesyncError({
      code: "content-missing",
      operation: `read the pack ${this.#name(pack)}`,
      reason,
      hint: "Bring the file back from a copy, or verify the store to see what is lost",
      permanent: true,
      cause,
    });
  }

  #file(pack: number): Deno.FsFile {
    const file = this.#open.get(pack) ??
      Deno.openSync(this.#path(pack), { read: true, write: !this.#readOnly });
    this.#open.delete(pack);
    this.#open.set(pack, file);
    this.#closeSome();
    return file;
  }

  #closeSome(): void {
    if (this.#open.size <= MOST_OPEN) return;
    const idle = [...this.#open.keys()].filter((pack) =>
      !this.#unsynced.has(pack) && !this.#syncing.has(pack)
    );
    for (const pack of idle.slice(0, this.#open.size - MOST_OPEN)) this.#close(pack);
  }

  #close(pack: number): void {
    this.#open.get(pack)?.close();
    this.#open.delete(pack);
    this.#unsynced.delete(pack);
  }

  #path(pack: number): string {
    return join(this.#directory, `${String(pack).padStart(6, "0")}.pack`);
  }

  #name(pack: number): string {
    return JSON.stringify(this.#path(pack));
  }
}
