import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { quotePath, visible, visibleJson } from "./quote.ts";

Deno.test("quotePath() leaves ordinary names alone", () => {
  for (const path of ["a/b.txt", "höher/日本語.md", "with space", 'in"side', "back\\slash", "-x"]) {
    assertEquals(quotePath(path), path);
  }
});

Deno.test("quotePath() puts into quotes what could mislead", () => {
  assertEquals(quotePath("a\nput b"), '"a\\nput b"');
  assertEquals(quotePath("\x1b[2J"), '"\\u001b[2J"');
  assertEquals(quotePath("csi\x9b2J"), '"csi\\u009b2J"');
  assertEquals(quotePath("exe\u202Etxt"), '"exe\\u202etxt"');
  assertEquals(quotePath(" a"), '" a"');
  assertEquals(quotePath("a "), '"a "');
  assertEquals(quotePath("a  12 KiB"), '"a  12 KiB"');
  assertEquals(quotePath("a → b"), '"a → b"');
  assertEquals(quotePath('"a"'), '"\\"a\\""');
  assertEquals(quotePath(""), '""');
});

Deno.test("visible() lets no control character through, whatever it is given", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    return [visible(text), quotePath(text), visibleJson(JSON.stringify(text))]
      .every((shown) => !/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]/.test(shown));
  }));
});

Deno.test("visibleJson() changes how JSON is written, not what it says", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assertEquals(JSON.parse(visibleJson(JSON.stringify(text))), text);
  }));
});
