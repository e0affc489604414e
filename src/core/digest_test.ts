import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { digestFromBytes, digestToBytes, isDigest, parseDigest } from "./digest.ts";
import { FilesyncError } from "./errors.ts";

const OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Deno.test("parseDigest() takes 64 lower-case hexadecimal digits and nothing else", () => {
  assertEquals(String(parseDigest(OF_NOTHING)), OF_NOTHING);
  const wrong = [
    "",
    OF_NOTHING.toUpperCase(),
    OF_NOTHING.slice(1),
    `${OF_NOTHING}0`,
    `${OF_NOTHING}\n`,
    `g${OF_NOTHING.slice(1)}`,
    "x".repeat(10_000),
  ];
  for (const text of wrong) {
    const error = assertThrows(() => parseDigest(text), FilesyncError) as FilesyncError;
    assertEquals(error.code, "bad-request");
    assert(error.message.length < 300);
  }
  for (const value of [undefined, null, 5, [OF_NOTHING]]) assertEquals(isDigest(value), false);
});

Deno.test("digestToBytes() undoes digestFromBytes()", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
    const digest = digestFromBytes(bytes);
    assert(isDigest(digest));
    assertEquals([...digestToBytes(digest)], [...bytes]);
  }));
  for (const length of [0, 31, 33]) assertThrows(() => digestFromBytes(new Uint8Array(length)), RangeError);
});
