/**
 * Small contents of the source, kept from when they were read until they are sent: opening and
 * reading a file once more costs more than all else that is done for it.
 *
 * @module
 */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { describeBytes, type FileContent } from "../chunking/describe.ts";
import type { Digest } from "../core/digest.ts";
import type { OpenFile } from "../files/tree_root.ts";

/** Most bytes that are kept: what is queued next is sent next, so what comes when it is full is read again. */
const MOST_BYTES = 16 << 20;

/**
 * What a content costs besides its bytes: where it lies, its digest, and their place in a map. Of the smallest files
 * that is most of it, and 150,000 of them would be 50 MB.
 */
const COST_BYTES = 350;

/** Contents lie side by side in blocks of so many bytes: a buffer for each would cost more than reading it. */
const BLOCK_BYTES = 1 << 20;

/** See the module's comment. */
export class FreshContents {
  readonly #most: number;
  readonly #contents = new Map<Digest, Uint8Array<ArrayBuffer>>();
  #bytes = 0;
  /** What is left of the block that is being filled. */
  #room = new Uint8Array(0);

  /** @param most Most bytes that are kept, and what they cost. */
  constructor(most: number = MOST_BYTES) {
    this.#most = most;
  }

  /**
   * Reads and describes a file, as `describeFile` does, in this thread, and keeps what it holds.
   *
   * @throws {FilesyncError} When it cannot be read.
   */
  describe(file: OpenFile): FileContent {
    const data = this.#read(file);
    const content = describeBytes(data, DEFAULT_CHUNKING);
    if (!this.#contents.has(content.digest) && this.#bytes + costOf(data) <= this.#most) {
      this.#contents.set(content.digest, data);
      this.#bytes += costOf(data);
      this.#room = this.#room.subarray(data.length);
    }
    return content;
  }

  /** A content that is kept. */
  get(digest: Digest): Uint8Array<ArrayBuffer> | undefined {
    return this.#contents.get(digest);
  }

  /** Keeps a content no more. */
  drop(digest: Digest): void {
    const data = this.#contents.get(digest);
    if (data === undefined) return;
    this.#bytes -= costOf(data);
    this.#contents.delete(digest);
  }

  /** Keeps nothing any more. */
  clear(): void {
    this.#contents.clear();
    this.#bytes = 0;
    this.#room = new Uint8Array(0);
  }

  #read(file: OpenFile): Uint8Array<ArrayBuffer> {
    const { size } = file.stat;
    if (this.#room.length < size) this.#room = new Uint8Array(Math.max(size, BLOCK_BYTES));
    const room = this.#room.subarray(0, size);
    let filled = 0;
    while (filled < size) {
      const read = file.read(room.subarray(filled), filled);
      if (read === 0) break;
      filled += read;
    }
    return room.subarray(0, filled);
  }
}

function costOf(data: Uint8Array): number {
  return data.length + COST_BYTES;
}
