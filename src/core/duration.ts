/** Durations as people write them. @module */

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
