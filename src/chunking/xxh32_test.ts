import { assertEquals } from "@std/assert";
import { xxh32 } from "./xxh32.ts";

// The reference implementation's answers, seed 0.
const KNOWN: [string, number][] = [
  ["", 0x02cc5d05],
  ["a", 0x550d7456],
  ["abc", 0x32d153ff],
  ["Nobody inspects the spammish repetition", 0xe2293b2f],
];

Deno.test("xxh32() gives the reference's values", () => {
  for (const [text, expected] of KNOWN) {
    const data = new TextEncoder().encode(text);
    assertEquals(xxh32(data, 0, data.length) >>> 0, expected, text);
  }
});

Deno.test("xxh32() looks at the range alone", () => {
  const data = new TextEncoder().encode("__abc__");
  assertEquals(xxh32(data.subarray(1), 1, 4) >>> 0, 0x32d153ff);
});
