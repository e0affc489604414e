/** A clock for tests that wait a lot. @module */
import { type Clock, systemClock } from "../../src/core/clock.ts";

/** A clock whose sleepers do not sleep: time passes when somebody waits for it. */
export class HastyClock implements Clock {
  #ahead = 0;
  /** How many wait. */
  sleepers = 0;

  now(): number {
    return systemClock.now() + this.#ahead;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.sleepers++;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.sleepers--;
    signal?.throwIfAborted();
    this.#ahead += ms;
  }
}
