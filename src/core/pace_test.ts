import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { Pace, type RateAt } from "./pace.ts";

const START = Date.UTC(2026, 0, 1);

/** When each of `pieces`, asked for at once, may go: milliseconds from now. */
async function goneAt(rateAt: RateAt, pieces: number[], wait: number): Promise<number[]> {
  const clock = new FakeClock(START);
  const pace = new Pace(rateAt, clock);
  const gone: number[] = [];
  const all = Promise.all(pieces.map(async (bytes) => {
    await pace.pay(bytes);
    gone.push(clock.now() - START);
  }));
  await clock.advance(wait);
  await all;
  return gone;
}

Deno.test("pay() lets the first go at once, and the next when it is paid for", async () => {
  assertEquals(await goneAt(() => 1_000, [1_500, 500, 1], 5_000), [0, 1_500, 2_000]);
});

Deno.test("pay() goes by the rate of each minute, and waits no longer when the limit ends", async () => {
  const rates = [100, 1_000, Infinity];
  const rateAt = (time: number) => rates[Math.floor((time - START) / 60_000)];
  // 6,000 bytes are paid for in the first minute, another 30,000 in half of the second.
  assertEquals(await goneAt(rateAt, [36_000, 900_000, 1], 300_000), [0, 90_000, 120_000]);
});

Deno.test("pay() starts to wait when a limit begins", async () => {
  const clock = new FakeClock(START);
  const pace = new Pace((time) => time < START + 60_000 ? Infinity : 10, clock);
  for (const _ of [1, 2, 3]) await pace.pay(1_000_000);
  await clock.advance(60_000);
  const waits = Promise.all([pace.pay(100), pace.pay(1)]);
  await clock.advance(9_999);
  assertEquals(clock.sleepers, 1);
  await clock.advance(1);
  await waits;
});

Deno.test("pay() saves nothing up while nothing goes", async () => {
  const clock = new FakeClock(START);
  const pace = new Pace(() => 1_000, clock);
  await pace.pay(1_000);
  await clock.advance(3_600_000);
  await pace.pay(1_000);
  const second = pace.pay(1);
  await clock.advance(999);
  assertEquals(clock.sleepers, 1);
  await clock.advance(1);
  await second;
});

Deno.test("pay() ends when its signal aborts", async () => {
  const pace = new Pace(() => 1, new FakeClock(START));
  await pace.pay(1_000);
  const end = new AbortController();
  const waiting = pace.pay(1, end.signal);
  end.abort(new Error("the end"));
  await assertRejects(() => waiting, Error, "the end");
});

Deno.test("pay() never lets more go than the rates allow, but for the first piece", async () => {
  const rate = fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.constant(Infinity));
  const pieces = fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.array(rate, { minLength: 1, maxLength: 4 }), pieces, async (rates, pieces) => {
      const last = Math.min(5_000, rates.at(-1)!);
      const rateAt = (time: number) => rates[Math.floor((time - START) / 60_000)] ?? last;
      const gone = await goneAt(rateAt, pieces, 20_000 * 12 * 1_000 + 300_000);
      const allowed = (until: number) => {
        let sum = 0;
        for (let at = 0; at < until; at += 60_000) {
          sum += rateAt(START + at) * Math.min(60_000, until - at) / 1_000;
        }
        return sum;
      };
      let before = 0;
      gone.forEach((at, i) => {
        const free = rateAt(START + at) === Infinity;
        assert(free || before <= allowed(at) + 1, `${before} bytes before ${at} ms`);
        before += pieces[i];
      });
      assertEquals(gone.length, pieces.length);
    }),
    { numRuns: 20 },
  );
});
