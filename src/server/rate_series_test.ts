import { assertEquals } from "@std/assert";
import { RateSeries } from "./rate_series.ts";

const received = (series: RateSeries, now: number) => series.values(now).map(({ received }) => received);

Deno.test("RateSeries sums up by pieces of time, and forgets what is long ago", () => {
  const series = new RateSeries(1_000, 4);
  series.add(10_000, { received: 1 });
  series.add(10_999, { received: 2, stored: 5 });
  series.add(12_000, { received: 4 });
  assertEquals(received(series, 12_500), [0, 3, 0, 4]);
  assertEquals(received(series, 13_000), [3, 0, 4, 0]);
  assertEquals(received(series, 15_000), [4, 0, 0, 0]);
  assertEquals(received(series, 1e12), [0, 0, 0, 0]);
});

Deno.test("RateSeries counts for the last piece what comes after the clock was set back", () => {
  const series = new RateSeries(1_000, 3);
  series.add(50_000, { received: 1 });
  series.add(20_000, { received: 2 });
  assertEquals(received(series, 20_000), [0, 0, 3]);
  assertEquals(received(series, 51_000), [0, 3, 0]);
});
