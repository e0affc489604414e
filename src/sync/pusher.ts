/**
 * Keeps a receiver in step with a source: a first look at everything, then
 * whatever the watcher hears of, for as long as it is let.
 *
 * @module
 */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { DescribePool } from "../chunking/describe_pool.ts";
import { backoffDelay } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError, isPassing, toFilesyncError } from "../core/errors.ts";
import { Mutex } from "../core/mutex.ts";
import { orAborted } from "../core/or_aborted.ts";
import { isWithin, type TreePath } from "../core/path.ts";
import { IgnoreRules } from "../files/ignore_rules.ts";
import { TreeRoot } from "../files/tree_root.ts";
import type { Receiver } from "../transport/receiver.ts";
import { type OpenWatch, openWatcher, type Watch } from "../watcher/watcher.ts";
import type { WatchEvent } from "../watcher/watch_event.ts";
import { FreshContents } from "./fresh_contents.ts";
import { type Findings, Inspector, type Look } from "./inspector.ts";
import type { OnPushEvent, PushEvent, PushTotals } from "./push_event.ts";
import { Sender } from "./sender.ts";
import type { SourceState } from "./source_state.ts";

/** What a {@linkcode Pusher} needs. */
export interface PusherOptions {
  /** The source directory. */
  source: string;
  state: SourceState;
  receiver: Receiver;
  clock: Clock;
  random: () => number;
  onEvent: OnPushEvent;
  /** Told where something may have changed while the source is watched: without paths, anywhere. */
  onLook?: (looks?: readonly Look[]) => void;
  /** Patterns to leave out, besides those of rule files. */
  ignore?: string[];
  /** Carry out removals however many they are. @default {false} */
  allowMassDelete?: boolean;
  /** Remove what stands at the receiver and is not in the source. @default {false} */
  deleteExtra?: boolean;
  /** The part of everything known that may be gone at once without that. @default {PUSH_SHARE} */
  brakeShare?: number;
  /**
   * Whether a content is known to be good at a path. When given, content that changed while neither size nor
   * time of the file did is held back unless it is: it is damaged.
   */
  isGood?: (path: TreePath, content: Digest) => boolean;
  /** Describes files; stays open. @default {a pool of its own} */
  pool?: DescribePool;
  /** @default {openWatcher} */
  openWatch?: OpenWatch;
}

/** Waits before a file is looked at again that changed while it was read, milliseconds. */
const UNSTABLE_MS = 300;

/**
 * Removals wait so long for the content to come back under another name, milliseconds: nobody
 * waits for a removal, and what the receiver still has need not be sent again.
 */
const GONE_HOLD_MS = 500;

/**
 * So long after changes everything is looked at once, milliseconds: events are hints, and a hint
 * that was lost while much happened is found soon, not at the next periodic look.
 */
const VERIFY_MS = 15_000;

/** A look at everything after changes may take this part of the time at most. */
const VERIFY_SHARE = 0.05;

/** Longest wait for another look because something could not be read, milliseconds. */
const TROUBLE_CAP_MS = 600_000;

/** Longest wait for it, milliseconds: that a look took a day may be the clock's doing. */
const VERIFY_CAP_MS = 3_600_000;

/** A one-time push tries every action so often before it leaves it in the queue. */
const ONCE_TRIES = 3;

/** A one-time push gives up on a receiver that is out of reach for so long, milliseconds. */
const ONCE_GIVE_UP_MS = 10_000;

/** How often a push that waits looks whether it is done, milliseconds. */
const POLL_MS = 20;

/** See the module's comment. */
export class Pusher implements AsyncDisposable {
  readonly #options: PusherOptions;
  readonly #own = new DisposableStack();
  readonly #pool: DescribePool;
  readonly #fresh = new FreshContents();
  readonly #looking = new Mutex();
  readonly #stop = new AbortController();
  #root: TreeRoot;
  #rules: IgnoreRules;
  #inspector: Inspector;
  #sender: Sender | undefined;
  #brake: string | undefined;
  /** Whether a look at everything is coming, because something changed. */
  #verifying = false;
  /** Looks at everything in a row that met something that could not be read for now. */
  #troubles = 0;
  /** How long the last look at everything took, milliseconds. */
  #lookMs = 0;
  /** Looks that were asked for and not made yet. */
  #pendingLooks = 0;
  /** Whether everything is to be pushed only once. */
  #isOnce = false;
  /** Files that were told of because they never stood still. */
  readonly #restless = new Set<TreePath>();

  /** @throws {FilesyncError} When the source is missing, is no directory or cannot be read. */
  constructor(options: PusherOptions) {
    this.#options = options;
    this.#pool = options.pool ?? this.#own.use(new DescribePool(DEFAULT_CHUNKING));
    this.#root = TreeRoot.open(options.source);
    this.#rules = IgnoreRules.load(this.#root, options.ignore);
    this.#inspector = this.#createInspector();
  }

  /** What was done so far. */
  get totals(): PushTotals {
    const { state } = this.#options;
    const none = { put: 0, directory: 0, symlink: 0, remove: 0, move: 0, bytes: 0, sentBytes: 0 };
    return {
      ...(this.#sender?.totals ?? none),
      problems: state.problems().length + state.queue.failedCount,
      waiting: state.queue.size,
    };
  }

  /** Why removals are held back, when they are. */
  get brake(): string | undefined {
    return this.#brake ?? this.#sender?.brake;
  }

  /**
   * Looks at everything and queues what is needed, without sending it.
   *
   * @param exactly Whether to ask the receiver, too, what it holds.
   */
  async plan(signal: AbortSignal, exactly = false): Promise<void> {
    this.#isOnce = true;
    const stopped = AbortSignal.any([signal, this.#stop.signal]);
    await this.#lookAtAll(stopped);
    while (this.#pendingLooks > 0) await this.#options.clock.sleep(POLL_MS, stopped);
    if (!exactly) return;
    this.#sender = this.#createSender(0, stopped);
    await this.#sender.plan();
  }

  /**
   * Pushes everything once and returns when the receiver is in step, or when what is left has
   * been tried several times.
   *
   * @throws {FilesyncError} When the receiver refuses us, or cannot be reached.
   */
  async pushOnce(signal: AbortSignal): Promise<void> {
    this.#isOnce = true;
    await this.#whileSending(signal, ONCE_GIVE_UP_MS, async (stopped) => {
      // Whoever asks again wants it tried again.
      this.#options.state.queue.retryFailed();
      await this.#lookAtAll(stopped);
      // That, too, which was in vain or cut short however often: also because it was not looked at yet.
      this.#options.state.queue.retryNow();
      const sender = this.#sender!;
      const isBusy = () =>
        this.#pendingLooks > 0 || sender.isBusy(ONCE_TRIES) || sender.isUndecided(ONCE_TRIES);
      while (!stopped.aborted && isBusy()) {
        await this.#options.clock.sleep(POLL_MS, stopped);
      }
    });
  }

  /**
   * Pushes everything, then every change, until `signal` aborts.
   *
   * @throws {FilesyncError} When the receiver refuses us.
   */
  async watch(signal: AbortSignal): Promise<void> {
    await this.#whileSending(signal, Infinity, async (stopped) => {
      const { clock, state, openWatch = openWatcher } = this.#options;
      await using watcher = openWatch(this.#root.path, {
        clock,
        stateDirectory: state.directory,
        goneHoldMs: GONE_HOLD_MS,
        ignores: (path, isDirectory) => this.#ignores(path, isDirectory),
      });
      await orAborted(watcher.ready, stopped);
      await this.#orLookLater(() => this.#lookAtAll(stopped, watcher), watcher, stopped);
      for await (const event of watcher.events(stopped)) {
        await this.#orLookLater(() => this.#handle(event, watcher, stopped), watcher, stopped);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#own.dispose();
    // A look under way ends at its next step.
    await this.#looking.run(() => Promise.resolve());
    this.#root[Symbol.dispose]();
  }

  /** Runs `work` beside the sender; when one ends, so does the other. */
  async #whileSending(
    signal: AbortSignal,
    giveUpAfter: number,
    work: (stopped: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const ended = new AbortController();
    const stopped = AbortSignal.any([signal, ended.signal, this.#stop.signal]);
    this.#sender = this.#createSender(giveUpAfter, stopped);
    const sending = this.#sender.run(stopped).finally(() => ended.abort());
    // It may reject long before anybody waits for it.
    sending.catch(() => {});
    try {
      await this.#sender.met;
      if (!stopped.aborted) await work(stopped);
    } catch (error) {
      if (!stopped.aborted) throw error;
    } finally {
      ended.abort();
      await sending;
    }
  }

  /** What cannot be recorded now, because our own disk is full, is found by a look at everything later. */
  async #orLookLater(work: () => Promise<void>, watcher: Watch, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    const lookAgain = () =>
      this.#handle({ type: "rescan", reason: "a change could not be recorded" }, watcher, signal);
    for (let tries = 1, next = work; !signal.aborted; next = lookAgain) {
      try {
        return await next();
      } catch (error) {
        const failure = toFilesyncError("record what changed", error);
        if (failure.permanent || (failure !== error && !isPassing(error))) throw error;
        this.#warn(failure.message, failure.hint);
        await clock.sleep(backoffDelay(tries++, 1_000, { random }), signal);
      }
    }
  }

  async #handle(event: WatchEvent, watcher: Watch, signal: AbortSignal): Promise<void> {
    const { onEvent } = this.#options;
    switch (event.type) {
      case "dirty":
        this.#options.onLook?.(event.looks);
        this.#take(await this.#looking.run(() => this.#inspector.look(event.looks, signal)), signal, watcher);
        return this.#verifyLater(signal, watcher);
      case "rescan":
        this.#options.onLook?.();
        return await this.#lookAtAll(signal, watcher);
      case "problem":
        return onEvent({ type: "problem", problem: event.problem });
      case "root-lost":
        return this.#warn(
          `The source is gone: ${event.reason}`,
          "Nothing is removed at the receiver; pushing goes on when it is back",
        );
      case "root-found":
        return await this.#looking.run(() => Promise.resolve(this.#reopen()));
      case "polling":
        return this.#warn(
          `Changes are found by looking at everything again and again: ${event.reason}`,
          event.hint,
        );
    }
  }

  async #lookAtAll(signal: AbortSignal, watcher?: Watch): Promise<void> {
    const { clock } = this.#options;
    const startedAt = clock.now();
    const findings = await this.#looking.run(() => {
      if (watcher !== undefined) this.#follow();
      return this.#inspector.lookAtAll(signal);
    });
    this.#lookMs = clock.now() - startedAt;
    // Only a look at everything can tell that the reason to brake is gone.
    if (findings.brake === undefined) this.#brake = undefined;
    this.#take(findings, signal, watcher);
    if (watcher !== undefined) this.#lookAgainAtTrouble(signal, watcher);
  }

  /** What could not be read may be so by now, and no event would tell. */
  #lookAgainAtTrouble(signal: AbortSignal, watcher: Watch): void {
    const isTroubled = this.#options.state.problems().some(({ problem }) => !problem.permanent);
    this.#troubles = isTroubled ? this.#troubles + 1 : 0;
    const delay = Math.min(VERIFY_MS * 2 ** (this.#troubles - 1), TROUBLE_CAP_MS);
    if (isTroubled) this.#verifyLater(signal, watcher, delay);
  }

  /** Makes sure that no change was missed, once for all changes until then. */
  #verifyLater(signal: AbortSignal, watcher?: Watch, least = VERIFY_MS): void {
    if (this.#verifying) return;
    this.#verifying = true;
    const delay = Math.min(Math.max(least, this.#lookMs / VERIFY_SHARE), VERIFY_CAP_MS);
    this.#options.clock.sleep(delay, signal)
      .then(() => {
        this.#verifying = false;
        return this.#lookAtAll(signal, watcher);
      })
      .catch((error) => {
        if (!signal.aborted) this.#lookFailed(error, signal, watcher);
      });
  }

  /** Does what a look asks for. */
  #take(findings: Findings, signal: AbortSignal, watcher?: Watch): void {
    const { appeared, problems, brake } = findings;
    for (const path of appeared) watcher?.revisit(path);
    for (const problem of problems) this.#options.onEvent({ type: "problem", problem });
    const unstable = this.#isOnce ? this.#withoutRestless(findings) : findings.unstable;
    if (unstable.length > 0) this.#lookLater(unstable, signal);
    if (brake === undefined || brake === this.#brake) return;
    this.#brake = brake;
    this.#warn(
      `Nothing is removed at the receiver: ${brake}`,
      "If that is meant, run it once with --allow-mass-delete",
    );
  }

  /** What is to be looked at again by who does not wait for ever: files that never stand still are not. */
  #withoutRestless({ unstable, restless }: Findings): TreePath[] {
    for (const path of restless) {
      if (this.#restless.has(path)) continue;
      this.#restless.add(path);
      this.#warn(
        `"${path}" changes each time it is read`,
        "What is sent of it may be of several moments; push it again when nobody writes to it",
      );
    }
    const taken = new Set(restless);
    return unstable.filter((path) => !taken.has(path));
  }

  /** Looks again at files that were not what they looked like: a power cut may take content away and leave its time. */
  #lookLater(paths: TreePath[], signal: AbortSignal): void {
    this.#pendingLooks++;
    this.#options.clock.sleep(UNSTABLE_MS, signal)
      .then(() =>
        this.#looking.run(() =>
          this.#inspector.look(paths.map((path) => ({ path, deep: false, read: true })), signal)
        )
      )
      .then((findings) => this.#take(findings, signal))
      .catch((error) => {
        if (!signal.aborted) this.#lookFailed(error, signal);
      })
      .finally(() => this.#pendingLooks--);
  }

  /** What was to be seen then is seen by a look at everything. */
  #lookFailed(error: unknown, signal: AbortSignal, watcher?: Watch): void {
    const { message, hint } = toFilesyncError("look for changes", error);
    this.#warn(message, hint);
    this.#verifyLater(signal, watcher);
  }

  /** Rules that cannot be read are for the look to complain about. */
  #ignores(path: TreePath, isDirectory: boolean): boolean {
    try {
      return this.#rules.ignores(path, isDirectory);
    } catch {
      return false;
    }
  }

  /** Goes on with the directory that stands there now, even if nobody told, or it could not be opened when it came. */
  #follow(): void {
    if (this.#root.isInPlace()) return;
    try {
      this.#reopen();
    } catch (error) {
      // What is gone altogether is told of when it is back; until then nothing is removed.
      if (toFilesyncError("open the source", error).code !== "not-found") throw error;
    }
  }

  /** The source is another directory now. */
  #reopen(): void {
    const root = TreeRoot.open(this.#options.source);
    this.#root[Symbol.dispose]();
    this.#root = root;
    this.#rules = IgnoreRules.load(root, this.#options.ignore);
    this.#inspector = this.#createInspector();
  }

  #createSender(giveUpAfter: number, stopped: AbortSignal): Sender {
    const { state, receiver, clock, random, onEvent, deleteExtra, allowMassDelete } = this.#options;
    return new Sender({
      receiver,
      root: () => this.#root,
      state,
      clock,
      random,
      fresh: this.#fresh,
      looking: this.#looking,
      lookAgain: (path) => this.#lookLater([path], stopped),
      onEvent,
      deleteExtra,
      ignores: (path, isDirectory) => this.#ignores(path, isDirectory),
      allowMassDelete,
      giveUpAfter,
    });
  }

  #createInspector(): Inspector {
    const { state, clock, onEvent, allowMassDelete, isGood, brakeShare } = this.#options;
    return new Inspector({
      root: this.#root,
      state,
      rules: this.#rules,
      pool: this.#pool,
      fresh: this.#fresh,
      clock,
      allowMassDelete,
      isGood,
      brakeShare,
      onProgress: (progress) => onEvent({ type: "looking", progress: { ...progress } }),
    });
  }

  #warn(message: string, hint?: string): void {
    const event: PushEvent = {
      type: "notice",
      level: "warning",
      message,
      ...(hint === undefined ? {} : { hint }),
    };
    this.#options.onEvent(event);
  }
}

/**
 * Refuses a destination directory that lies in the source, or the other way round: each push would
 * make new work for the next. Both must be real paths.
 *
 * @throws {FilesyncError} `usage`.
 */
export function refuseNesting(source: string, destination: string): void {
  const inside = (a: string, b: string) =>
    isWithin(a.replace(/^\//, "") as TreePath, b.replace(/^\//, "") as TreePath);
  const reason = source === destination
    ? "they are the same directory"
    : inside(destination, source)
    ? "the destination is inside the source"
    : inside(source, destination)
    ? "the source is inside the destination"
    : undefined;
  if (reason === undefined) return;
  throw new FilesyncError({
    code: "usage",
    operation: `push "${source}" to "${destination}"`,
    reason,
    hint: "Name two directories of which neither holds the other",
    permanent: true,
  });
}
