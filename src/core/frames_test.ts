import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FilesyncError } from "./errors.ts";
import { decodeFrames, encodeFrames } from "./frames.ts";

const frames = fc.array(fc.record({
  header: fc.json().map((text) => JSON.parse(text)),
  content: fc.uint8Array({ maxLength: 100 }).map((bytes) => new Uint8Array(bytes)),
}));

Deno.test("decodeFrames() gives back what encodeFrames() was given", () => {
  fc.assert(fc.property(frames, (given) => {
    // JSON has no -0.
    const expected = given.map(({ header, content }) => ({
      header: JSON.parse(JSON.stringify(header)),
      content,
    }));
    assertEquals(decodeFrames(encodeFrames(given)), expected);
  }));
});

Deno.test("encodeFrames() writes the bytes that version 1 of the protocol names", () => {
  const body = encodeFrames([{ header: { a: 1 }, content: new Uint8Array([9, 8]) }]);
  assertEquals([...body], [7, 0, 0, 0, 2, 0, 0, 0, 123, 34, 97, 34, 58, 49, 125, 9, 8]);
});

Deno.test("decodeFrames() refuses a body that was cut, and never throws anything else", () => {
  const body = encodeFrames([{ header: {}, content: new Uint8Array(5) }]);
  for (let length = 1; length < body.length; length++) {
    assertThrows(() => decodeFrames(body.slice(0, length)), FilesyncError);
  }
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    try {
      decodeFrames(new Uint8Array(bytes));
    } catch (error) {
      if (!(error instanceof FilesyncError)) throw error;
    }
  }));
});
