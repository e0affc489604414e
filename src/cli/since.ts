/** Moments as people write them. @module */
import { beginsWithDay } from "../core/duration.ts";
import { durationOf } from "./sizes.ts";
import { usageError } from "./usage_error.ts";

/**
 * The moment that `text` names, milliseconds since the epoch: a date or time in ISO 8601 (in UTC when it says no
 * zone), or a duration, which is so long before `now`.
 *
 * @param what What it is for, to name in the error: `--since`.
 * @throws {FilesyncError} `usage`.
 */
export function parseMoment(text: string, now: number, what: string): number {
  const trimmed = text.trim();
  if (/^\d{4}-\d{2}-\d{2}/.test(trimmed)) {
    const hasZone = /[zZ]|[+-]\d{2}:?\d{2}$/.test(trimmed.slice(10));
    const time = Date.parse(trimmed.length > 10 && !hasZone ? `${trimmed}Z` : trimmed);
    if (!Number.isNaN(time) && beginsWithDay(trimmed)) return time;
    throw usageError(`use ${JSON.stringify(text)} for ${what}`, "it is no date", "Write 2026-01-31, or 7d");
  }
  const ago = durationOf(trimmed);
  if (ago !== undefined) return now - ago;
  throw usageError(
    `use ${JSON.stringify(text)} for ${what}`,
    "it is neither a date nor a duration",
    "Write 2026-01-31, or how long ago with s, m, h, d or w, such as 7d",
  );
}
