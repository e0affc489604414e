/** Describing content while it comes. @module */
import { Sha256 } from "../hashing/sha256.ts";
import { ChunkStream } from "./chunk_stream.ts";
import type { Chunking } from "./chunker.ts";
import { contentOf, type FileContent } from "./describe.ts";
import { ByteWriter } from "./varint.ts";

/** Describes content that comes in blocks, as `describeFile` would the file that holds it. To be disposed of. */
export class DescribeStream implements Disposable {
  readonly #chunks: ChunkStream;
  readonly #whole = new Sha256();
  readonly #packed = new ByteWriter();
  #size = 0;

  /** @param size Bytes that will come: bigger files are cut into bigger chunks. */
  constructor(chunking: Chunking, size: number) {
    this.#chunks = new ChunkStream(chunking, chunking.sizesFor(size));
  }

  /** Where the next bytes are to be written; never empty, and at most 1 MiB. */
  room(): Uint8Array<ArrayBuffer> {
    return this.#chunks.room();
  }

  /** Takes the first `length` bytes of `room`, which must be the last one given. */
  take(room: Uint8Array, length: number): void {
    this.#whole.update(room.subarray(0, length));
    this.#size += length;
    this.#packed.write(this.#chunks.take(length).packedManifest);
  }

  /** The description, when all has come. To be called once. */
  end(): FileContent {
    this.#packed.write(this.#chunks.end().packedManifest);
    return contentOf({ size: this.#size, digest: this.#whole.digest() }, this.#packed.bytes);
  }

  [Symbol.dispose](): void {
    this.#chunks[Symbol.dispose]();
  }
}
