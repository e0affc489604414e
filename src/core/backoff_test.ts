import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import fc from "fast-check";
import { backoffDelay, LONGEST_DELAY_MS } from "./backoff.ts";

const most = () => 0.999_999_999;
const least = () => 0;

Deno.test("backoffDelay() doubles its bound with every try, up to the cap", () => {
  const bounds = [1, 2, 3, 4, 8, 9, 1_000].map((attempt) => backoffDelay(attempt, 0, { random: most }));
  assertEquals(bounds, [500, 1_000, 2_000, 4_000, 60_000, 60_000, 60_000]);
});

Deno.test("backoffDelay() is never shorter than a tenth of its bound, nor than what was asked for", () => {
  assertEquals(backoffDelay(1, 0, { random: least }), 50);
  assertEquals(backoffDelay(100, 0, { random: least }), 6_000);
  assertEquals(backoffDelay(1, 7_000, { random: most }), 7_000);
  assertEquals(backoffDelay(9, 7_000, { random: most }), 60_000);
  assertEquals(backoffDelay(1, 300_000), 300_000);
});

Deno.test("backoffDelay() draws evenly, so that clients do not come all at once", () => {
  const delays = Array.from({ length: 2_000 }, () => backoffDelay(1, 0, { base: 1_000 }));
  const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
  // 550 is expected; ten standard errors of the mean on both sides.
  assertGreater(mean, 492);
  assertLess(mean, 608);
});

Deno.test("backoffDelay() gives whole milliseconds within its bounds, whatever it is given", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 1e6 }),
    fc.record({ base: fc.integer({ min: 1, max: 1e5 }), cap: fc.integer({ min: 1, max: 1e6 }) }),
    fc.double({ min: 0, max: 0.999, noNaN: true }),
    (attempt, bounds, random) => {
      const delay = backoffDelay(attempt, 0, { ...bounds, random: () => random });
      assert(Number.isInteger(delay) && delay >= 0 && delay <= bounds.cap);
    },
  ));
});

Deno.test("backoffDelay() does not wait for ever, whatever was asked for", () => {
  for (const asked of [LONGEST_DELAY_MS + 1, 1e18, Infinity]) {
    assertEquals(backoffDelay(1, asked), LONGEST_DELAY_MS);
  }
});
