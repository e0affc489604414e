/** One timer that can be brought forward. @module */
import type { Clock } from "../core/clock.ts";

/** Calls back once, at the earliest of the times it was set to. */
export class Alarm implements Disposable {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #at = Infinity;
  #sleep: AbortController | undefined;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings at `at` (milliseconds since the epoch), unless it rings earlier anyway. */
  set(at: number): void {
    if (at >= this.#at) return;
    this.cancel();
    const sleep = new AbortController();
    this.#at = at;
    this.#sleep = sleep;
    this.#clock.sleep(Math.max(0, at - this.#clock.now()), sleep.signal).then(() => {
      if (sleep.signal.aborted) return;
      this.cancel();
      this.#ring();
    }, () => {});
  }

  /** Forgets the time it was set to. */
  cancel(): void {
    this.#at = Infinity;
    this.#sleep?.abort();
    this.#sleep = undefined;
  }

  [Symbol.dispose](): void {
    this.cancel();
  }
}
