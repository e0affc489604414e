/** How long to wait before the next try. @module */

/** Settings of {@linkcode backoffDelay}. */
export interface BackoffOptions {
  /** Upper bound of the first delay, milliseconds. @default {500} */
  base?: number;
  /** Upper bound of every delay, milliseconds. @default {60_000} */
  cap?: number;
  /** A number in [0, 1). @default {Math.random} */
  random?: () => number;
}

/**
 * No wait before another try is longer, milliseconds: what the other side asks for may be nonsense, and what
 * was planned by a clock that has been set back since must not wait for that time to come again.
 */
export const LONGEST_DELAY_MS = 900_000;

/**
 * Exponential backoff with full jitter: a delay drawn evenly from `[0, min(cap, base * 2^(attempt - 1))]`,
 * but never under a tenth of that bound, so that a try always waits.
 *
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 *
 * @param attempt How many tries have failed, from 1.
 * @param retryAfter Milliseconds the other side asked for; the delay is never shorter, but for {@linkcode LONGEST_DELAY_MS}.
 * @returns Milliseconds.
 */
export function backoffDelay(
  attempt: number,
  retryAfter = 0,
  { base = 500, cap = 60_000, random = Math.random }: BackoffOptions = {},
): number {
  const bound = Math.min(cap, base * 2 ** Math.min(attempt - 1, 30));
  const jittered = bound * (0.1 + 0.9 * random());
  return Math.round(Math.min(Math.max(jittered, retryAfter), LONGEST_DELAY_MS));
}
