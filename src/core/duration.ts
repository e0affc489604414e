/** Durations and days as people write them. @module */

const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/i;
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/gi;
const MILLISECONDS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** The milliseconds in `text`, such as `"30s"`, `"2h"`, `"1h30m"`; `undefined` when it is not a duration. */
export function durationIn(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  let sum = 0;
  for (const [, number, unit] of text.matchAll(PART)) {
    sum += Number(number) * MILLISECONDS[unit.toLowerCase()];
  }
  const rounded = Math.round(sum);
  return Number.isSafeInteger(rounded) ? rounded : undefined;
}

/** Whether the day that `text` begins with, such as `2026-02-30`, is in the calendar: parsing one takes it for 2 March. */
export function beginsWithDay(text: string): boolean {
  const day = /^\d{4}-\d{2}-\d{2}/.exec(text)?.[0];
  const time = day === undefined ? NaN : Date.parse(`${day}T00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day!);
}

/** The day of `time`, milliseconds since the epoch, in UTC: `2026-02-28`. */
export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
