import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { randomBytes } from "../../tests/support/bytes.ts";
import { type ChunkRef, unpackManifest } from "../core/chunk.ts";
import { chunkDigest } from "../hashing/chunk_digest.ts";
import { ChunkStream, type CutContent } from "./chunk_stream.ts";
import { DEFAULT_CHUNKING } from "./chunker.ts";
import { type ChunkSizes, MAX_CHUNK_BYTES } from "./sizes.ts";

const SMALL: ChunkSizes = { min: 1024, average: 4096, max: 16_384 };

/** Streams `data` in blocks of at most the given lengths, taken in turn; checks that digests fit the bytes. */
function stream(data: Uint8Array, blocks: number[], sizes: ChunkSizes): ChunkRef[] {
  const chunks: ChunkRef[] = [];
  const keep = ({ packedManifest, data }: CutContent) => {
    let at = 0;
    for (const chunk of unpackManifest(packedManifest)) {
      assertEquals(chunk.digest, chunkDigest(data.subarray(at, at += chunk.length)));
      chunks.push(chunk);
    }
    assertEquals(at, data.length);
  };
  using stream = new ChunkStream(DEFAULT_CHUNKING, sizes);
  for (let at = 0, i = 0; at < data.length; i++) {
    const room = stream.room();
    const block = data.subarray(at, at + Math.min(blocks[i % blocks.length], room.length));
    room.set(block);
    at += block.length;
    keep(stream.take(block.length));
  }
  keep(stream.end());
  return chunks;
}

/** The chunks of `data`, cut in one go. */
function whole(data: Uint8Array, sizes: ChunkSizes): ChunkRef[] {
  using kernel = DEFAULT_CHUNKING.open(sizes);
  kernel.buffer.set(data);
  return unpackManifest(kernel.chunks(0, data.length, false));
}

Deno.test("ChunkStream gives the chunks of the whole, in blocks of any size", () => {
  const data = randomBytes(1, 200_000);
  const block = fc.oneof(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 1, max: 50_000 }));
  fc.assert(
    fc.property(
      fc.nat(data.length),
      fc.array(block, { minLength: 1, maxLength: 20 }),
      (length, blocks) => {
        const content = data.subarray(0, length);
        assertEquals(stream(content, blocks, SMALL), whole(content, SMALL));
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("ChunkStream gives the chunks of the whole byte by byte", () => {
  const data = randomBytes(2, 40_000);
  assertEquals(stream(data, [1], SMALL), whole(data, SMALL));
});

Deno.test("ChunkStream gives the same chunks when content is longer than its buffer", () => {
  const huge = { min: 1 << 20, average: 2 << 20, max: MAX_CHUNK_BYTES };
  const data = randomBytes(3, 11_000_000);
  for (const sizes of [DEFAULT_CHUNKING.sizesFor(0), huge]) {
    const expected = stream(data, [Infinity], sizes);
    assertEquals(expected.reduce((sum, { length }) => sum + length, 0), data.length);
    for (const blocks of [[1_000_000, 7, 65_536], [100_003]]) {
      assertEquals(stream(data, blocks, sizes), expected);
    }
  }
});

Deno.test("ChunkStream does not mix up streams that go on at the same time", () => {
  const contents = [randomBytes(4, 5_000_000), randomBytes(5, 5_000_000)];
  const sizes = DEFAULT_CHUNKING.sizesFor(0);
  const streams = contents.map(() => new ChunkStream(DEFAULT_CHUNKING, sizes));
  const chunks: ChunkRef[][] = [[], []];
  for (let at = 0; at < 5_000_000; at += 500_000) {
    streams.forEach((stream, i) => {
      stream.room().set(contents[i].subarray(at, at + 500_000));
      chunks[i].push(...unpackManifest(stream.take(500_000).packedManifest));
    });
  }
  streams.forEach((open, i) => {
    chunks[i].push(...unpackManifest(open.end().packedManifest));
    open[Symbol.dispose]();
    assertEquals(chunks[i], stream(contents[i], [Infinity], sizes));
  });
});

Deno.test("ChunkStream refuses chunks that its memory has no room to list", () => {
  assertThrows(() => new ChunkStream(DEFAULT_CHUNKING, { min: 64, average: 256, max: 1024 }), RangeError);
});
