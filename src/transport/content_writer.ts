/** Writes a content from parts of files and from bytes, and proves it. @module */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { describeFile, digestFile, type FileContent, SMALL_FILE_BYTES } from "../chunking/describe.ts";
import type { DescribePool } from "../chunking/describe_pool.ts";
import type { Digest } from "../core/digest.ts";
import type { OpenFile, TempFile } from "../files/tree_root.ts";
import type { Durability } from "./durability.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";

/** Shorter parts are gathered and written together; longer ones are left to the kernel to copy, bytes. */
const GATHER_BYTES = 64 << 10;
const BUFFER_BYTES = 1 << 20;

/** A step takes as long as copying so many bytes, however few it copies: there can be millions in one delta. */
const STEP_COST_BYTES = 16 << 10;

/** What contents are written with. */
export interface WriterTools {
  pool: DescribePool;
  durability: Durability;
}

/** Writes one content into a temporary file, as a rule from its first byte to its last. */
export class ContentWriter {
  readonly temp: TempFile;
  readonly #tools: WriterTools;
  readonly #buffer: Uint8Array;
  readonly #size: number;
  #filled = 0;
  #sinceTurn = 0;

  /** @param size Bytes that will be written. */
  constructor(temp: TempFile, size: number, tools: WriterTools) {
    this.temp = temp;
    this.#size = size;
    this.#buffer = new Uint8Array(Math.min(size, BUFFER_BYTES));
    this.#tools = tools;
  }

  /** Goes on with `bytes`, which may be reused afterwards. */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length > this.#buffer.length - this.#filled) this.#flush();
    if (bytes.length > this.#buffer.length) {
      this.temp.write(bytes);
    } else {
      this.#buffer.set(bytes, this.#filled);
      this.#filled += bytes.length;
    }
    await this.#step(bytes.length);
  }

  /** Goes on with `length` bytes of `from` from byte `start`. Says whether it had so many. */
  async copy(from: OpenFile, start: number, length: number): Promise<boolean> {
    if (length < GATHER_BYTES) return await this.fill(length, (into, at) => from.read(into, start + at));
    this.#flush();
    for (let at = 0; at < length;) {
      const most = Math.min(length - at, TURN_BYTES);
      if (this.temp.copySparsely(from, start + at, most) < most) return false;
      at += most;
      await this.#step(most);
    }
    return true;
  }

  /**
   * Goes on with `length` bytes that `read` fills rooms with, from a byte of them. Says whether there were
   * so many.
   */
  async fill(length: number, read: (into: Uint8Array, at: number) => number): Promise<boolean> {
    for (let at = 0; at < length;) {
      if (this.#filled === this.#buffer.length) this.#flush();
      const room = this.#buffer.subarray(this.#filled, this.#filled + length - at);
      const got = read(room, at);
      if (got === 0) return false;
      this.#filled += got;
      at += got;
      await this.#step(got);
    }
    return true;
  }

  /** Goes on at another place of the file. */
  moveTo(position: number): void {
    this.#flush();
    this.temp.position = position;
  }

  /** The digest of what was written, by reading it again. To be called when all is. */
  async digest(): Promise<Digest> {
    this.#flush();
    const { nativePath } = this.temp;
    if (this.#size <= SMALL_FILE_BYTES) return digestFile(nativePath).digest;
    return (await this.#tools.pool.digest(nativePath)).digest;
  }

  /** What was written, described by reading it again. To be called when all is. */
  async describe(): Promise<FileContent> {
    this.#flush();
    const { nativePath } = this.temp;
    if (this.#size <= SMALL_FILE_BYTES) return describeFile(nativePath, DEFAULT_CHUNKING);
    return await this.#tools.pool.describe(nativePath);
  }

  #flush(): void {
    this.temp.write(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }

  async #step(bytes: number): Promise<void> {
    this.#sinceTurn += bytes + STEP_COST_BYTES;
    if (this.#sinceTurn < TURN_BYTES) return;
    this.#sinceTurn = 0;
    this.#tools.durability.writeOut(this.temp);
    await turn();
  }
}
