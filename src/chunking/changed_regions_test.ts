import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { changedRegions, wholeRegion } from "./changed_regions.ts";
import type { Outline } from "./outline.ts";

/** Chunks of 10 bytes, one a letter; of 5, when it is lower-case. */
function outline(letters: string): Outline {
  return [...letters].map((letter) => ({ prefix: letter, length: letter < "a" ? 10 : 5 }));
}

function told(before: string, now: string): string[] {
  return changedRegions(outline(before), outline(now)).map((segment) =>
    segment.type === "same"
      ? `same ${segment.start}+${segment.length}`
      : [`${segment.start}-${segment.end}`, ...segment.old.map(({ start, end }) => `${start}-${end}`)].join(
        " ~ ",
      )
  );
}

Deno.test("changedRegions() is one run when nothing has changed", () => {
  assertEquals(told("ABC", "ABC"), ["same 0+30"]);
  assertEquals(told("ABC", ""), []);
  assertEquals(told("", ""), []);
});

Deno.test("changedRegions() compares what stands between the same neighbours", () => {
  assertEquals(told("ABCD", "AXCD"), ["same 0+10", "10-20 ~ 10-20", "same 20+20"]);
  assertEquals(told("ABCD", "AxyzD"), ["same 0+10", "10-25 ~ 10-30", "same 30+10"]);
  assertEquals(told("ABCD", "XBCY"), ["0-10 ~ 0-10", "same 10+20", "30-40 ~ 30-40"]);
});

Deno.test("changedRegions() has nothing to compare a pure insert with", () => {
  assertEquals(told("AB", "AXB"), ["same 0+10", "10-20", "same 10+10"]);
  assertEquals(told("AB", "ABX"), ["same 0+20", "20-30"]);
  assertEquals(told("", "X"), ["0-10"]);
});

Deno.test("changedRegions() leaves out what was removed", () => {
  assertEquals(told("ABCD", "AD"), ["same 0+10", "same 30+10"]);
});

Deno.test("changedRegions() looks at both ends of something far longer than the new", () => {
  assertEquals(told("ABCDEFGHIJ", "AxJ"), ["same 0+10", "10-15 ~ 10-25 ~ 75-90", "same 90+10"]);
});

Deno.test("changedRegions() finds chunks that were moved, and those that stand several times", () => {
  assertEquals(told("ABCD", "DABC"), ["same 30+10", "same 0+30"]);
  assertEquals(told("AB", "ABAB"), ["same 0+20", "same 0+20"]);
  assertEquals(told("ZAZBZ", "ZAZBZ"), ["same 0+50"]);
  assertEquals(told("ABCDEFGH", "GHXB"), ["same 60+20", "20-30", "same 10+10"]);
  assertEquals(told("ABCDEFGH", "BXA"), ["same 10+10", "10-20 ~ 20-40", "same 0+10"]);
});

Deno.test("changedRegions() does not take a chunk of another length for the same", () => {
  const before = [{ prefix: "A", length: 9 }];
  assertEquals(changedRegions(before, outline("A")), [
    { type: "changed", start: 0, end: 10, old: [{ start: 0, end: 9 }] },
  ]);
});

Deno.test("wholeRegion() compares all with all", () => {
  assertEquals(wholeRegion(3, 5), [{ type: "changed", start: 0, end: 5, old: [{ start: 0, end: 3 }] }]);
  assertEquals(wholeRegion(0, 5), [{ type: "changed", start: 0, end: 5, old: [] }]);
  assertEquals(wholeRegion(3, 0), []);
});

Deno.test("changedRegions() tells all of the new content, by what the old one has", () => {
  const letters = fc.string({ unit: fc.constantFrom(..."ABCDabcd"), maxLength: 30 });
  fc.assert(fc.property(letters, letters, (before, now) => {
    const old = bytesOf(before);
    let rebuilt = "";
    for (const segment of changedRegions(outline(before), outline(now))) {
      if (segment.type === "same") {
        rebuilt += old.slice(segment.start, segment.start + segment.length);
        continue;
      }
      assertEquals(segment.start, rebuilt.length);
      for (const { start, end } of segment.old) assert(0 <= start && start < end && end <= old.length);
      rebuilt += bytesOf(now).slice(segment.start, segment.end);
    }
    assertEquals(rebuilt, bytesOf(now));
  }));
});

/** Each chunk as bytes of its own letter. */
function bytesOf(letters: string): string {
  return outline(letters).map(({ prefix, length }) => prefix.repeat(length)).join("");
}
