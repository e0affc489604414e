/**
 * `--limit`: a rate, or a timetable of rates as rclone's `--bwlimit` takes it, by the local time of the machine.
 *
 * @module
 */
import { localMinuteOfWeek } from "../core/clock.ts";
import type { RateAt } from "../core/pace.ts";
import type { Flag, Invocation } from "./command.ts";
import { parseSize } from "./sizes.ts";
import { usageError } from "./usage_error.ts";

/** The flag of commands that send. */
export const LIMIT_FLAG: Flag = {
  name: "limit",
  short: "l",
  value: "SIZE",
  env: "FILESYNC_LIMIT",
  description:
    'Send at most SIZE a second, such as 10M, to all destinations together; or by the hour: "08:00,512k 18:00,10M 23:00,off", with days "Sat-09:00,off"',
};

const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const DAY_MINUTES = 24 * 60;
const SLOT = /^(?:([a-z]+)-)?(\d{1,2}):(\d{2}),(.+)$/i;

/** From a minute of the week on, this is the rate. */
interface Slot {
  minute: number;
  /** Bytes a second. */
  rate: number;
}

/**
 * What `--limit` says; `undefined` when it is not given.
 *
 * @throws {FilesyncError} `usage`.
 */
export function limitOf(invocation: Invocation): RateAt | undefined {
  const text = invocation.flag(LIMIT_FLAG.name);
  return text === undefined ? undefined : parseLimit(text);
}

/**
 * Understands a rate (`10M`, `off`), or a timetable: `08:00,512k 12:00,10M 23:00,off`, with days where it is not
 * the same every day: `Mon-08:00,512k Fri-23:00,off`. An entry holds until the next one; before the first, the
 * last one of the week does. Of two for the same minute the later one counts.
 *
 * @param minuteOfWeek Tells what the clocks on the wall show.
 * @throws {FilesyncError} `usage`.
 */
export function parseLimit(text: string, minuteOfWeek = localMinuteOfWeek): RateAt {
  if (!text.includes(",")) {
    const rate = rateOf(text);
    return () => rate;
  }
  const rates = new Map(text.trim().split(/\s+/).flatMap(slotsOf).map(({ minute, rate }) => [minute, rate]));
  const slots = [...rates].sort(([a], [b]) => a - b);
  return (time) => {
    const minute = minuteOfWeek(time);
    const [, rate] = slots.findLast(([from]) => from <= minute) ?? slots.at(-1)!;
    return rate;
  };
}

function slotsOf(text: string): Slot[] {
  const [, day, hours, minutes, size] = SLOT.exec(text) ??
    refuse(text, "it is no time with a rate after a comma");
  if (Number(hours) > 23 || Number(minutes) > 59) refuse(text, "there is no such time of the day");
  const minute = Number(hours) * 60 + Number(minutes);
  const rate = rateOf(size);
  if (day === undefined) return DAYS.map((_, number) => ({ minute: number * DAY_MINUTES + minute, rate }));
  const number = DAYS.indexOf(day.toLowerCase());
  if (number < 0) refuse(text, "there is no such day");
  return [{ minute: number * DAY_MINUTES + minute, rate }];
}

/** As in rclone, 0 is no limit either. */
function rateOf(text: string): number {
  return /^off$/i.test(text.trim()) ? Infinity : parseSize(text, "--limit") || Infinity;
}

function refuse(text: string, reason: string): never {
  throw usageError(
    `use ${JSON.stringify(text)} for --limit`,
    reason,
    'Write a rate such as 10M, or times with rates: "08:00,512k 12:00,10M 23:00,off", with days as in "Mon-08:00,1M"',
  );
}
