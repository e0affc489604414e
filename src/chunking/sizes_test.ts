import { assertEquals } from "@std/assert";
import { chunkSizesFor, MAX_CHUNK_BYTES } from "./sizes.ts";

const KIB = 1 << 10;
const GIB = 1 << 30;

Deno.test("chunkSizesFor() gives 4, 16 and 64 KiB up to 1 GiB", () => {
  const expected = { min: 4 * KIB, average: 16 * KIB, max: 64 * KIB };
  for (const size of [0, 1, 16 * KIB, GIB]) assertEquals(chunkSizesFor(size), expected);
});

Deno.test("chunkSizesFor() doubles so that a file has at most 64k average chunks", () => {
  assertEquals(chunkSizesFor(GIB + 1).average, 32 * KIB);
  assertEquals(chunkSizesFor(2 * GIB).average, 32 * KIB);
  assertEquals(chunkSizesFor(2 * GIB + 1), { min: 16 * KIB, average: 64 * KIB, max: 256 * KIB });
  assertEquals(chunkSizesFor(64 * GIB).average, 1024 * KIB);
});

Deno.test("chunkSizesFor() never goes beyond MAX_CHUNK_BYTES", () => {
  assertEquals(chunkSizesFor(Number.MAX_SAFE_INTEGER).max, MAX_CHUNK_BYTES);
});
