/** Cutting content that comes in blocks of any size. @module */
import type { Chunking } from "./chunker.ts";
import type { ChunkSizes } from "./sizes.ts";

const USUAL_CAPACITY = 1 << 20;

/**
 * Cuts content that comes in blocks, into the same chunks as if it came whole. Content is written
 * into the stream's own buffer, so that a file can be read into it without a copy.
 *
 * ```ts
 * import { ChunkStream } from "./chunk_stream.ts";
 * import { DEFAULT_CHUNKING } from "./chunker.ts";
 *
 * function count(file: Deno.FsFile): number {
 *   const stream = new ChunkStream(DEFAULT_CHUNKING, DEFAULT_CHUNKING.sizesFor(0));
 *   let chunks = 0;
 *   for (let n = file.readSync(stream.room()); n !== null; n = file.readSync(stream.room())) {
 *     chunks += stream.take(n).length;
 *   }
 *   return chunks + stream.end().length;
 * }
 * ```
 */
export class ChunkStream {
  readonly #chunking: Chunking;
  readonly #sizes: ChunkSizes;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  /** The bytes from `#start` to `#end` are not cut yet. */
  #start = 0;
  #end = 0;

  constructor(chunking: Chunking, sizes: ChunkSizes) {
    this.#chunking = chunking;
    this.#sizes = sizes;
    this.#buffer = new Uint8Array(Math.max(USUAL_CAPACITY, 4 * sizes.max));
  }

  /** Where the next bytes are to be written; never empty. Chunks given before are void then. */
  room(): Uint8Array<ArrayBuffer> {
    if (this.#end === this.#buffer.length) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#buffer.subarray(this.#end);
  }

  /** Takes the first `length` bytes of {@linkcode room}; gives the chunks that are complete now. */
  take(length: number): Uint8Array<ArrayBuffer>[] {
    this.#end += length;
    return this.#cut(true);
  }

  /** Gives the last chunks, when the content has ended. */
  end(): Uint8Array<ArrayBuffer>[] {
    return this.#cut(false);
  }

  #cut(more: boolean): Uint8Array<ArrayBuffer>[] {
    const uncut = this.#buffer.subarray(this.#start, this.#end);
    return this.#chunking.cut(uncut, this.#sizes, more).map((length) => {
      const start = this.#start;
      this.#start += length;
      return this.#buffer.subarray(start, this.#start);
    });
  }
}
