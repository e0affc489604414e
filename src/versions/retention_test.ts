import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Aging, expired, type Retention } from "./retention.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = 1_000 * DAY;

/** Versions that came at `times`, each in place until the next came. */
function sequence(times: number[]): Aging[] {
  return times.map((time, i) => i + 1 < times.length ? { time, until: times[i + 1] } : { time });
}

function kept(times: number[], retention: Retention, now = NOW): number[] {
  const versions = sequence(times);
  const gone = new Set(expired(versions, retention, now));
  return versions.filter((version) => !gone.has(version)).map(({ time }) => time);
}

Deno.test("expired() keeps what is in place, whatever the rule", () => {
  for (const retention of [{}, { count: 0 }, { age: 1 }, { staggered: true }]) {
    assertEquals(kept([1], retention), [1]);
  }
  assertEquals(expired([{ time: 1, until: 2 }], {}, NOW), [{ time: 1, until: 2 }]);
});

Deno.test("expired() counts from the newest", () => {
  assertEquals(kept([1, 2, 3, 4], { count: 2 }), [3, 4]);
  assertEquals(kept([1, 2], { count: 5 }), [1, 2]);
});

Deno.test("expired() does not count what broken off work left, and keeps it while something older is kept", () => {
  const expiredOf = (marks: string, count: number) => {
    const versions: (Aging & { mark: string })[] = sequence([...marks].map((_, i) => i + 1))
      .map((version, i) => ({ ...version, mark: marks[i], partial: marks[i] === "p" }));
    return expired(versions, { count }, NOW).map(({ time }) => time);
  };
  assertEquals(expiredOf("aabpb", 2), [1, 2]);
  assertEquals(expiredOf("aabpbc", 2), [1, 2, 3, 4]);
  assertEquals(expiredOf("abpp", 2), []);
  assertEquals(expiredOf("appb", 1), [1, 2, 3]);
});

Deno.test("expired() keeps every state of the time asked for, also one that began long before", () => {
  const times = [NOW - 90 * DAY, NOW - 60 * DAY, NOW - 2 * DAY, NOW - DAY];
  assertEquals(kept(times, { age: 30 * DAY }), times.slice(1));
  assertEquals(kept(times, { age: 2 * DAY }), times.slice(1));
  assertEquals(kept(times, { age: 2 * DAY - 1 }), times.slice(2));
});

Deno.test("expired() thins out by hour, day and week, and ends after a year", () => {
  const at = (days: number, hours = 0) => NOW - days * DAY + hours * HOUR;
  const [tooOld, weekly, sameDay, daily, sameHour, hourly, recent, latest] = [
    at(365, -1),
    at(300),
    at(29, 2),
    at(29, 3),
    at(0, -3),
    at(0, -2.5),
    at(0, -0.9),
    at(0, -0.8),
  ];
  const times = [tooOld, weekly, sameDay, daily, sameHour, hourly, recent, latest];
  assertEquals(kept(times, { staggered: true }), [weekly, daily, hourly, recent, latest]);
});

Deno.test("expired() keeps what any of its rules keeps", () => {
  const times = [NOW - 5 * DAY, NOW - 4 * DAY, NOW - 3 * DAY, NOW - 2 * DAY];
  assertEquals(kept(times, { count: 2, age: 3.5 * DAY }), times.slice(1));
});

Deno.test("expired() leaves the same, however often it is asked in between", () => {
  const gaps = fc.array(fc.integer({ min: 1, max: 3 * DAY }), { minLength: 1, maxLength: 40 });
  const moments = fc.array(fc.integer({ min: 0, max: 500 * DAY }), { maxLength: 8 });
  const retention = fc.record({
    count: fc.integer({ min: 0, max: 4 }),
    age: fc.integer({ min: 0, max: 40 * DAY }),
    staggered: fc.boolean(),
  });
  fc.assert(fc.property(gaps, moments, retention, (gaps, moments, retention) => {
    let time = NOW;
    const all = gaps.map((gap) => time += gap);
    const end = time + 500 * DAY;
    const left = moments.sort((a, b) => a - b).map((after) => time + after).reduce((times, now) => {
      const stillThere = sequence(all).filter((version) => times.includes(version.time));
      const gone = new Set(expired(stillThere, retention, now));
      return stillThere.filter((version) => !gone.has(version)).map((version) => version.time);
    }, all);
    const versions = sequence(all).filter((version) => left.includes(version.time));
    const gone = new Set(expired(versions, retention, end));
    assertEquals(
      versions.filter((version) => !gone.has(version)).map((version) => version.time),
      kept(all, retention, end),
    );
  }));
});
