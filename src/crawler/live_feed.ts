/**
 * Keeping a catalog current between scans: somebody who watches a tree tells where something changed, and the
 * directories it is in are listed and merged like those of a scan.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { isWithin, outermost, parentOf, ROOT, type TreePath } from "../core/path.ts";
import { walkWith } from "./crawler.ts";
import { beginScan, type ScanSummary } from "./scan_session.ts";
import { isSamePath } from "./sql.ts";
import type { Store } from "./store.ts";
import { WHOLE } from "./shard.ts";
import { type Task, Walker } from "./walker.ts";

/** Of what tree. */
export interface LiveOptions {
  host: string;
  /** Absolute, `/`-separated, without a slash at the end. */
  root: string;
  clock: Clock;
  /** @default {[]} */
  ignore?: readonly string[];
}

/** A path where something changed. */
export interface Noted {
  path: TreePath;
  /** Whether everything below may have changed, too. */
  deep: boolean;
}

/**
 * Records what stands now in the directories that hold the paths, in directories among them that are new, and below
 * those that are noted as deep. The tree should have been scanned; what is not known yet comes in as new.
 */
export async function recordChanges(
  store: Store,
  noted: readonly Noted[],
  { host, root, clock, ignore = [] }: LiveOptions,
): Promise<ScanSummary> {
  const all = noted.filter(({ deep }) => deep).map(({ path }) => path);
  const deep = all.includes(ROOT) ? [ROOT] : outermost(all);
  const directories = new Set<TreePath>();
  for (const { path } of noted) {
    if (deep.includes(ROOT)) break;
    // What is new is found by listing what is above it.
    let directory = parentOf(path);
    while (directory !== ROOT && !await isKnown(store, host, `${root}/${directory}`)) {
      directory = parentOf(directory);
    }
    if (!deep.some((path) => isWithin(directory, path))) directories.add(directory);
  }
  await using session = await beginScan(store, { host, root, kind: "live", startedAt: clock.now() });
  using walker = new Walker({ root, ignore, oneFileSystem: false, shard: WHOLE, apart: session.apart });
  const whole: Task[] = [];
  for (const below of deep) {
    if (below === ROOT || await isKnown(store, host, `${root}/${below}`)) whole.push({ below, ruled: true });
  }
  for (const walked of walkWith(walker, [...directories].map((below) => ({ below, ruled: true })), true)) {
    await session.add(walked);
    for (const task of walked.left) {
      if (!await isKnown(store, host, `${root}/${task.below}`)) whole.push(task);
    }
  }
  for (const walked of walkWith(walker, whole, false)) await session.add(walked);
  return await session.finish(clock.now());
}

async function isKnown({ sql }: Store, host: string, path: string): Promise<boolean> {
  const found = await sql.query(
    `SELECT 1 FROM directories d JOIN hosts h ON h.id = d.host_id
     WHERE h.name = $1 AND ${isSamePath(sql.dialect, "d.path", "$2")}`,
    [host, path],
  );
  return found.length > 0;
}

/** Gathers paths that changed, and records them every now and then. */
export class LiveFeed implements AsyncDisposable {
  readonly #store: Store;
  readonly #options: LiveOptions;
  readonly #every: number;
  readonly #onError: (error: unknown) => void;
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;
  /** Whether everything below is meant, by path. */
  readonly #waiting = new Map<TreePath, boolean>();
  /** Whether there is nothing to be kept current: the tree could not be scanned. */
  #isLost = false;

  /**
   * @param ready Resolves when the tree has been scanned; nothing is recorded before, nor when it rejects.
   * @param every Milliseconds from one time to the next.
   */
  constructor(
    store: Store,
    options: LiveOptions,
    { ready, onError, every = 2000 }: {
      ready: Promise<unknown>;
      onError: (error: unknown) => void;
      every?: number;
    },
  ) {
    this.#store = store;
    this.#options = options;
    this.#every = every;
    this.#onError = onError;
    this.#loop = this.#run(ready);
  }

  /** Something changed at `path`, or with `deep` anywhere below it. */
  note(path: TreePath, deep = false): void {
    if (!this.#isLost) this.#waiting.set(path, deep || this.#waiting.get(path) === true);
  }

  /** Records what was noted. */
  async flush(): Promise<void> {
    if (this.#waiting.size === 0) return;
    const noted = [...this.#waiting].map(([path, deep]) => ({ path, deep }));
    this.#waiting.clear();
    try {
      await recordChanges(this.#store, noted, this.#options);
    } catch (error) {
      for (const { path, deep } of noted) this.note(path, deep);
      this.#onError(error);
    }
  }

  async #run(ready: Promise<unknown>): Promise<void> {
    const { signal } = this.#closing;
    try {
      await ready.catch((error) => {
        this.#isLost = true;
        this.#waiting.clear();
        throw error;
      });
      while (!signal.aborted) {
        await this.#options.clock.sleep(this.#every, signal);
        await this.flush();
      }
    } catch (error) {
      if (!signal.aborted) this.#onError(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    await this.flush();
  }
}
