import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { systemdWords } from "../../tests/support/systemd_words.ts";
import { unitText, unitWord } from "./systemd_quote.ts";

const word = fc.string({ unit: fc.constantFrom(...Array.from(" \"'\\%$;{}#=-a/é🎉\u00a0")) });

Deno.test("unitWord() makes of any words what systemd reads as them", () => {
  fc.assert(fc.property(fc.array(word), (words) => {
    assertEquals(systemdWords(words.map(unitWord).join(" ")), words);
  }));
});

Deno.test("unitWord() leaves plain words as they are, and never a bare separator or comment", () => {
  const plain = ["/srv/photos", "--listen=0.0.0.0:7433"];
  assertEquals(plain.map(unitWord), plain);
  assertEquals(["", ";", "#a", "a b", `"`].map(unitWord), [
    '""',
    '";"',
    '"#a"',
    '"a b"',
    String.raw`"\""`,
  ]);
});

Deno.test("unitWord() refuses what a unit file cannot hold", () => {
  assertThrows(() => unitWord("a\nExecStart=/bin/sh"), TypeError);
});

Deno.test("unitText() keeps to its line", () => {
  assertEquals(unitText("a\nUser=root 100%\\"), "a User=root 100%%");
});
