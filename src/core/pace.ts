/** Holds a flow of bytes back to a rate that may change in time. @module */
import type { Clock } from "./clock.ts";

/**
 * The bytes a second that may go at a moment (milliseconds since the epoch), `Infinity` for as many as can.
 * It may be another one from any full minute on, but not within one.
 */
export type RateAt = (time: number) => number;

const MINUTE_MS = 60_000;

/**
 * Lets bytes go at a rate on average: a piece may go at once when nothing went before it, the next ones wait
 * until it is paid for. What was not used is not saved up.
 */
export class Pace {
  readonly #rateAt: RateAt;
  readonly #clock: Clock;
  /** Bytes that were let go, or wait for it. */
  #asked = 0;
  /** How many of them are paid for by now. */
  #paid = 0;
  #paidAt: number;

  constructor(rateAt: RateAt, clock: Clock) {
    this.#rateAt = rateAt;
    this.#clock = clock;
    this.#paidAt = clock.now();
  }

  /**
   * Resolves when `bytes` may go, in the order of calls.
   *
   * @throws {DOMException} `AbortError`, or the signal's reason, when `signal` aborts first.
   */
  async pay(bytes: number, signal?: AbortSignal): Promise<void> {
    this.#settle();
    const turn = this.#asked;
    this.#asked += bytes;
    for (let wait; (wait = this.#waitFor(turn)) > 0; this.#settle()) await this.#clock.sleep(wait, signal);
  }

  /** Pays for what went, by the rates since it was last done. */
  #settle(): void {
    const now = this.#clock.now();
    while (this.#paidAt < now && this.#paid < this.#asked) {
      const until = Math.min(now, nextMinute(this.#paidAt));
      this.#paid += this.#rateAt(this.#paidAt) * (until - this.#paidAt) / 1_000;
      this.#paidAt = until;
    }
    this.#paid = Math.min(this.#paid, this.#asked);
    this.#paidAt = now;
  }

  /** Milliseconds until a turn may have come: the rate is asked for anew in every minute. */
  #waitFor(turn: number): number {
    const now = this.#clock.now();
    const rate = this.#rateAt(now);
    // Sums of rates are not exact, and there is no half a byte.
    if (turn - this.#paid < 0.5 || rate === Infinity) return 0;
    return Math.min(Math.ceil((turn - this.#paid) * 1_000 / rate), nextMinute(now) - now);
  }
}

/** Time zones are whole minutes apart: full ones are the same everywhere, also while clocks are set forward or back. */
function nextMinute(time: number): number {
  return (Math.floor(time / MINUTE_MS) + 1) * MINUTE_MS;
}
