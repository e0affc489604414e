/** Cutting content that comes in blocks of any size. @module */
import { packedLength } from "../core/chunk.ts";
import type { Chunking, ChunkKernel } from "./chunker.ts";
import type { ChunkSizes } from "./sizes.ts";

/** Most bytes taken in one go: about what stays in a core's cache between reading, cutting and hashing. */
const BLOCK_BYTES = 1 << 20;

/** Chunks that lie one after the other. Both parts are void once the stream goes on. */
export interface CutContent {
  packedManifest: Uint8Array;
  /** The bytes of all of them. */
  data: Uint8Array;
}

/**
 * Cuts content that comes in blocks, into the same chunks as if it came whole. Content is written
 * into the stream's own buffer, so that a file can be read into it without a copy.
 *
 * ```ts
 * import { ChunkStream } from "./chunk_stream.ts";
 * import { DEFAULT_CHUNKING } from "./chunker.ts";
 *
 * function lengthOfManifest(file: Deno.FsFile): number {
 *   using stream = new ChunkStream(DEFAULT_CHUNKING, DEFAULT_CHUNKING.sizesFor(0));
 *   let bytes = 0;
 *   for (let n = file.readSync(stream.room()); n !== null; n = file.readSync(stream.room())) {
 *     bytes += stream.take(n).packedManifest.length;
 *   }
 *   return bytes + stream.end().packedManifest.length;
 * }
 * ```
 */
export class ChunkStream implements Disposable {
  readonly #kernel: ChunkKernel;
  /** The bytes from `#start` to `#end` are not cut yet. */
  #start = 0;
  #end = 0;

  constructor(chunking: Chunking, sizes: ChunkSizes) {
    this.#kernel = chunking.open(sizes);
  }

  /** Where the next bytes are to be written; never empty, and at most 1 MiB. Chunks given before are void then. */
  room(): Uint8Array<ArrayBuffer> {
    const { buffer } = this.#kernel;
    // Fewer bytes are left than the longest chunk has, which is at most half of the buffer.
    if (buffer.length - this.#end < BLOCK_BYTES) {
      buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return buffer.subarray(this.#end, this.#end + BLOCK_BYTES);
  }

  /** Takes the first `length` bytes of {@linkcode room}; gives the chunks that are complete now. */
  take(length: number): CutContent {
    this.#end += length;
    return this.#cut(true);
  }

  /** Gives the last chunks, when the content has ended. */
  end(): CutContent {
    return this.#cut(false);
  }

  /** Lets others use its buffer. */
  [Symbol.dispose](): void {
    this.#kernel[Symbol.dispose]();
  }

  #cut(more: boolean): CutContent {
    const packedManifest = this.#kernel.chunks(this.#start, this.#end, more);
    const start = this.#start;
    this.#start += packedLength(packedManifest);
    return { packedManifest, data: this.#kernel.buffer.subarray(start, this.#start) };
  }
}
