/**
 * Empties the queue into a receiver: finds out which content it lacks, sends
 * only that, applies actions in order, several batches at a time as far as they do not
 * depend on each other. It never gives an action up that may still succeed.
 *
 * @module
 */
import { type Action, type PutAction } from "../core/action.ts";
import { backoffDelay } from "../core/backoff.ts";
import { type Chunk, type Manifest, unpackManifest } from "../core/chunk.ts";
import type { Clock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import type { Mutex } from "../core/mutex.ts";
import type { TreePath } from "../core/path.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import type { TreeRoot } from "../files/tree_root.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { QueuedAction } from "../queue/action_queue.ts";
import type { ContentNeed, ContentOffer, Receiver, ReceiverInfo } from "../transport/receiver.ts";
import { compareWithReceiver, topmost } from "./compare.ts";
import type { OnPushEvent, PushTotals } from "./push_event.ts";
import { SequenceTracker } from "./sequence_tracker.ts";
import { openContent, SourceChangedError, type SourceContent } from "./source_reader.ts";
import type { SourceState } from "./source_state.ts";

/** What a {@linkcode Sender} needs. */
export interface SenderOptions {
  receiver: Receiver;
  /** The source; another one when it was replaced. */
  root: () => TreeRoot;
  state: SourceState;
  clock: Clock;
  random: () => number;
  /** Held while the index must stand still. */
  looking: Mutex;
  /** Asks for another look at a path. */
  lookAgain: (path: TreePath) => void;
  onEvent: OnPushEvent;
  /** Remove what stands at the receiver and is not in the source. @default {false} */
  deleteExtra?: boolean;
  /** Give up when the receiver was out of reach for so many milliseconds. @default {Infinity} */
  giveUpAfter?: number;
}

/** Batches under way at once. */
const LANES = 3;

/** Actions of one batch, and bytes of the files they put. */
const BATCH = { items: 500, bytes: 64 << 20 };

/** Bytes of content sent with one request: enough to hide a round trip, few enough to be lost. */
const REQUEST_BYTES = 4 << 20;

/** Requests with chunks under way at once, for one batch. */
const STAGE_REQUESTS = 3;

/** Files up to this many bytes travel with their action when all of their content is missing. */
const INLINE_BYTES = 1 << 20;

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
  #busy = true;
  #doneBytes = 0;

  readonly #met = Promise.withResolvers<void>();

  /**
   * Resolves when the receiver's tree has been compared, or needs no comparison, or when it was not
   * to be reached: then is the time to look at the source, because little is queued yet.
   */
  readonly met: Promise<void> = this.#met.promise;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** What was done so far. */
  get totals(): Omit<PushTotals, "problems" | "waiting"> {
    return { ...this.#totals };
  }

  /** Whether there is something to do. What was tried `tries` times in vain, and what waits behind it, does not count. */
  isBusy(tries: number): boolean {
    return this.#busy || this.#underWay.size > 0 || this.#options.state.queue.isRetrying(tries);
  }

  /**
   * Works until `signal` aborts; what is under way is finished first.
   *
   * @throws {FilesyncError} When the receiver refuses us for good, or was out of reach for too long.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, onEvent } = this.#options;
    try {
      for (let failures = 0; !signal.aborted;) {
        try {
          await this.#step(signal);
          failures = 0;
        } catch (error) {
          // Our own disk is full, or its database busy: nothing is lost, only late.
          if (!(error instanceof FilesyncError) || (error.code !== "disk-full" && error.code !== "locked")) {
            throw error;
          }
          onEvent({ type: "notice", level: "warning", message: error.message, hint: error.hint });
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
    const batch = this.#underWay.size < LANES && !this.#mustCompare() ? queue.take(BATCH) : [];
    this.#busy = batch.length > 0 || this.#underWay.size > 0 || this.#mustCompare();
    if (batch.length === 0) return await this.#somethingToDo(changed, signal);
    const work = this.#send(batch).finally(() => this.#underWay.delete(work));
    this.#underWay.add(work);
  }

  #mustCompare(): boolean {
    return this.#stale && this.#options.clock.now() >= this.#compareAt;
  }

  /** Waits for an answer, a new action, or the next try. */
  async #somethingToDo(changed: Promise<void>, signal: AbortSignal): Promise<void> {
    const { state: { queue }, clock } = this.#options;
    const next = Math.min(queue.nextReadyAt() ?? Infinity, this.#stale ? this.#compareAt : Infinity);
    const woken = new AbortController();
    const either = AbortSignal.any([signal, woken.signal]);
    const waits: Promise<unknown>[] = [...this.#underWay];
    if (this.#underWay.size < LANES) {
      waits.push(changed);
      if (next < Infinity) waits.push(clock.sleep(Math.max(1, next - clock.now()), either));
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
    if (this.#losses > 0) {
      await clock.sleep(backoffDelay(this.#losses, 0, { random }), signal).catch(() => {});
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
        const now = clock.now();
        const isIndexing = failure.code === "indexing";
        unreachableSince = isIndexing ? undefined : unreachableSince ?? now;
        if (unreachableSince !== undefined && now - unreachableSince >= giveUpAfter) throw failure;
        const delay = isIndexing
          ? failure.retryAfter ?? 1_000
          : backoffDelay(attempt, failure.retryAfter, { random });
        onEvent({
          type: "connection",
          state: isIndexing ? "indexing" : "offline",
          detail: failure.reason,
          retryAt: now + delay,
        });
        this.#met.resolve();
        await clock.sleep(delay, signal).catch(() => {});
      }
    }
  }

  #arrive(info: ReceiverInfo): void {
    const { index } = this.#options.state;
    const known = index.meta("receiver_id") === info.indexId
      ? Number(index.meta("receiver_sequence") ?? NaN)
      : NaN;
    this.#info = this.#limits = info;
    this.#sequence = new SequenceTracker(info.sequence);
    this.#stale = known !== info.sequence;
    this.#compareAt = 0;
    this.#comparisons = 0;
  }

  /** Asks the receiver for its whole tree, and queues whatever is not equal. */
  async #compare(): Promise<void> {
    const { receiver, state, clock, looking, deleteExtra } = this.#options;
    try {
      await looking.run(async () => {
        const info = await receiver.open();
        const first = state.index.meta("receiver_id") !== info.indexId;
        const { foreign, undecided, queued } = await compareWithReceiver(receiver, state);
        this.#info = info;
        this.#sequence = new SequenceTracker(info.sequence);
        this.#stale = undecided > 0;
        this.#comparisons = queued + undecided > 0 ? this.#comparisons + 1 : 0;
        this.#compareAt = clock.now() + Math.min(COMPARE_CAP_MS, 1_000 * 2 ** this.#comparisons);
        state.index.transaction(() => {
          state.index.setMeta("receiver_id", info.indexId);
          this.#rememberSequence();
        });
        this.#losses = 0;
        if (foreign.length > 0) this.#meetForeign(foreign, first, deleteExtra ?? false);
      });
    } catch (error) {
      this.#lose(toFilesyncError("compare the trees", error));
    }
  }

  #meetForeign(foreign: TreePath[], first: boolean, deleteExtra: boolean): void {
    const { state, onEvent } = this.#options;
    const tops = topmost(foreign);
    if (deleteExtra) {
      state.setForeign([]);
      state.queue.add(tops.map((path) => ({ action: { type: "remove", path } })));
    } else if (first) {
      onEvent({
        type: "notice",
        level: "info",
        message:
          `${foreign.length} entries at the receiver are not in the source and were left alone, such as "${
            tops[0]
          }"`,
        hint: "Use --delete to remove what is not in the source",
      });
    }
  }

  async #send(batch: QueuedAction[]): Promise<void> {
    let rest = batch;
    try {
      const needs = await this.#needsOf(batch);
      const failed = await this.#stageAll(batch, needs);
      rest = batch.filter(({ id }) => !failed.has(id));
      while (rest.length > 0) rest = await this.#applyNext(rest, needs);
    } catch (error) {
      this.#giveBack(rest, toFilesyncError("send changes", error));
    }
  }

  /** What the receiver lacks, of the content of every put. */
  async #needsOf(batch: QueuedAction[]): Promise<Map<Digest, ContentNeed>> {
    const { receiver, state: { index } } = this.#options;
    const offers = new Map<Digest, ContentOffer>();
    for (const { action } of batch) {
      if (action.type !== "put" || offers.has(action.digest)) continue;
      const packed = index.manifestOf(action.digest);
      const manifest = packed === undefined ? undefined : unpackManifest(packed);
      const { digest, size } = action;
      // The only chunk of a small file is the file.
      offers.set(
        digest,
        manifest !== undefined && manifest.length !== 1 ? { digest, size, manifest } : { digest, size },
      );
    }
    const needs = new Map<Digest, ContentNeed>();
    for (
      const group of groups(
        [...offers.values()],
        (offer) => 100 + 36 * (offer.manifest?.length ?? 0),
        this.#limits.maxBatchItems,
      )
    ) {
      const answers = await receiver.check(group);
      group.forEach(({ digest }, i) => needs.set(digest, answers[i]));
    }
    return needs;
  }

  /** Stages the chunks that are missing of bigger files. Returns the actions that cannot go on, already given back. */
  async #stageAll(batch: QueuedAction[], needs: Map<Digest, ContentNeed>): Promise<Set<number>> {
    const failed = new Set<number>();
    const staged = new Set<Digest>();
    for (const { id, action } of batch) {
      if (action.type !== "put" || staged.has(action.digest)) continue;
      const need = needs.get(action.digest)!;
      if (typeof need === "string" || need.length === 0 || travelsInline(action, need)) continue;
      try {
        using content = this.#open(action);
        if (content === undefined) {
          this.#drop(id);
          failed.add(id);
          continue;
        }
        await this.#stage(action, need, content);
        staged.add(action.digest);
      } catch (error) {
        if (!(error instanceof SourceChangedError) && !isOfSource(error)) throw error;
        this.#postpone(id, action, error as FilesyncError);
        failed.add(id);
      }
    }
    return failed;
  }

  async #stage(action: PutAction, missing: number[], content: SourceContent): Promise<void> {
    const { receiver, state: { index } } = this.#options;
    const manifest = unpackManifest(index.manifestOf(action.digest) ?? new Uint8Array());
    const starts = startsOf(manifest);
    const under = new Set<Promise<void>>();
    let group: Chunk[] = [];
    let bytes = 0;
    let failure: unknown;
    const flush = async () => {
      const chunks = group;
      const size = bytes;
      group = [];
      bytes = 0;
      while (under.size >= STAGE_REQUESTS) await Promise.race(under);
      if (failure !== undefined) return;
      const request: Promise<void> = receiver.stage(chunks).then(() => this.#sent(size, action.path))
        .catch((error) => void (failure = error)).finally(() => under.delete(request));
      under.add(request);
    };
    try {
      for (const at of missing) {
        if (failure !== undefined) break;
        const chunk = manifest[at];
        if (chunk === undefined) throw new SourceChangedError(action.path);
        if (group.length > 0 && bytes + chunk.length > REQUEST_BYTES) await flush();
        group.push({ digest: chunk.digest, data: content.piece(starts[at], chunk) });
        bytes += chunk.length;
      }
      if (group.length > 0) await flush();
    } finally {
      await Promise.all(under);
    }
    if (failure !== undefined) throw failure;
  }

  /** Applies as many of `actions` as fit into one request; returns the others. */
  async #applyNext(actions: QueuedAction[], needs: Map<Digest, ContentNeed>): Promise<QueuedAction[]> {
    const contents = new Map<Digest, Uint8Array<ArrayBuffer>>();
    const taken: QueuedAction[] = [];
    let bytes = 0;
    let at = 0;
    for (; at < actions.length && taken.length < this.#limits.maxBatchItems; at++) {
      const { id, action } = actions[at];
      if (
        action.type === "put" && !contents.has(action.digest) &&
        travelsInline(action, needs.get(action.digest)!)
      ) {
        if (taken.length > 0 && bytes + action.size > Math.min(REQUEST_BYTES, this.#limits.maxBatchBytes)) {
          break;
        }
        try {
          using content = this.#open(action);
          if (content === undefined) {
            this.#drop(id);
            continue;
          }
          contents.set(action.digest, content.piece(0, { digest: action.digest, length: action.size }));
          bytes += action.size;
        } catch (error) {
          if (!(error instanceof SourceChangedError) && !isOfSource(error)) throw error;
          this.#postpone(id, action, error as FilesyncError);
          continue;
        }
      }
      taken.push(actions[at]);
    }
    const rest = actions.slice(at);
    if (taken.length > 0) {
      try {
        await this.#apply(taken, contents, bytes);
      } catch (error) {
        this.#giveBack(taken, toFilesyncError("apply changes", error));
        if (this.#info === undefined) {
          this.#options.state.queue.release(rest.map(({ id }) => id));
          return [];
        }
      }
      // What was sent with this request is there now.
      for (const digest of contents.keys()) needs.set(digest, "nothing");
    }
    return rest;
  }

  async #apply(
    taken: QueuedAction[],
    contents: Map<Digest, Uint8Array<ArrayBuffer>>,
    bytes: number,
  ): Promise<void> {
    const { receiver, state: { queue, index } } = this.#options;
    const { before, after, results } = await receiver.apply({
      key: this.#keyOf(taken),
      actions: taken.map(({ action }) => action),
      contents,
    });
    this.#losses = 0;
    this.#sent(bytes);
    this.#sequence.add(before, after);
    const done: number[] = [];
    index.transaction(() => {
      taken.forEach((queued, i) => {
        const result = results[i];
        if (result.done) done.push(queued.id);
        else this.#judge(queued, result.problem);
      });
      queue.done(done);
      if (this.#underWay.size <= 1 && this.#sequence.hasGap) this.#stale = true;
      this.#rememberSequence();
    });
    taken.forEach(({ action }, i) => {
      if (results[i].done) this.#tell(action, contents);
    });
    this.#progress();
  }

  /**
   * Names a batch by what is in it, so that it is the same one when it is sent again because the
   * answer was lost.
   */
  #keyOf(taken: QueuedAction[]): string {
    const text = JSON.stringify([this.#options.state.index.id, taken.map(({ id, action }) => [id, action])]);
    return sha256(new TextEncoder().encode(text));
  }

  /** Decides what becomes of an action that the receiver could not do. */
  #judge({ id, action, attempts }: QueuedAction, problem: Problem): void {
    const { queue } = this.#options.state;
    const treesDiffer = problem.code === "conflict" || problem.code === "not-found";
    if (treesDiffer) this.#stale = true;
    // A move from nowhere can never succeed; the comparison queues what is needed instead.
    if (treesDiffer && action.type === "move") return queue.done([id]);
    if (problem.permanent) queue.fail(id, problem);
    else queue.retry([id], problem);
    const isRoutine = problem.code === "content-missing" && attempts <= 1;
    if (!isRoutine) this.#options.onEvent({ type: "problem", problem: { ...problem, path: action.path } });
  }

  #tell(action: Action, contents: ReadonlyMap<Digest, Uint8Array>): void {
    this.#totals[action.type]++;
    if (action.type === "put") this.#totals.bytes += action.size;
    if (action.type === "put") this.#doneBytes += action.size;
    const sentBytes = action.type === "put" ? contents.get(action.digest)?.length ?? 0 : 0;
    this.#options.onEvent({ type: "applied", action, sentBytes });
  }

  #sent(bytes: number, current?: TreePath): void {
    this.#totals.sentBytes += bytes;
    this.#progress(current);
  }

  #progress(current?: TreePath): void {
    const { state: { queue }, onEvent } = this.#options;
    const { put, directory, symlink, remove, move, sentBytes } = this.#totals;
    const doneItems = put + directory + symlink + remove + move;
    onEvent({
      type: "progress",
      doneItems,
      totalItems: doneItems + queue.size,
      doneBytes: this.#doneBytes,
      totalBytes: this.#doneBytes + queue.bytes,
      sentBytes,
      current,
    });
  }

  #open(action: PutAction): SourceContent | undefined {
    return openContent(this.#options.root(), this.#options.state.index, action.digest, action.path);
  }

  /** Another content was seen at the path since: another action is queued for it. */
  #drop(id: number): void {
    this.#options.state.queue.done([id]);
  }

  /** The file cannot be read as it was seen. */
  #postpone(id: number, action: Action, error: FilesyncError): void {
    const problem = problemOf(error, action.path);
    this.#options.state.queue.retry([id], problem);
    this.#options.lookAgain(action.path);
    if (!(error instanceof SourceChangedError)) this.#options.onEvent({ type: "problem", problem });
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
    this.#options.onEvent({ type: "connection", state: "offline", detail: failure.reason });
  }

  #rememberSequence(): void {
    const { index } = this.#options.state;
    index.setMeta(
      "receiver_sequence",
      this.#stale || this.#sequence.hasGap ? "" : String(this.#sequence.known),
    );
  }
}

/** Whether the content of a put goes along with it. */
function travelsInline(action: PutAction, need: ContentNeed): boolean {
  if (need === "nothing") return false;
  if (need === "whole") return true;
  return action.size <= INLINE_BYTES && need.length > 0 && need.length * 4 > 3 * action.size / (16 << 10);
}

function isOfSource(error: unknown): boolean {
  return error instanceof FilesyncError && error.operation.startsWith("read ") && error.code === "permission";
}

/** Splits `items` so that no group weighs more than a request may, or has more than `most` items. */
function* groups<T>(items: T[], weigh: (item: T) => number, most: number): Generator<T[]> {
  let group: T[] = [];
  let weight = 0;
  for (const item of items) {
    if (group.length > 0 && (group.length >= most || weight + weigh(item) > REQUEST_BYTES)) {
      yield group;
      group = [];
      weight = 0;
    }
    group.push(item);
    weight += weigh(item);
  }
  if (group.length > 0) yield group;
}

function startsOf(manifest: Manifest): number[] {
  let start = 0;
  return manifest.map(({ length }) => (start += length) - length);
}
