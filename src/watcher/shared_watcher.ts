/**
 * One watcher for several consumers: the system has only so many watches, and a change is heard of once. Each
 * consumer has an outbox of its own, so that one that is slow holds nobody up and misses nothing.
 *
 * @module
 */
import type { TreePath } from "../core/path.ts";
import { Outbox } from "./outbox.ts";
import type { WatchEvent } from "./watch_event.ts";
import { type OpenWatch, openWatcher, type Watch, type WatcherOptions } from "./watcher.ts";

/**
 * Opens watches of which those on the same directory share a watcher: the first one's, with its settings. It is
 * closed with the last of them.
 *
 * @param open How a watcher is opened.
 */
export function shareWatchers(open: OpenWatch = openWatcher): OpenWatch {
  const shared = new Map<string, SharedWatcher>();
  return (root, options) => {
    let watcher = shared.get(root);
    if (watcher === undefined) {
      watcher = new SharedWatcher(root, options, open, () => shared.delete(root));
      shared.set(root, watcher);
    }
    return watcher.join(options);
  };
}

/** One who wants to hear of changes. */
interface Consumer {
  outbox: Outbox;
  ignores: (path: TreePath, isDirectory: boolean) => boolean;
}

class SharedWatcher {
  readonly #consumers = new Set<Consumer>();
  readonly #watch: Watch;
  readonly #telling: Promise<void>;
  readonly #onUnused: () => void;

  constructor(root: string, options: WatcherOptions, open: OpenWatch, onUnused: () => void) {
    this.#onUnused = onUnused;
    this.#watch = open(root, {
      ...options,
      // What one of them wants to hear of is told to all.
      ignores: (path, isDirectory) => [...this.#consumers].every(({ ignores }) => ignores(path, isDirectory)),
    });
    this.#telling = this.#tellAll();
  }

  join({ ignores = () => false, maxPaths }: WatcherOptions): Watch {
    const consumer: Consumer = { ignores, outbox: new Outbox(maxPaths) };
    this.#consumers.add(consumer);
    return {
      ready: this.#watch.ready,
      events: (signal) => consumer.outbox.events(signal),
      revisit: (path, afterMs) => this.#watch.revisit(path, afterMs),
      [Symbol.asyncDispose]: () => this.#leave(consumer),
    };
  }

  async #leave(consumer: Consumer): Promise<void> {
    consumer.outbox.close();
    if (!this.#consumers.delete(consumer) || this.#consumers.size > 0) return;
    this.#onUnused();
    await this.#watch[Symbol.asyncDispose]();
    await this.#telling;
  }

  async #tellAll(): Promise<void> {
    for await (const event of this.#watch.events()) {
      for (const { outbox } of this.#consumers) tell(outbox, event);
    }
  }
}

function tell(outbox: Outbox, event: WatchEvent): void {
  switch (event.type) {
    case "dirty":
      return event.looks.forEach(({ path, deep }) => outbox.dirty(path, deep));
    case "rescan":
      return outbox.rescan(event.reason);
    case "root-lost":
      outbox.forget();
  }
  outbox.notice(event);
}
