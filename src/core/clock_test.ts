import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { steadyClock, systemClock } from "./clock.ts";

Deno.test("sleep() lets the time pass", async () => {
  const before = systemClock.now();
  await systemClock.sleep(30);
  // Timers and the clock may disagree by a millisecond.
  assert(systemClock.now() - before >= 29);
});

Deno.test("sleep() ends with the signal's reason, also when it has aborted before", async () => {
  const end = new AbortController();
  const sleeping = systemClock.sleep(600_000, end.signal);
  end.abort(new Error("wake up"));
  await assertRejects(() => sleeping, Error, "wake up");
  await assertRejects(() => systemClock.sleep(600_000, end.signal), Error, "wake up");
});

const DAY = 86_400_000;

Deno.test("steadyClock() stands still where the clock is set back, and goes on from there", async () => {
  const clock = new FakeClock();
  const start = clock.now();
  const steady = steadyClock(clock);
  await clock.advance(1_000);
  assertEquals(steady.now(), start + 1_000);
  clock.set(clock.now() - DAY);
  assertEquals(steady.now(), start + 1_000);
  await clock.advance(500);
  assertEquals(steady.now(), start + 1_500);
});

Deno.test("steadyClock() never goes back, and never falls behind the time that passes", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: -2 * DAY, max: 2 * DAY })), (jumps) => {
    const clock = new FakeClock();
    const steady = steadyClock(clock);
    let before = steady.now();
    for (const jump of jumps) {
      clock.set(clock.now() + jump);
      const now = steady.now();
      assertEquals(now, before + Math.max(0, jump));
      before = now;
    }
  }));
});
