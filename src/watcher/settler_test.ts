import { assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import fc from "fast-check";
import { parsePath } from "../core/path.ts";
import { Settler, type Sighting } from "./settler.ts";

const PATH = parsePath("a");

/** Runs a settler on a timeline of what stands at one path, with a hint at each change, and returns its reports. */
function reports(
  timeline: { at: number; stands: Sighting }[],
  until: number,
  settler = new Settler(),
): { at: number; seen: Sighting }[] {
  const told: { at: number; seen: Sighting }[] = [];
  let stands: Sighting = "gone";
  for (let now = 0; now <= until; now++) {
    for (const change of timeline.filter(({ at }) => at === now)) {
      stands = change.stands;
      settler.hint(PATH, now);
    }
    for (const path of settler.due(now)) {
      if (settler.look(path, stands, now)) told.push({ at: now, seen: stands });
    }
  }
  return told;
}

Deno.test("look() reports a file when two looks see the same", () => {
  assertEquals(reports([{ at: 0, stands: "file 1" }], 100), [{ at: 8, seen: "file 1" }]);
});

Deno.test("look() waits while a file still grows", () => {
  const growing = Array.from({ length: 50 }, (_, i) => ({ at: i * 7, stands: `file ${i}` as const }));
  const [first, ...others] = reports(growing, 1000);
  assertEquals(others, []);
  assertEquals(first.seen, "file 49");
  assertLessOrEqual(first.at, 49 * 7 + 2 * 50);
});

Deno.test("look() reports a file that never stands still, again and again", () => {
  const growing = Array.from({ length: 1000 }, (_, i) => ({ at: i * 7, stands: `file ${i}` as const }));
  const told = reports(growing, 7200);
  assertEquals(told.length, 3);
  assertLessOrEqual(told[0].at, 3000 + 50);
  assertEquals(told.at(-1)!.seen, "file 999");
});

Deno.test("look() reports a directory at once", () => {
  assertEquals(reports([{ at: 5, stands: "whole" }], 100), [{ at: 5, seen: "whole" }]);
});

Deno.test("look() holds a path that vanished back", () => {
  assertEquals(reports([{ at: 10, stands: "gone" }], 500), [{ at: 160, seen: "gone" }]);
});

Deno.test("look() does not report a file as gone that was deleted and written anew", () => {
  const told = reports([{ at: 0, stands: "file 1" }, { at: 4, stands: "gone" }, {
    at: 100,
    stands: "file 2",
  }], 500);
  assertEquals(told, [{ at: 108, seen: "file 2" }]);
});

Deno.test("look() answers nothing for a path that nobody asked about", () => {
  assertEquals(new Settler().look(PATH, "whole", 0), false);
});

Deno.test("settling reports what stands at last, never what is still moving, whatever happens", () => {
  const stands = fc.constantFrom<Sighting>("gone", "whole", "file 1", "file 2", "file 3");
  const timeline = fc.uniqueArray(fc.record({ at: fc.nat(400), stands }), {
    minLength: 1,
    maxLength: 30,
    selector: ({ at }) => at, // what comes and goes within a millisecond, no look can see
  })
    .map((changes) => changes.sort((a, b) => a.at - b.at));
  fc.assert(fc.property(timeline, (changes) => {
    const settler = new Settler();
    const told = reports(changes, 4000, settler);
    const last = changes.at(-1)!;
    assertEquals(settler.size, 0);
    assertEquals(told.at(-1)!.seen, last.stands);
    assertGreaterOrEqual(told.at(-1)!.at, last.at);
    for (const { at, seen } of told) {
      const before = changes.filter((change) => change.at <= at);
      const since = before.findLastIndex((change) => change.stands !== seen) + 1;
      if (seen === "gone") assertGreaterOrEqual(at - before[since].at, 150);
      // Two looks may see the same content with another between them; the content still stood at both.
      if (seen.startsWith("file")) assertEquals(before.at(-1)!.stands, seen);
    }
  }));
});
