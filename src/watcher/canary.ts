/**
 * Tells whether events still flow, and whether any were dropped on the way: a file of ours
 * is touched now and then, and its event must come back. Events come in order, so how many
 * others come before the echo is how many were waiting when the file was touched. Pure.
 *
 * @module
 */

/** Settings of a {@linkcode Canary}, milliseconds. */
export interface CanaryOptions {
  /** Between two touches while nothing happens. */
  canaryMs: number;
  /** Silence after which an echo counts as missing. */
  echoMs: number;
}

/** Between two touches while events flow, milliseconds. Its echo is also the proof that a burst is over. */
const BUSY_GAP = 20;

/**
 * More events than this waiting at once: the kernel's queue may have run over, which it does not
 * tell through this interface. Linux holds 16,384 (`fs.inotify.max_queued_events`), and of four
 * events in it one is reported: the others are openings, the watcher's own among them.
 */
export const BACKLOG_LIMIT = 4096;

/** When to touch the file, and what its echo means. Times are of any steady clock, in milliseconds. */
export class Canary {
  readonly #options: CanaryOptions;
  /** Touches without an echo. */
  #waiting = 0;
  #touchedAt = -Infinity;
  #heardAt = -Infinity;
  /** Events since the first touch that waits, or since the last touch. */
  #events = 0;

  constructor(options: CanaryOptions) {
    this.#options = options;
  }

  /** When {@linkcode next} is to be asked. */
  get wakeAt(): number {
    if (this.#waiting > 0) return Math.max(this.#touchedAt, this.#heardAt) + this.#options.echoMs;
    return this.#touchedAt + (this.#events > 0 ? BUSY_GAP : this.#options.canaryMs);
  }

  /** `count` events of other files came. */
  heard(count: number, now: number): void {
    this.#events += count;
    this.#heardAt = now;
  }

  /** What to do now: nothing yet, touch the file, or give up, because two touches in silence had no echo. */
  next(now: number): "wait" | "touch" | "stalled" {
    if (now < this.wakeAt) return "wait";
    if (this.#waiting === 2) return "stalled";
    if (this.#waiting === 0) this.#events = 0;
    this.#waiting++;
    this.#touchedAt = now;
    return "touch";
  }

  /** The event of the file came: did everything before it come too? */
  echoed(now: number): "complete" | "incomplete" | "stray" {
    if (this.#waiting === 0) return "stray";
    const incomplete = this.#waiting > 1 || this.#events >= BACKLOG_LIMIT;
    this.#waiting = 0;
    this.#heardAt = now;
    return incomplete ? "incomplete" : "complete";
  }
}
