import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FilesyncError } from "../core/errors.ts";
import { addToRuns, gapsBetween, packRuns, type Run, unpackRuns } from "./runs.ts";

function runsOf(numbers: Iterable<number>): Run[] {
  const runs: Run[] = [];
  for (const number of numbers) addToRuns(runs, number);
  return runs;
}

const numbersOf = (runs: Run[]) =>
  runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i));

Deno.test("unpackRuns() gives back the numbers in their order, also when they come twice", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 40 })), (numbers) => {
    const runs = unpackRuns(packRuns(runsOf(numbers)));
    assertEquals(numbersOf(runs), numbers);
  }));
});

Deno.test("packRuns() writes the bytes that are stored, few for long runs", () => {
  const runs = [{ first: 1000, count: 65_536 }, { first: 3, count: 1 }, { first: 66_600, count: 2 }];
  assertEquals(packRuns(runs).toHex(), "d00f808004c98f0801c8900802");
});

Deno.test("unpackRuns() refuses what ends too early", () => {
  assertThrows(() => unpackRuns(packRuns([{ first: 9, count: 9 }]).subarray(0, 1)), FilesyncError);
});

Deno.test("gapsBetween() gives what no run holds", () => {
  const runs = fc.array(
    fc.record({ first: fc.integer({ min: 1, max: 60 }), count: fc.integer({ min: 1, max: 9 }) }),
  );
  fc.assert(fc.property(runs, fc.integer({ min: 1, max: 50 }), (runs, end) => {
    const held = new Set(numbersOf(runs));
    const free = Array.from({ length: end - 1 }, (_, i) => i + 1).filter((number) => !held.has(number));
    const gaps = gapsBetween(runs, end);
    assertEquals(numbersOf(gaps), free);
    assertEquals(runsOf(free), gaps);
  }));
});
