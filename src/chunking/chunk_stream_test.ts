import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { randomBytes } from "../../tests/support/bytes.ts";
import { sha256 } from "../hashing/sha256.ts";
import { ChunkStream } from "./chunk_stream.ts";
import { DEFAULT_CHUNKING } from "./chunker.ts";
import type { ChunkSizes } from "./sizes.ts";

/** Streams `data` in blocks of at most the given lengths, taken in turn. */
function stream(data: Uint8Array, blocks: number[], sizes: ChunkSizes): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  const stream = new ChunkStream(DEFAULT_CHUNKING, sizes);
  for (let at = 0, i = 0; at < data.length; i++) {
    const room = stream.room();
    const block = data.subarray(at, at + Math.min(blocks[i % blocks.length], room.length));
    room.set(block);
    at += block.length;
    // Chunks are void once the stream goes on.
    chunks.push(...stream.take(block.length).map((chunk) => chunk.slice()));
  }
  return [...chunks, ...stream.end()];
}

function whole(data: Uint8Array, sizes: ChunkSizes): Uint8Array[] {
  let at = 0;
  return DEFAULT_CHUNKING.cut(data, sizes, false).map((length) => data.subarray(at, at += length));
}

Deno.test("ChunkStream gives the chunks of the whole, in blocks of any size", () => {
  const sizes = { min: 64, average: 256, max: 1024 };
  const data = randomBytes(1, 10_000);
  const block = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 5000 }));
  fc.assert(
    fc.property(
      fc.nat(data.length),
      fc.array(block, { minLength: 1, maxLength: 20 }),
      (length, blocks) => {
        const content = data.subarray(0, length);
        assertEquals(stream(content, blocks, sizes), whole(content, sizes));
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("ChunkStream gives the chunks of the whole when content is longer than its buffer", () => {
  const sizes = DEFAULT_CHUNKING.sizesFor(0);
  const data = randomBytes(1, 3_500_000);
  for (const blocks of [[Infinity], [1_000_000, 7, 65_536], [100_003]]) {
    const [actual, expected] = [stream(data, blocks, sizes), whole(data, sizes)];
    assertEquals(actual.map((chunk) => chunk.length), expected.map((chunk) => chunk.length));
    assertEquals(actual.map(sha256), expected.map(sha256));
  }
});
