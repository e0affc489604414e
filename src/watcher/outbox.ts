/** What a watcher has to say while its consumer is busy: bounded, and nothing is lost. @module */
import type { TreePath } from "../core/path.ts";
import type { WatchEvent } from "./watch_event.ts";

/** Waiting events of one consumer. A path waits once, however often it changes. */
export class Outbox {
  readonly #maxPaths: number;
  readonly #notices: WatchEvent[] = [];
  readonly #dirty = new Map<TreePath, boolean>();
  #rescan: string | undefined;
  #dirtyWasLast = false;
  #arrived = Promise.withResolvers<void>();
  #closed = false;

  /** @param maxPaths Above so many waiting paths they become one rescan. */
  constructor(maxPaths = 200_000) {
    this.#maxPaths = maxPaths;
  }

  /** `path` is to be looked at. */
  dirty(path: TreePath, deep = false): void {
    this.#dirty.set(path, deep || (this.#dirty.get(path) ?? false));
    if (this.#dirty.size > this.#maxPaths) {
      this.#dirty.clear();
      this.rescan(`more than ${this.#maxPaths} changed paths were waiting`);
    }
    this.#arrived.resolve();
  }

  /** The whole tree is to be looked at. */
  rescan(reason: string): void {
    this.#rescan ??= reason;
    this.#arrived.resolve();
  }

  /** `event` is to be told, in its turn, before paths and rescans. */
  notice(event: WatchEvent): void {
    this.#notices.push(event);
    this.#arrived.resolve();
  }

  /** Forgets paths and rescans that wait: what they are about is gone. */
  forget(): void {
    this.#dirty.clear();
    this.#rescan = undefined;
  }

  /**
   * The next event, if one waits. Paths come before a rescan, which takes long, but not
   * twice in a row, so that a busy tree cannot put it off for ever.
   */
  take(): WatchEvent | undefined {
    const notice = this.#notices.shift();
    if (notice !== undefined) return notice;
    if (this.#dirty.size > 0 && (this.#rescan === undefined || !this.#dirtyWasLast)) {
      const looks = Array.from(this.#dirty, ([path, deep]) => ({ path, deep }));
      this.#dirty.clear();
      this.#dirtyWasLast = true;
      return { type: "dirty", looks };
    }
    this.#dirtyWasLast = false;
    if (this.#rescan === undefined) return undefined;
    const reason = this.#rescan;
    this.#rescan = undefined;
    return { type: "rescan", reason };
  }

  /** Resolves when something may wait, or when it is closed, or `signal` aborts. */
  async arrival(signal?: AbortSignal): Promise<void> {
    if (this.#closed || signal?.aborted) return;
    this.#arrived = Promise.withResolvers();
    const { promise, resolve } = this.#arrived;
    const wake = () => resolve();
    signal?.addEventListener("abort", wake, { once: true });
    await promise;
    signal?.removeEventListener("abort", wake);
  }

  /** All events, as they come, until it is closed or `signal` aborts. */
  async *events(signal?: AbortSignal): AsyncIterableIterator<WatchEvent> {
    while (!this.#closed && !signal?.aborted) {
      const event = this.take();
      if (event === undefined) await this.arrival(signal);
      else yield event;
    }
  }

  /** Ends the waiting. */
  close(): void {
    this.#closed = true;
    this.#arrived.resolve();
  }
}
