import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { packedLength, packManifest, unpackManifest } from "./chunk.ts";
import { digestFromBytes } from "./digest.ts";

const manifest = fc.array(fc.record({
  digest: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(digestFromBytes),
  length: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
}));

Deno.test("unpackManifest() gives back what packManifest() was given, from any view", () => {
  fc.assert(fc.property(manifest, (manifest) => {
    const packed = packManifest(manifest);
    assertEquals(unpackManifest(packed), manifest);
    const within = new Uint8Array(packed.length + 7);
    within.set(packed, 3);
    assertEquals(unpackManifest(within.subarray(3, 3 + packed.length)), manifest);
  }));
});

Deno.test("packManifest() writes the bytes that are stored and sent", () => {
  const digest = digestFromBytes(Uint8Array.from({ length: 32 }, (_, i) => i));
  assertEquals([...packManifest([{ digest, length: 0x01020304 }])], [...Array(32).keys(), 4, 3, 2, 1]);
});

Deno.test("unpackManifest() refuses part of a chunk", () => {
  for (const length of [1, 35, 37]) assertThrows(() => unpackManifest(new Uint8Array(length)), RangeError);
});

Deno.test("packedLength() adds up the lengths, from any view", () => {
  fc.assert(fc.property(manifest, (manifest) => {
    const packed = packManifest(manifest);
    const within = new Uint8Array(packed.length + 7);
    within.set(packed, 3);
    const expected = manifest.reduce((sum, { length }) => sum + length, 0);
    assertEquals(packedLength(within.subarray(3, 3 + packed.length)), expected);
  }));
});
