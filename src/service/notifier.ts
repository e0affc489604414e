/**
 * Tells systemd how the service does: sd_notify(3). The watchdog is fed from the event loop, so that a loop
 * that hangs is noticed.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";

/** Where messages go: {@link "../files/notify_socket.ts"}. */
export interface NotifyTarget extends Disposable {
  send(text: string): void;
  /** Microseconds of the system's monotonic clock. */
  monotonic(): bigint;
}

/** Longest text, characters: systemd reads 4 KiB of a message, and passes over one that is longer. */
const STATUS_LENGTH = 1_000;

/** Least milliseconds between two texts of `systemctl status`. */
const STATUS_EVERY = 1_000;

/**
 * How long systemd waits for a sign of life, milliseconds; `undefined` when it does not, or asks another process.
 *
 * @param environment Reads `WATCHDOG_USEC` and `WATCHDOG_PID`, see sd_watchdog_enabled(3).
 */
export function watchdogOf(
  environment: (name: string) => string | undefined,
  pid: number,
): number | undefined {
  const microseconds = Number(environment("WATCHDOG_USEC"));
  if (!Number.isFinite(microseconds) || microseconds <= 0) return undefined;
  const asked = environment("WATCHDOG_PID");
  return asked && Number(asked) !== pid ? undefined : microseconds / 1_000;
}

/** Sends what systemd wants to know. Disposing it closes the target. */
export class Notifier implements Disposable {
  readonly #target: NotifyTarget;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #isReady = false;
  #status = "";
  #sentStatus = "";
  #isWaiting = false;

  /** @param watchdog Milliseconds within which a sign of life is wanted, if one is. */
  constructor(target: NotifyTarget, clock: Clock, watchdog?: number) {
    this.#target = target;
    this.#clock = clock;
    if (watchdog !== undefined) this.#feed(watchdog / 2);
  }

  /** It has started. Later calls say nothing. */
  ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#target.send(`READY=1\n${this.#takeStatus()}`);
  }

  /** What it does now, one line. Of many in a second, the last is told. */
  status(text: string): void {
    this.#status = text.replace(/\s+/g, " ").trim().slice(0, STATUS_LENGTH);
    if (!this.#isReady || this.#isWaiting || this.#status === this.#sentStatus) return;
    this.#target.send(this.#takeStatus());
    this.#isWaiting = true;
    this.#clock.sleep(STATUS_EVERY, this.#closing.signal).then(() => {
      this.#isWaiting = false;
      this.status(this.#status);
    }, () => {/* It is closed. */});
  }

  /** It begins to read its settings again. {@linkcode reloaded} must follow. */
  reloading(): void {
    this.#target.send(`RELOADING=1\nMONOTONIC_USEC=${this.#target.monotonic()}`);
  }

  /** It has read its settings again. */
  reloaded(): void {
    this.#target.send("READY=1");
  }

  /** It ends. */
  stopping(): void {
    this.#target.send("STOPPING=1\nSTATUS=Finishing what is in hand");
  }

  [Symbol.dispose](): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#target[Symbol.dispose]();
  }

  #takeStatus(): string {
    this.#sentStatus = this.#status;
    return `STATUS=${this.#status}`;
  }

  async #feed(every: number): Promise<void> {
    try {
      for (;;) {
        this.#target.send("WATCHDOG=1");
        await this.#clock.sleep(every, this.#closing.signal);
      }
    } catch {
      // It is closed.
    }
  }
}
