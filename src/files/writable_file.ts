/** A file open for writing, by a descriptor of the system or by Deno. @module */
import { Descriptor } from "./descriptor.ts";
import { descriptorPath, type Libc, OPEN } from "./libc.ts";
import type { OpenFile } from "./open_file.ts";

/** A new file, open for writing and reading. What fails throws an error that `osCode` knows. */
export interface WritableFile {
  /** Reads once, from `position`. Returns the number of bytes; 0 at the end. */
  read(into: Uint8Array, position: number): number;
  /** Writes once, at `position`. Returns the number of bytes. */
  write(data: Uint8Array, position: number): number;
  /**
   * Copies a part of another file to `position`, as far as that goes without reading it.
   *
   * @returns Bytes copied: fewer than `length`, maybe none, where the system cannot, or at the end.
   */
  copyRange(from: OpenFile, start: number, length: number, position: number): number;
  /** Takes the whole content of the file at a native path. Returns its size. */
  copyFrom(nativePath: string): number;
  truncate(): void;
  /** Takes room for so many bytes, where the file system can. */
  reserve(size: number): void;
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

  copyRange(from: OpenFile, start: number, length: number, position: number): number {
    return from.descriptor === undefined ? 0 : this.#copy(from.descriptor, start, length, position);
  }

  copyFrom(nativePath: string): number {
    this.truncate();
    const from = this.#libc.open(undefined, nativePath, OPEN.read);
    try {
      const { size } = this.#libc.statOf(from);
      // A file that seems empty may only pretend to be, as those of /proc do.
      if (size > 0 && this.#copy(from, 0, size, 0) === size) return size;
    } finally {
      this.#libc.close(from);
    }
    Deno.copyFileSync(nativePath, descriptorPath(this.#descriptor.number));
    return this.#libc.statOf(this.#descriptor.number).size;
  }

  truncate(): void {
    this.#libc.truncate(this.#descriptor.number, 0);
  }

  reserve(size: number): void {
    if (size > 0) this.#libc.reserve(this.#descriptor.number, size);
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

  #copy(from: number, start: number, length: number, position: number): number {
    let done = 0;
    try {
      while (done < length) {
        const copied = this.#libc.copy(
          from,
          start + done,
          this.#descriptor.number,
          position + done,
          length - done,
        );
        if (copied === 0) break;
        done += copied;
      }
    } catch {
      // Across file systems, or not for such files: and if the disk is full, writing says so too.
    }
    return done;
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

  copyRange(): number {
    return 0;
  }

  copyFrom(nativePath: string): number {
    Deno.copyFileSync(nativePath, this.#nativePath);
    return this.#position = this.#file.seekSync(0, Deno.SeekMode.End);
  }

  truncate(): void {
    this.#file.truncateSync(0);
  }

  reserve(_size: number): void {}

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
