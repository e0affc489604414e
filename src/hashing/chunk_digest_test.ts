import { assertEquals, assertNotEquals } from "@std/assert";
import { chunkDigest, namesChunk } from "./chunk_digest.ts";
import { sha256 } from "./sha256.ts";

const CHUNK = new TextEncoder().encode("abc");

Deno.test("chunkDigest() is the BLAKE3 digest", () => {
  assertEquals<string>(
    chunkDigest(CHUNK),
    "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
  );
});

Deno.test("namesChunk() knows a chunk by its own name, and by that of a content which is only this chunk", () => {
  const other = CHUNK.with(0, 0);
  assertNotEquals(chunkDigest(CHUNK), sha256(CHUNK));
  for (const digest of [chunkDigest(CHUNK), sha256(CHUNK)]) {
    assertEquals(namesChunk(digest, CHUNK), true);
    assertEquals(namesChunk(digest, other), false);
  }
});
