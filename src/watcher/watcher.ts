/**
 * Watches a tree. Events are hints: each marks a path, and a look at the path decides. Where
 * hints may be missing, the consumer is told to look at everything (`rescan`), so that nothing
 * it does rests on having had them all.
 *
 * {@linkcode Watcher} puts the parts together: a feed of paths (`feed.ts`), a supervisor that
 * keeps it running (`supervisor.ts`), a settler that waits until files stand still
 * (`settler.ts`), and an outbox that a slow consumer cannot overfill (`outbox.ts`).
 *
 * @module
 */
import { type Clock, steadyClock } from "../core/clock.ts";
import { toFilesyncError } from "../core/errors.ts";
import { nameOf, parentOf, parsePath, ROOT, STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { problemOf } from "../core/problem.ts";
import { Alarm } from "./alarm.ts";
import { type OpenFeed, openWorkerFeed } from "./feed.ts";
import { Outbox } from "./outbox.ts";
import { Settler, type SettlerOptions, type Sighting } from "./settler.ts";
import { Supervisor } from "./supervisor.ts";
import type { WatchEvent } from "./watch_event.ts";

export type { DirtyLook, WatchEvent } from "./watch_event.ts";

/** Settings of a {@linkcode Watcher}; all times in milliseconds. */
export interface WatcherOptions extends SettlerOptions {
  clock: Clock;
  /** A directory of ours outside the tree, for the canary file. */
  stateDirectory: string;
  /** Which paths nobody wants to hear of. `.filesyncignore` files are told regardless. */
  ignores?: (path: TreePath, isDirectory: boolean) => boolean;
  /** How often a quiet watch must give a sign of life. @default {10_000} */
  canaryMs?: number;
  /** How long a sign of life may take. @default {1000} */
  echoMs?: number;
  /** How often to look whether the root is still the same directory. @default {1000} */
  rootCheckMs?: number;
  /** How often to ask for a rescan when all is well. @default {600_000} */
  rescanMs?: number;
  /** How often to ask for a rescan while there are no watches. @default {5000} */
  pollMs?: number;
  /** How often to try to watch again while there are no watches. @default {60_000} */
  retryMs?: number;
  /** Above so many changed paths, waiting or unsettled, they become one rescan. @default {200_000} */
  maxPaths?: number;
  /** Where paths come from. @default {openWorkerFeed} */
  openFeed?: OpenFeed;
}

const IGNORE_FILE = ".filesyncignore";

/** Most names that get a problem of their own; a rescan lists the rest. */
const MAX_PROBLEMS = 1000;

interface Revisit {
  path: TreePath;
  due: number;
}

/** What a consumer has of a watcher. */
export interface Watch extends AsyncDisposable {
  /** Resolves when the watches stand: a reconcile that starts after it misses nothing. */
  readonly ready: Promise<void>;
  /** What there is to say, for one consumer, until `signal` aborts or the watch is disposed of. */
  events(signal?: AbortSignal): AsyncIterableIterator<WatchEvent>;
  /**
   * Asks for another, deep look at a directory that appeared: what was put into it before its
   * watch stood had no event. The consumer lists it at once itself.
   */
  revisit(path: TreePath, afterMs?: number): void;
}

/** Begins to watch a directory, which need not exist yet. */
export type OpenWatch = (root: string, options: WatcherOptions) => Watch;

/** A watcher of one's own. */
export const openWatcher: OpenWatch = (root, options) => new Watcher(root, options);

/** Watches one directory for one consumer. */
export class Watcher implements Watch {
  readonly ready: Promise<void>;

  readonly #root: string;
  readonly #clock: Clock;
  readonly #ignores: (path: TreePath, isDirectory: boolean) => boolean;
  readonly #maxPaths: number;
  readonly #settler: Settler;
  readonly #outbox: Outbox;
  readonly #supervisor: Supervisor;
  readonly #settleAlarm: Alarm;
  readonly #revisitAlarm: Alarm;
  readonly #rescanAlarm: Alarm;
  readonly #problems = new Set<string>();
  #revisits: Revisit[] = [];

  /** @param root The directory to watch. It need not exist yet. */
  constructor(root: string, options: WatcherOptions) {
    const {
      stateDirectory,
      ignores = () => false,
      canaryMs = 10_000,
      echoMs = 1000,
      rootCheckMs = 1000,
      rescanMs = 600_000,
      pollMs = 5000,
      retryMs = 60_000,
      maxPaths = 200_000,
      openFeed = openWorkerFeed,
      ...settling
    } = options;
    const clock = steadyClock(options.clock);
    this.#root = root;
    this.#clock = clock;
    this.#ignores = ignores;
    this.#maxPaths = maxPaths;
    this.#settler = new Settler(settling);
    this.#outbox = new Outbox(maxPaths);
    this.#settleAlarm = new Alarm(clock, () => this.#settle());
    this.#revisitAlarm = new Alarm(clock, () => this.#revisitDue());
    this.#rescanAlarm = new Alarm(clock, () => {
      this.#rescanAlarm.set(clock.now() + rescanMs);
      this.#outbox.rescan("it is time for the periodic look at everything");
    });
    this.#rescanAlarm.set(clock.now() + rescanMs);
    this.#supervisor = new Supervisor(root, {
      clock,
      stateDirectory,
      canaryMs,
      echoMs,
      rootCheckMs,
      pollMs,
      retryMs,
      openFeed,
      outbox: this.#outbox,
      onPaths: (paths) => this.#hint(paths),
      onLost: () => {
        this.#settler.clear();
        this.#revisits = [];
      },
    });
    this.ready = this.#supervisor.ready;
  }

  events(signal?: AbortSignal): AsyncIterableIterator<WatchEvent> {
    return this.#outbox.events(signal);
  }

  revisit(path: TreePath, afterMs = 1000): void {
    const due = this.#clock.now() + afterMs;
    this.#revisits.push({ path, due });
    this.#revisitAlarm.set(due);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const alarm of [this.#settleAlarm, this.#revisitAlarm, this.#rescanAlarm]) alarm.cancel();
    this.#outbox.close();
    await this.#supervisor[Symbol.asyncDispose]();
  }

  #hint(paths: string[]): void {
    const now = this.#clock.now();
    for (const text of paths) {
      const path = this.#parse(text);
      if (path !== undefined) this.#settler.hint(path, now);
    }
    if (this.#settler.size > this.#maxPaths) {
      this.#settler.clear();
      this.#outbox.rescan(`more than ${this.#maxPaths} paths were changing`);
    }
    this.#settle();
  }

  #parse(text: string): TreePath | undefined {
    try {
      return parsePath(text);
    } catch (error) {
      const ours = text.split("/").some((name) => name.toLowerCase() === STATE_DIRECTORY);
      if (ours || this.#problems.has(text) || this.#problems.size >= MAX_PROBLEMS) return;
      this.#problems.add(text);
      const problem = problemOf(toFilesyncError(`watch ${JSON.stringify(text)}`, error), text);
      this.#outbox.notice({ type: "problem", problem });
    }
  }

  /** Looks at every path that is due, and passes on the ones that stand still. */
  #settle(): void {
    const now = this.#clock.now();
    const gone: TreePath[] = [];
    for (const path of this.#settler.due(now)) {
      const seen = this.#look(path);
      if (seen === "ignored") this.#settler.forget(path);
      else if (this.#settler.look(path, seen, now)) seen === "gone" ? gone.push(path) : this.#tell(path);
    }
    // In a tree that is gone every path is, and nobody removed it.
    if (gone.length > 0 && this.#supervisor.rootStands()) gone.forEach((path) => this.#tell(path));
    this.#settleAlarm.set(this.#settler.nextDue());
  }

  /** A child that came, went or was renamed has changed its directory too. */
  #tell(path: TreePath): void {
    const parent = parentOf(path);
    if (parent !== ROOT) this.#outbox.dirty(parent);
    this.#outbox.dirty(path);
  }

  #look(path: TreePath): Sighting | "ignored" {
    const wanted = nameOf(path) === IGNORE_FILE;
    try {
      const { isFile, isDirectory, dev, ino, size, mtime, ctime } = Deno.lstatSync(`${this.#root}/${path}`);
      if (!wanted && this.#ignores(path, isDirectory)) return "ignored";
      return isFile ? `file ${dev} ${ino} ${size} ${mtime?.getTime()} ${ctime?.getTime()}` : "whole";
    } catch (error) {
      if (!wanted && this.#ignores(path, false) && this.#ignores(path, true)) return "ignored";
      const absent = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
      return absent ? "gone" : "whole"; // what cannot be looked at is the consumer's to explain
    }
  }

  #revisitDue(): void {
    const now = this.#clock.now();
    const later: Revisit[] = [];
    let next = Infinity;
    for (const revisit of this.#revisits) {
      if (revisit.due <= now) this.#outbox.dirty(revisit.path, true);
      else {
        later.push(revisit);
        next = Math.min(next, revisit.due);
      }
    }
    this.#revisits = later;
    this.#revisitAlarm.set(next);
  }
}
