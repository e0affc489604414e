/** A file open for writing, by a descriptor of the system or by Deno. @module */
import { Descriptor } from "./descriptor.ts";
import type { Libc } from "./libc.ts";
import type { OpenFile } from "./open_file.ts";

/** A new file, open for writing and reading. What fails throws an error that `osCode` knows. */
export interface WritableFile {
  /** Reads once, from `position`. Returns the number of bytes; 0 at the end. */
  read(into: Uint8Array, position: number): number;
  /** Writes once, at `position`. Returns the number of bytes. */
  write(data: Uint8Array, position: number): number;
  /**
   * Makes `length` bytes from `position` zeros that take no room. The file ends no earlier then.
   *
   * @returns `false` where the system cannot: the zeros must be written.
   */
  leaveOut(position: number, length: number): boolean;
  /**
   * Copies a part of another file to `position`, as far as that goes without reading it.
   *
   * @returns Bytes copied: fewer than `length`, maybe none, where the system cannot, or at the end.
   */
  copyRange(from: OpenFile, start: number, length: number, position: number): number;
  /**
   * The same, but holes stay holes where the file system tells of them. Verify what was copied: some have told of
   * holes where data was on its way to the disk.
   */
  copySparsely(from: OpenFile, start: number, length: number, position: number): number;
  truncate(): void;
  /** Takes room for `length` bytes from `start`, where the file system can. */
  reserve(start: number, length: number): void;
  setMode(mode: number): void;
  /** Sets both times, milliseconds since the epoch. */
  setTime(time: number): void;
  /** Has the system begin to bring to the disk what was written, if it can; resolves when it has begun. */
  writeOut(): Promise<void>;
  /** Resolves when content and attributes are on the disk. */
  sync(): Promise<void>;
  /** Returns when content and attributes are on the disk. */
  syncNow(): void;
  close(): void;
}

/** A {@linkcode WritableFile} by system calls. */
export class DescriptorFile implements WritableFile {
  readonly #libc: Libc;
  readonly #descriptor: Descriptor;

  constructor(libc: Libc, descriptor: number) {
    this.#libc = libc;
    this.#descriptor = new Descriptor(libc, descriptor);
  }

  read(into: Uint8Array, position: number): number {
    return this.#libc.read(this.#descriptor.number, into, position);
  }

  write(data: Uint8Array, position: number): number {
    return this.#libc.write(this.#descriptor.number, data, position);
  }

  leaveOut(position: number, length: number): boolean {
    const { number } = this.#descriptor;
    try {
      this.#libc.punch(number, position, length);
      if (this.#libc.statOf(number).size < position + length) this.#libc.truncate(number, position + length);
      return true;
    } catch {
      // Not on such file systems: and if something else is wrong, writing says so too.
      return false;
    }
  }

  copyRange(from: OpenFile, start: number, length: number, position: number): number {
    if (from.descriptor === undefined) return 0;
    let done = 0;
    try {
      while (done < length) {
        const [at, to] = [start + done, position + done];
        const copied = this.#libc.copy(from.descriptor, at, this.#descriptor.number, to, length - done);
        if (copied === 0) break;
        done += copied;
      }
    } catch {
      // Across file systems, or not for such files: and if the disk is full, writing says so too.
    }
    return done;
  }

  copySparsely(from: OpenFile, start: number, length: number, position: number): number {
    if (from.descriptor === undefined) return 0;
    const end = Math.min(start + length, this.#libc.statOf(from.descriptor).size);
    let at = start;
    while (at < end) {
      const data = this.#libc.dataFrom(from.descriptor, at);
      const hole = Math.min(data?.start ?? end, end) - at;
      if (hole > 0 && !this.leaveOut(position + at - start, hole)) break;
      at += hole;
      const part = Math.min(data?.end ?? end, end) - at;
      const copied = this.copyRange(from, at, part, position + at - start);
      at += copied;
      if (copied < part) break;
    }
    return at - start;
  }

  truncate(): void {
    this.#libc.truncate(this.#descriptor.number, 0);
  }

  reserve(start: number, length: number): void {
    if (length > 0) this.#libc.reserve(this.#descriptor.number, start, length);
  }

  setMode(mode: number): void {
    this.#libc.setMode(this.#descriptor.number, mode);
  }

  setTime(time: number): void {
    this.#libc.setTime(this.#descriptor.number, time);
  }

  writeOut(): Promise<void> {
    return this.#descriptor.lend((number) => this.#libc.writeOutAside(number));
  }

  sync(): Promise<void> {
    return this.#descriptor.lend((number) => this.#libc.syncAside(number));
  }

  syncNow(): void {
    this.#libc.sync(this.#descriptor.number);
  }

  close(): void {
    this.#descriptor[Symbol.dispose]();
  }
}

/** A {@linkcode WritableFile} by what Deno offers. */
export class PathFile implements WritableFile {
  readonly #nativePath: string;
  readonly #file: Deno.FsFile;
  #position = 0;

  constructor(nativePath: string, file: Deno.FsFile) {
    this.#nativePath = nativePath;
    this.#file = file;
  }

  read(into: Uint8Array, position: number): number {
    this.#seek(position);
    const read = this.#file.readSync(into) ?? 0;
    this.#position += read;
    return read;
  }

  write(data: Uint8Array, position: number): number {
    this.#seek(position);
    const written = this.#file.writeSync(data);
    this.#position += written;
    return written;
  }

  leaveOut(): boolean {
    return false;
  }

  copyRange(): number {
    return 0;
  }

  copySparsely(): number {
    return 0;
  }

  truncate(): void {
    this.#file.truncateSync(0);
  }

  reserve(): void {}

  setMode(mode: number): void {
    Deno.chmodSync(this.#nativePath, mode);
  }

  setTime(time: number): void {
    this.#file.utimeSync(new Date(time), new Date(time));
  }

  writeOut(): Promise<void> {
    return Promise.resolve();
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  syncNow(): void {
    this.#file.syncSync();
  }

  close(): void {
    this.#file.close();
  }

  #seek(position: number): void {
    if (position !== this.#position) this.#file.seekSync(position, Deno.SeekMode.Start);
    this.#position = position;
  }
}
