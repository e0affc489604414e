/** Time, as an argument. Only this file reads the system's clock; a lint rule keeps that. @module */

/** What code that waits or stamps needs to know of time. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /**
   * Resolves after `ms` milliseconds.
   *
   * @throws {DOMException} `AbortError`, or the signal's reason, when `signal` aborts first.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

const DAY_MINUTES = 24 * 60;

/** Minutes since Sunday, midnight, that the clocks on the wall show at `time`, where this machine is. */
export function localMinuteOfWeek(time: number): number {
  const local = new Date(time);
  return local.getDay() * DAY_MINUTES + local.getHours() * 60 + local.getMinutes();
}

/** The real clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const abort = () => {
        clearTimeout(timer);
        reject(signal!.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", abort);
        resolve();
      }, ms);
      signal?.addEventListener("abort", abort, { once: true });
    });
  },
};

/**
 * A clock that goes as `clock` does, but never back: for whoever measures how long something takes, or waits
 * for a moment to come. Where `clock` is set back, it stands still once and goes on from there.
 */
export function steadyClock(clock: Clock): Clock {
  let last = clock.now();
  let ahead = 0;
  return {
    now() {
      const now = clock.now();
      ahead += Math.max(0, last - (now + ahead));
      return last = now + ahead;
    },
    sleep: (ms, signal) => clock.sleep(ms, signal),
  };
}
