/** The `Retry-After` header of RFC 9110, section 10.2.3. @module */
import { LONGEST_DELAY_MS } from "./backoff.ts";

/** The three forms of a date in HTTP (RFC 9110, section 5.6.7) begin with the day of the week. */
const DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/;

/**
 * The milliseconds that `text` asks to wait, {@linkcode LONGEST_DELAY_MS} at most: it is given in seconds, or
 * as a date. `undefined` when it is neither.
 *
 * @param now The time by the clock that the date goes by, milliseconds since the epoch.
 */
export function parseRetryAfter(text: string, now: number): number | undefined {
  const trimmed = text.trim();
  // The oldest form has no time zone, and means that of the others.
  const until = DATE.test(trimmed) ? Date.parse(trimmed.endsWith(" GMT") ? trimmed : `${trimmed} GMT`) : NaN;
  const ms = /^\d+$/.test(trimmed) ? 1_000 * Number(trimmed) : until - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), LONGEST_DELAY_MS);
}
