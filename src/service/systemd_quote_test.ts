import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { unitText, unitWord } from "./systemd_quote.ts";

/**
 * The words of a command line as systemd understands it: `extract_first_word` with EXTRACT_UNQUOTE and
 * EXTRACT_CUNESCAPE, then the specifiers. Anything that it would warn of throws.
 */
function systemdWords(line: string): string[] {
  const words: string[] = [];
  let at = 0;
  while (at < line.length) {
    if (" \t\n\r".includes(line[at])) {
      at++;
      continue;
    }
    let word = "";
    let quote = "";
    for (; at < line.length; at++) {
      const char = line[at];
      if (char === "\\") {
        const next = line[++at];
        if (!`"'\\`.includes(next)) throw new Error(`escape of ${next}`);
        word += next;
      } else if (quote !== "") {
        if (char === quote) quote = "";
        else word += char;
      } else if (char === '"' || char === "'") quote = char;
      else if (" \t\n\r".includes(char)) break;
      else word += char;
    }
    if (quote !== "") throw new Error("unbalanced quotes");
    words.push(word.replace(/%(.?)/gs, (_, letter) => {
      if (letter !== "%") throw new Error(`specifier %${letter}`);
      return "%";
    }));
  }
  return words;
}

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
