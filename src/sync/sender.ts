/**
 * Empties the queue into a receiver: finds out which content it lacks, sends
 * only that, applies actions in order, several batches at a time as far as they do not
 * depend on each other. It never gives an action up that may still succeed.
 *
 * @module
 */
import { count } from "../core/amounts.ts";
import { type Action, isPut } from "../core/action.ts";
import { backoffDelay, LONGEST_DELAY_MS } from "../core/backoff.ts";
import { type Clock, steadyClock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { sameEntry } from "../core/entry.ts";
import { entryPairs } from "../core/entry_pairs.ts";
import { FilesyncError, isPassing, toFilesyncError } from "../core/errors.ts";
import type { Mutex } from "../core/mutex.ts";
import { outermost, parentOf, ROOT, STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import type { Anchor, TreeRoot } from "../files/tree_root.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { QueuedAction } from "../queue/action_queue.ts";
import type { Receiver, ReceiverInfo } from "../transport/receiver.ts";
import { brakeReason } from "./brake.ts";
import { compareWithReceiver } from "./compare.ts";
import { type BatchSupply, ContentSupply, type Parcel, REQUEST_BYTES } from "./content_supply.ts";
import type { FreshContents } from "./fresh_contents.ts";
import type { OnPushEvent, PushTotals } from "./push_event.ts";
import { SequenceTracker } from "./sequence_tracker.ts";
import { SourceChangedError, SourceError } from "./source_reader.ts";
import type { SourceState } from "./source_state.ts";

/** What a {@linkcode Sender} needs. */
export interface SenderOptions {
  receiver: Receiver;
  /** The source; another one when it was replaced. */
  root: () => TreeRoot;
  state: SourceState;
  clock: Clock;
  random: () => number;
  /** What need not be read again. */
  fresh?: FreshContents;
  /** Held while the index must stand still. */
  looking: Mutex;
  /** Asks for another look at a path. */
  lookAgain: (path: TreePath) => void;
  onEvent: OnPushEvent;
  /** Remove what stands at the receiver and is not in the source. @default {false} */
  deleteExtra?: boolean;
  /** What `deleteExtra` spares, because it is left out at the source. */
  ignores?: (path: TreePath, isDirectory: boolean) => boolean;
  /** Let `deleteExtra` empty the receiver for an empty source. @default {false} */
  allowMassDelete?: boolean;
  /** Give up when the receiver was out of reach for so many milliseconds. @default {Infinity} */
  giveUpAfter?: number;
}

/** Batches under way at once: while some wait for the disk, others are prepared. */
const LANES = 6;

/** Actions of one batch, and bytes of the files they put. */
const BATCH = { items: 500, bytes: 64 << 20 };

/** Longest wait between two comparisons of the trees that bring nothing new, milliseconds. */
const COMPARE_CAP_MS = 300_000;

/** Errors that mean that the receiver cannot be talked to at all for now. */
const CONNECTION_CODES = new Set([
  "unreachable",
  "indexing",
  "unauthorized",
  "too-many",
  "upgrade",
  "unsupported",
  "locked",
]);

/** See the module's comment. */
export class Sender {
  readonly #options: SenderOptions;
  readonly #totals: Omit<PushTotals, "problems" | "waiting"> = {
    put: 0,
    directory: 0,
    symlink: 0,
    remove: 0,
    move: 0,
    bytes: 0,
    sentBytes: 0,
  };
  /** For what is waited for; the queue, which outlives us, goes by the system's clock. */
  readonly #steady: Clock;
  readonly #supply: ContentSupply;
  readonly #underWay = new Set<Promise<void>>();
  /** What the receiver said of itself; `undefined` while there is no connection. */
  #info: ReceiverInfo | undefined;
  /** What it said last; batches under way still go by it when the connection is lost. */
  #limits: Pick<ReceiverInfo, "maxBatchBytes" | "maxBatchItems"> = { maxBatchBytes: 0, maxBatchItems: 0 };
  #sequence = new SequenceTracker(0);
  #stale = false;
  #compareAt = 0;
  #comparisons = 0;
  /** Connections lost since something last went well. */
  #losses = 0;
  /** Why the connection was lost, until there is another one. */
  #loss: FilesyncError | undefined;
  #brake: string | undefined;
  #busy = true;

  /** So many actions are sent each by itself, because one of them spoils a whole request. */
  #suspects = 0;

  readonly #met = Promise.withResolvers<void>();

  /**
   * Resolves when the receiver's tree has been compared, or needs no comparison, or when it was not
   * to be reached: then is the time to look at the source, because little is queued yet.
   */
  readonly met: Promise<void> = this.#met.promise;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#steady = steadyClock(options.clock);
    this.#supply = new ContentSupply({
      receiver: options.receiver,
      root: options.root,
      index: options.state.index,
      fresh: options.fresh,
      baseOf: (path) => options.state.baseOf(path),
      onStaged: (bytes, { path }) => {
        this.#totals.sentBytes += bytes;
        this.#progress(path);
      },
    });
  }

  /**
   * Queues what makes the receiver equal, and takes from the queue what is there already; nothing is sent.
   *
   * @throws {FilesyncError} When the receiver cannot be asked.
   */
  async plan(): Promise<void> {
    const { receiver, state: { index, queue } } = this.#options;
    this.#arrive(await receiver.open());
    await this.#compare();
    if (this.#loss !== undefined) throw this.#loss;
    const equal = new Set<TreePath>();
    for await (const [seen, held] of entryPairs(index.entries(), receiver.tree())) {
      if (seen !== undefined && held !== undefined && sameEntry(seen, held)) equal.add(seen.path);
    }
    const idle = queue.pending().filter(({ action }) => isPut(action) && equal.has(action.path));
    queue.done(idle.map(({ id }) => id));
  }

  /** Why what is not in the source is left at the receiver, although it was to be removed. */
  get brake(): string | undefined {
    return this.#brake;
  }

  /** What was done so far. */
  get totals(): Omit<PushTotals, "problems" | "waiting"> {
    return { ...this.#totals };
  }

  /** Whether there is something to do. What was tried `tries` times in vain, and what waits behind it, does not count. */
  isBusy(tries: number): boolean {
    const { state: { queue }, clock } = this.#options;
    return this.#busy || this.#underWay.size > 0 || queue.isRetrying(tries) ||
      // Queued a moment ago, and not taken yet.
      (queue.nextReadyAt() ?? Infinity) <= clock.now();
  }

  /**
   * Whether the trees are to be compared once more, because what was queued at the time hid what else differs there.
   * What differs after `tries` comparisons is not waited for.
   */
  isUndecided(tries: number): boolean {
    return this.#stale && this.#comparisons < tries;
  }

  /**
   * Works until `signal` aborts; what is under way is finished first.
   *
   * @throws {FilesyncError} When the receiver refuses us for good, or was out of reach for too long.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, state } = this.#options;
    let isFirst = true;
    try {
      for (let failures = 0; !signal.aborted;) {
        try {
          if (isFirst) state.forgetIdleBases();
          isFirst = false;
          await this.#step(signal);
          failures = 0;
        } catch (error) {
          if (!isPassing(error)) throw error;
          this.#warn(toFilesyncError("remember what is to be sent", error));
          await clock.sleep(backoffDelay(++failures, 1_000, { random }), signal).catch(() => {});
        }
      }
    } finally {
      this.#met.resolve();
      await Promise.allSettled(this.#underWay);
    }
  }

  /** Connects, compares, sends or waits: whatever is next. */
  async #step(signal: AbortSignal): Promise<void> {
    const { queue } = this.#options.state;
    if (this.#info === undefined) return await this.#connect(signal);
    if (this.#mustCompare() && this.#underWay.size === 0) return await this.#compare();
    this.#met.resolve();
    const changed = queue.changed(signal);
    // It may reject long after anybody waits for it.
    changed.catch(() => {});
    const batch = this.#underWay.size < LANES && !this.#mustCompare()
      ? queue.take(this.#suspects > 0 ? { ...BATCH, items: 1 } : BATCH)
      : [];
    this.#suspects = Math.max(0, this.#suspects - batch.length);
    this.#busy = batch.length > 0 || this.#underWay.size > 0 || this.#mustCompare();
    if (!this.#busy && queue.size === 0) this.#options.fresh?.clear();
    if (batch.length === 0) return await this.#somethingToDo(changed, signal);
    const work = this.#send(batch, signal)
      // What became of it cannot be recorded: it is sent again, and the receiver knows it by its key.
      .catch((error) => this.#warn(toFilesyncError("record what was sent", error)))
      .finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  #mustCompare(): boolean {
    return this.#stale && this.#steady.now() >= this.#compareAt;
  }

  /** Waits for an answer, a new action, or the next try. */
  async #somethingToDo(changed: Promise<void>, signal: AbortSignal): Promise<void> {
    const { state: { queue }, clock } = this.#options;
    const woken = new AbortController();
    const either = AbortSignal.any([signal, woken.signal]);
    const waits: Promise<unknown>[] = [...this.#underWay];
    if (this.#underWay.size < LANES) {
      waits.push(changed);
      // A comparison that is due waits for what is under way, and everything else for the comparison.
      const ms = this.#mustCompare() ? Infinity : Math.min(
        (queue.nextReadyAt() ?? Infinity) - clock.now(),
        this.#stale ? this.#compareAt - this.#steady.now() : Infinity,
      );
      if (ms < Infinity) waits.push(clock.sleep(Math.max(1, ms), either));
    }
    waits.push(
      new Promise((resolve) =>
        signal.addEventListener("abort", resolve, { once: true, signal: woken.signal })
      ),
    );
    try {
      await Promise.race(waits.map((wait) => wait.catch(() => {})));
    } finally {
      woken.abort();
    }
  }

  /** Opens the receiver, however long it takes. */
  async #connect(signal: AbortSignal): Promise<void> {
    const { receiver, clock, random, onEvent, giveUpAfter = Infinity } = this.#options;
    this.#busy = true;
    let unreachableSince: number | undefined;
    // It answered, and then failed: at once again would only be the same again.
    if (this.#loss !== undefined) {
      const delay = backoffDelay(this.#losses, this.#loss.retryAfter, { random });
      onEvent({
        type: "connection",
        state: "offline",
        detail: this.#loss.reason,
        retryAt: clock.now() + delay,
      });
      this.#loss = undefined;
      await clock.sleep(delay, signal).catch(() => {});
    }
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        this.#arrive(await receiver.open());
        onEvent({ type: "connection", state: "online" });
        return;
      } catch (error) {
        if (signal.aborted) return;
        const failure = toFilesyncError("reach the receiver", error);
        if (failure.permanent) throw failure;
        const now = this.#steady.now();
        const isIndexing = failure.code === "indexing";
        unreachableSince = isIndexing ? undefined : unreachableSince ?? now;
        if (unreachableSince !== undefined && now - unreachableSince >= giveUpAfter) throw failure;
        // The last try is made when the time is up, not a whole pause after that.
        const left = unreachableSince === undefined ? Infinity : unreachableSince + giveUpAfter - now;
        const delay = isIndexing
          ? Math.min(failure.retryAfter ?? 1_000, LONGEST_DELAY_MS)
          : Math.min(left, backoffDelay(attempt, failure.retryAfter, { random }));
        onEvent({
          type: "connection",
          state: isIndexing ? "indexing" : "offline",
          detail: failure.reason,
          retryAt: clock.now() + delay,
        });
        this.#met.resolve();
        await clock.sleep(delay, signal).catch(() => {});
      }
    }
  }

  #arrive(info: ReceiverInfo): void {
    const { state: { index }, deleteExtra = false } = this.#options;
    const known = index.meta("receiver_id") === info.indexId
      ? Number(index.meta("receiver_sequence") ?? NaN)
      : NaN;
    this.#info = this.#limits = info;
    this.#supply.meet(info);
    this.#sequence = new SequenceTracker(info.sequence);
    // What is to be removed was left alone before, so that nothing has changed since.
    this.#stale = deleteExtra || known !== info.sequence;
    this.#compareAt = 0;
    this.#comparisons = 0;
  }

  /** Asks the receiver for its whole tree, and queues whatever is not equal. */
  async #compare(): Promise<void> {
    const { receiver, state, looking, deleteExtra } = this.#options;
    try {
      await looking.run(async () => {
        const info = await receiver.open();
        const first = state.index.meta("receiver_id") !== info.indexId;
        const { foreign, undecided, queued, entries } = await compareWithReceiver(receiver, state);
        this.#info = info;
        this.#sequence = new SequenceTracker(info.sequence);
        this.#stale = undecided > 0;
        this.#comparisons = queued + undecided > 0 ? this.#comparisons + 1 : 0;
        this.#compareAt = this.#steady.now() + Math.min(COMPARE_CAP_MS, 1_000 * 2 ** this.#comparisons);
        state.index.transaction(() => {
          state.index.setMeta("receiver_id", info.indexId);
          this.#rememberSequence();
        });
        this.#losses = 0;
        this.#meetForeign(foreign, { first, deleteExtra: deleteExtra ?? false, known: entries });
      });
    } catch (error) {
      this.#lose(toFilesyncError("compare the trees", error));
    }
  }

  /** @param known Entries at the receiver. */
  #meetForeign(
    paths: TreePath[],
    { first, deleteExtra, known }: { first: boolean; deleteExtra: boolean; known: number },
  ): void {
    const { root, state, onEvent } = this.#options;
    // A source that is gone for now says nothing of what is not in it.
    if (paths.length === 0 || !root().isInPlace()) return;
    using anchor = root().anchor();
    // What only has not been looked at yet is in the source all the same.
    const { ignores = () => false, allowMassDelete } = this.#options;
    const spared = withAbove(
      paths.filter((path) => mayStandAt(anchor, path) || ignores(path, false) || ignores(path, true)),
    );
    const foreign = paths.filter((path) => !spared.has(path));
    const tops = outermost(foreign);
    if (tops.length === 0) return;
    const empty = anchor.list(ROOT).every((name) => name === STATE_DIRECTORY);
    const isMuch = empty || brakeReason({ known, gone: foreign.length, empty }) !== undefined;
    this.#brake = undefined;
    if (deleteExtra && isMuch && !allowMassDelete) {
      this.#brake = empty
        ? `the source is empty, and ${
          foreign.length === 1 ? "an entry stands" : `${foreign.length} entries stand`
        } there`
        : `${foreign.length} of ${known} entries there are not in the source`;
      onEvent({
        type: "notice",
        level: "warning",
        message: `Nothing is removed at the receiver: ${this.#brake}`,
        hint: "If that is meant, add --allow-mass-delete",
      });
    } else if (deleteExtra) {
      // Together: what is neither foreign nor to be removed would go with the next removal above it.
      state.index.transaction(() => {
        state.queue.add(tops.map((path) => ({ action: { type: "remove", path } })));
        state.setForeign(paths.filter((path) => spared.has(path)));
      });
    } else if (first) {
      onEvent({
        type: "notice",
        level: "info",
        message: `${count(foreign.length, "entry", "entries")} at the receiver ${
          foreign.length === 1 ? "is not in the source and was" : "are not in the source and were"
        } left alone, such as "${tops[0]}"`,
        hint: "Use --delete to remove what is not in the source",
      });
    }
  }

  async #send(batch: QueuedAction[], signal: AbortSignal): Promise<void> {
    // What has been given back may be on its way again with another batch, and is none of this one's business.
    const left = new Set(batch);
    try {
      using supply = await this.#supply.begin(batch, this.#limits.maxBatchItems);
      await this.#stage(left, supply, signal);
      while (left.size > 0) {
        signal.throwIfAborted();
        await this.#applyNext(left, supply);
      }
    } catch (error) {
      // What was staged stays there for the next run.
      if (signal.aborted) return this.#options.state.queue.release(Array.from(left, ({ id }) => id));
      this.#giveBack([...left], toFilesyncError("send changes", error));
    }
  }

  /** Stages the content of bigger files; takes out of `left` what cannot go on. */
  async #stage(left: Set<QueuedAction>, supply: BatchSupply, signal: AbortSignal): Promise<void> {
    // What a big file is made of may be in smaller ones, and those are found by their chunks at once.
    const sizeOf = ({ action }: QueuedAction) => action.type === "put" ? action.size : 0;
    for (const queued of [...left].sort((a, b) => sizeOf(a) - sizeOf(b))) {
      const { action } = queued;
      const goesOn = action.type !== "put" ||
        await this.#unlessSourceFails(queued, () => supply.stage(action, signal));
      if (!goesOn) left.delete(queued);
    }
  }

  /** Applies as many of `left` as fit into one request, and takes them out. */
  async #applyNext(left: Set<QueuedAction>, supply: BatchSupply): Promise<void> {
    const parcels = new Map<Digest, Parcel>();
    const taken: QueuedAction[] = [];
    let room = Math.min(REQUEST_BYTES, this.#limits.maxBatchBytes);
    for (const queued of left) {
      if (taken.length >= this.#limits.maxBatchItems) break;
      const { action } = queued;
      if (action.type === "put" && !parcels.has(action.digest) && supply.travelsInline(action)) {
        let parcel: Parcel | undefined;
        const isThere = await this.#unlessSourceFails(queued, async () => {
          parcel = await supply.parcel(action);
          return parcel !== undefined;
        });
        if (!isThere) {
          left.delete(queued);
          continue;
        }
        if (taken.length > 0 && parcel!.data.length > room) break;
        parcels.set(action.digest, parcel!);
        room -= parcel!.data.length;
      }
      taken.push(queued);
    }
    if (taken.length === 0) return;
    for (const queued of taken) left.delete(queued);
    try {
      await this.#apply(taken, parcels, supply);
    } catch (error) {
      this.#giveBack(taken, toFilesyncError("apply changes", error));
      if (this.#info !== undefined) return;
      this.#options.state.queue.release(Array.from(left, ({ id }) => id));
      left.clear();
    }
  }

  /**
   * Does what needs the source's content for an action. When that says `false`, or the source is
   * not as it was seen, the action is given back, and the answer is `false`.
   */
  async #unlessSourceFails(
    { id, action }: QueuedAction,
    work: () => boolean | Promise<boolean>,
  ): Promise<boolean> {
    const { state: { queue }, lookAgain, onEvent } = this.#options;
    try {
      const isThere = await work();
      // Another content was seen at the path since: another action is queued for it.
      if (!isThere) queue.done([id]);
      return isThere;
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      const problem = problemOf(error, action.path);
      queue.retry([id], problem);
      lookAgain(action.path);
      if (!(error instanceof SourceChangedError)) onEvent({ type: "problem", problem });
      return false;
    }
  }

  async #apply(
    taken: QueuedAction[],
    parcels: Map<Digest, Parcel>,
    supply: BatchSupply,
  ): Promise<void> {
    const { receiver, state } = this.#options;
    const { queue, index } = state;
    const { before, after, results } = await receiver.apply({
      key: this.#keyOf(taken),
      actions: taken.map(({ action }) => action),
      contents: dataOf("content", parcels),
      deltas: dataOf("delta", parcels),
    });
    this.#losses = 0;
    for (const { action } of taken) {
      if (action.type !== "put") continue;
      this.#totals.sentBytes += parcels.get(action.digest)?.data.length ?? 0;
      if (parcels.delete(action.digest)) supply.arrived(action);
    }
    this.#sequence.add(before, after);
    const done: number[] = [];
    index.transaction(() => {
      taken.forEach((queued, i) => {
        const result = results[i];
        if (result.done) done.push(queued.id);
        else this.#judge(queued, result.problem);
      });
      queue.done(done);
      state.forgetBases(
        taken.flatMap(({ action }, i) => action.type === "put" && results[i].done ? [action.path] : []),
      );
      if (this.#underWay.size <= 1 && this.#sequence.hasGap) this.#stale = true;
      this.#rememberSequence();
    });
    taken.forEach(({ action }, i) => {
      if (results[i].done) this.#tell(action, supply);
    });
    this.#progress();
  }

  /**
   * Names a batch by what is in it, so that it is the same one when it is sent again because the
   * answer was lost; but not when a power cut took the queue's last records away, so that their numbers are
   * given again: what was done then may have to be done anew.
   */
  #keyOf(taken: QueuedAction[]): string {
    const actions = taken.map(({ id, queuedAt, action }) => [id, queuedAt, action]);
    const text = JSON.stringify([this.#options.state.index.id, actions]);
    return sha256(new TextEncoder().encode(text));
  }

  /** Decides what becomes of an action that the receiver could not do. */
  #judge({ id, action, attempts, error }: QueuedAction, problem: Problem): void {
    const { queue } = this.#options.state;
    const treesDiffer = problem.code === "conflict" || problem.code === "not-found";
    if (treesDiffer) this.#stale = true;
    // A move from nowhere can never succeed; the comparison queues what is needed instead.
    if (treesDiffer && action.type === "move") {
      queue.done([id]);
      // What could not be moved must not stay, taken for foreign.
      if (problem.code === "conflict") queue.add([{ action: { type: "remove", path: action.from } }]);
      return;
    }
    if (problem.permanent) queue.fail(id, problem);
    else queue.retry([id], problem);
    // What held the content may be gone since it was asked for. Tries that were cut short say nothing of it.
    const isRoutine = problem.code === "content-missing" && (attempts <= 1 || error?.code !== problem.code);
    if (!isRoutine) this.#options.onEvent({ type: "problem", problem: { ...problem, path: action.path } });
  }

  #tell(action: Action, supply: BatchSupply): void {
    this.#totals[action.type]++;
    if (action.type === "put") this.#totals.bytes += action.size;
    const sentBytes = action.type === "put" ? supply.applied(action) : 0;
    this.#options.onEvent({ type: "applied", action, sentBytes });
  }

  #progress(current?: TreePath): void {
    const { state: { queue }, onEvent } = this.#options;
    const { put, directory, symlink, remove, move, bytes, sentBytes } = this.#totals;
    const doneItems = put + directory + symlink + remove + move;
    onEvent({
      type: "progress",
      doneItems,
      totalItems: doneItems + queue.size,
      doneBytes: bytes,
      totalBytes: bytes + queue.bytes,
      sentBytes,
      current,
    });
  }

  /** A request failed as a whole. */
  #giveBack(batch: QueuedAction[], failure: FilesyncError): void {
    const { queue } = this.#options.state;
    const ids = batch.map(({ id }) => id);
    if (CONNECTION_CODES.has(failure.code)) {
      queue.release(ids);
      this.#lose(failure);
    } else if (failure.permanent && ids.length === 1) {
      queue.fail(ids[0], problemOf(failure, batch[0].action.path));
      this.#options.onEvent({ type: "problem", problem: problemOf(failure, batch[0].action.path) });
    } else if (failure.permanent) {
      this.#suspects += ids.length;
      queue.release(ids);
    } else {
      queue.retry(ids, problemOf(failure));
      this.#options.onEvent({ type: "problem", problem: problemOf(failure) });
    }
  }

  /** The receiver cannot be talked to: the next turn connects anew. */
  #lose(failure: FilesyncError): void {
    if (this.#info === undefined) return;
    this.#info = undefined;
    this.#losses++;
    this.#loss = failure;
  }

  #warn({ message, hint }: FilesyncError): void {
    this.#options.onEvent({ type: "notice", level: "warning", message, hint });
  }

  #rememberSequence(): void {
    const { index } = this.#options.state;
    index.setMeta(
      "receiver_sequence",
      this.#stale || this.#sequence.hasGap ? "" : String(this.#sequence.known),
    );
  }
}

function dataOf(
  kind: Parcel["kind"],
  parcels: ReadonlyMap<Digest, Parcel>,
): Map<Digest, Uint8Array<ArrayBuffer>> {
  return new Map(
    [...parcels].flatMap(([digest, parcel]) => parcel.kind === kind ? [[digest, parcel.data]] : []),
  );
}

/** `paths`, and the directories above them. */
function withAbove(paths: readonly TreePath[]): Set<TreePath> {
  const all = new Set(paths);
  for (const path of paths) {
    for (let above = parentOf(path); above !== ROOT && !all.has(above); above = parentOf(above)) {
      all.add(above);
    }
  }
  return all;
}

/** Whether something stands at `path`, as far as can be told. */
function mayStandAt(anchor: Anchor, path: TreePath): boolean {
  try {
    return anchor.lstat(path) !== undefined;
  } catch {
    return true;
  }
}
