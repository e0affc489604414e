/**
 * Gives a receiver the content that it lacks, and nothing else: asks for digests
 * first. What replaces another content is told by that one, as a delta. Otherwise small files
 * travel with their action; of bigger ones the receiver is asked for the chunks that it lacks, and
 * those are staged before.
 *
 * @module
 */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import type { PutAction } from "../core/action.ts";
import {
  type Chunk,
  type ChunkRun,
  type Manifest,
  PACKED_CHUNK_BYTES,
  unpackManifest,
} from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import { toRanges } from "../core/wire.ts";
import type { TreeRoot } from "../files/tree_root.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import type { QueuedAction } from "../queue/action_queue.ts";
import { isFill } from "../queue/claims.ts";
import type { ContentNeed, ContentOffer, Receiver, ReceiverInfo } from "../transport/receiver.ts";
import { SpareMemory } from "../transport/spare_memory.ts";
import type { FreshContents } from "./fresh_contents.ts";
import { deltaOf, type DeltaPlan, DeltaPlanner } from "./delta_planner.ts";
import type { Base } from "./source_state.ts";
import { contentInMemory, openContent, SourceChangedError, type SourceContent } from "./source_reader.ts";

/** Bytes of content sent with one request: enough to hide a round trip, few enough to be lost, or held several times. */
export const REQUEST_BYTES = 2 << 20;

/** Requests with chunks under way at once, for one file. */
const STAGE_REQUESTS = 3;

/** Files up to this many bytes travel with their action when most of their content is missing. */
const INLINE_BYTES = 1 << 20;

/**
 * Chunks of bigger files go straight into the file that the receiver makes of them; those of smaller ones are kept
 * where every other file finds them too, bytes.
 */
const RUN_BYTES = 8 << 20;

/**
 * What is smaller is rather sent by two batches at once than waited for, bytes: nearly every batch of a real tree
 * has an empty file, or the same licence.
 */
const CHEAP_BYTES = 16 << 10;

/** What is no bigger is sent without asking, bytes: a question costs half as much. */
const UNASKED_BYTES = 256;

/** What has no more bytes is never cut. */
const UNCUT_BYTES = DEFAULT_CHUNKING.sizesFor(0).min;

/** Most contents of a receiver that are remembered instead of asked for. */
const MOST_HELD = 200_000;

/** What a {@linkcode ContentSupply} needs. */
export interface ContentSupplyOptions {
  receiver: Receiver;
  /** The source; another one when it was replaced. */
  root: () => TreeRoot;
  /** What was seen in the source. */
  index: TreeIndex;
  /** What need not be read again. */
  fresh?: FreshContents;
  /** What the receiver holds at a path. */
  baseOf: (path: TreePath) => Base | undefined;
  /** Told of content that has been staged. */
  onStaged: (bytes: number, put: PutAction) => void;
}

/** See the module's comment. Batches that need the same content wait for each other, unless it is small: none is sent twice. */
export class ContentSupply {
  readonly #options: ContentSupplyOptions;
  readonly #planner: DeltaPlanner;
  /** Content that batches under way supply, with the end of each batch. */
  readonly #underWay = new Map<Digest, Promise<void>>();
  /** All that a receiver holds which was empty when we came and only ever got more; `undefined` when it must be asked. */
  #held: Set<Digest> | undefined;

  constructor(options: ContentSupplyOptions) {
    this.#options = options;
    this.#planner = new DeltaPlanner({ ...options, open: (put) => openPut(put, options) });
  }

  /** Takes note of who the content is for. */
  meet({ hasContents }: Pick<ReceiverInfo, "hasContents">): void {
    this.#held = hasContents ? undefined : new Set();
  }

  /**
   * Begins to supply the content of what `batch` puts; dispose of the result when that is applied.
   *
   * @param most Most items in one request.
   * @throws {FilesyncError} Whatever the receiver throws.
   */
  async begin(batch: readonly QueuedAction[], most: number): Promise<BatchSupply> {
    // What takes something away may take the last of a content, and what failed may have failed for that.
    if (!batch.every(({ action, fresh, attempts }) => fresh && attempts <= 1 && isFill(action))) {
      this.#held = undefined;
    }
    const puts = batch.flatMap(({ action }) => action.type === "put" ? [action] : []);
    const sizes = new Map(puts.map(({ digest, size }) => [digest, size]));
    const digests = [...sizes].flatMap(([digest, size]) => size > CHEAP_BYTES ? [digest] : []);
    for (let other = this.#otherWith(digests); other !== undefined; other = this.#otherWith(digests)) {
      await other;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const digest of digests) this.#underWay.set(digest, promise);
    const end = () => {
      for (const digest of digests) this.#underWay.delete(digest);
      for (const digest of sizes.keys()) this.#options.fresh?.drop(digest);
      resolve();
    };
    try {
      const { needs, plans } = await this.#ask(batch, sizes, most);
      return new BatchSupply(this.#options, needs, plans, end, (digest) => this.#keepInMind(digest));
    } catch (error) {
      end();
      throw error;
    }
  }

  /** The end of another batch that supplies any of `digests`. */
  #otherWith(digests: Digest[]): Promise<void> | undefined {
    const shared = digests.find((digest) => this.#underWay.has(digest));
    return shared === undefined ? undefined : this.#underWay.get(shared);
  }

  /** Finds out what is needed and how it can be told: of small files, most often with one round trip. */
  async #ask(
    batch: readonly QueuedAction[],
    sizes: ReadonlyMap<Digest, number>,
    most: number,
  ): Promise<{ needs: Map<Digest, ContentNeed>; plans: Map<Digest, DeltaPlan> }> {
    const { receiver, baseOf } = this.#options;
    // When a delta did not work, the content itself is sent.
    const untried = batch.flatMap(({ action, attempts }) =>
      action.type === "put" && attempts <= 1 ? [action] : []
    );
    const small = receiver.isNear
      ? []
      : untried.filter(({ path, size }) => size <= INLINE_BYTES && baseOf(path) !== undefined);
    const told = new Set(small.map(({ digest }) => digest));
    // What is to replace something is hardly there: its base is asked for at once.
    const [needs, plans] = await Promise.all([
      this.#needsOf(sizes, told, most),
      this.#planner.plan(small, most),
    ]);
    const big = untried.filter(({ digest, size }) => size > INLINE_BYTES && needs.get(digest) === "whole");
    for (const [digest, plan] of await this.#planner.plan(big, most)) plans.set(digest, plan);
    for (const digest of plans.keys()) if (needs.get(digest) !== "whole") plans.delete(digest);
    await this.#askForParts(sizes, needs, plans, most);
    return { needs, plans };
  }

  /** What is needed of contents: of big ones, and those in `told`, only whether they are there. */
  async #needsOf(
    sizes: ReadonlyMap<Digest, number>,
    told: ReadonlySet<Digest>,
    most: number,
  ): Promise<Map<Digest, ContentNeed>> {
    const { receiver, index } = this.#options;
    if (this.#held !== undefined) return this.#needsByHeart(sizes.keys());
    const offers = [...sizes].flatMap(([digest, size]): ContentOffer[] => {
      if (size <= UNASKED_BYTES && !receiver.isNear) return [];
      const manifest = size > INLINE_BYTES || told.has(digest) ? [] : manifestOf(index, digest, size);
      return [{ digest, size, ...(manifest.length > 1 ? { manifest } : {}) }];
    });
    const needs = await check(receiver, offers, most);
    for (const digest of sizes.keys()) if (!needs.has(digest)) needs.set(digest, "whole");
    return needs;
  }

  /** Asks which chunks are lacking of what is not there as a whole, nor told by another content. */
  async #askForParts(
    sizes: ReadonlyMap<Digest, number>,
    needs: Map<Digest, ContentNeed>,
    plans: ReadonlyMap<Digest, DeltaPlan>,
    most: number,
  ): Promise<void> {
    const offers = [...sizes].flatMap(([digest, size]): ContentOffer[] => {
      if (needs.get(digest) !== "whole" || plans.has(digest)) return [];
      if (this.#held !== undefined && size <= INLINE_BYTES) return [];
      const manifest = manifestOf(this.#options.index, digest, size);
      // A small file is its only chunk.
      return manifest.length > 1 ? [{ digest, size, manifest }] : [];
    });
    for (const [digest, need] of await check(this.#options.receiver, offers, most)) needs.set(digest, need);
  }

  /** What a receiver that was empty lacks of whole contents. */
  #needsByHeart(digests: Iterable<Digest>): Map<Digest, ContentNeed> {
    const needs = new Map<Digest, ContentNeed>();
    for (const digest of digests) needs.set(digest, this.#held!.has(digest) ? "nothing" : "whole");
    return needs;
  }

  #keepInMind(digest: Digest): void {
    this.#held?.add(digest);
    // By now asking costs less than remembering.
    if (this.#held?.size === MOST_HELD) this.#held = undefined;
  }
}

async function check(
  receiver: Receiver,
  offers: ContentOffer[],
  most: number,
): Promise<Map<Digest, ContentNeed>> {
  const needs = new Map<Digest, ContentNeed>();
  for (const group of groups(offers, most)) {
    const answers = await receiver.check(group);
    group.forEach(({ digest }, i) => needs.set(digest, answers[i]));
  }
  return needs;
}

/** What travels with the action that puts it: a whole content, or how to make it from another. */
export interface Parcel {
  kind: "content" | "delta";
  data: Uint8Array<ArrayBuffer>;
}

/** The content of one batch. */
export class BatchSupply implements Disposable {
  readonly #options: ContentSupplyOptions;
  readonly #needs: Map<Digest, ContentNeed>;
  readonly #plans: Map<Digest, DeltaPlan>;
  /** What is ready to travel. */
  readonly #parcels = new Map<Digest, Parcel>();
  readonly #sent = new Map<Digest, number>();
  /** Chunks that are there since this batch staged them. */
  readonly #staged = new Set<Digest>();
  readonly #end: () => void;
  readonly #onHeld: (digest: Digest) => void;

  constructor(
    options: ContentSupplyOptions,
    needs: Map<Digest, ContentNeed>,
    plans: Map<Digest, DeltaPlan>,
    end: () => void,
    onHeld: (digest: Digest) => void,
  ) {
    this.#options = options;
    this.#needs = needs;
    this.#plans = plans;
    this.#end = end;
    this.#onHeld = onHeld;
  }

  /** Whether the content of `put` goes along with it. */
  travelsInline(put: PutAction): boolean {
    const need = this.#needs.get(put.digest) ?? "nothing";
    if (need === "nothing") return false;
    if (need === "whole") return true;
    const missing = this.#missingBytes(put.digest, need);
    return put.size <= INLINE_BYTES && missing > 0 && missing * 4 > put.size * 3;
  }

  /**
   * Stages what is missing of a file that does not travel inline, unless it can be told by a delta.
   *
   * @returns `false` when the content was not seen in the source any more: then another action is queued for the path.
   * @throws {SourceError} When the file cannot be read as it was seen.
   * @throws {FilesyncError} Whatever the receiver throws.
   * @throws {DOMException} When `signal` aborts, after what is under way has ended.
   */
  async stage(put: PutAction, signal: AbortSignal): Promise<boolean> {
    const plan = this.#plans.get(put.digest);
    if (plan !== undefined && put.size > INLINE_BYTES) {
      if (await this.#pack(put, plan) === undefined) return false;
      if (this.#parcels.has(put.digest)) return true;
      await this.#askForParts(put);
    }
    const need = this.#needs.get(put.digest) ?? "nothing";
    if (typeof need === "string" || need.length === 0 || this.travelsInline(put)) return true;
    using content = openPut(put, this.#options);
    if (content === undefined) return false;
    const manifest = manifestOf(this.#options.index, put.digest);
    const { receiver } = this.#options;
    // Files of one batch share chunks: an archive, and what is in it.
    const missing = need.filter((at) => !this.#staged.has(manifest[at]?.digest));
    if (put.size > RUN_BYTES) {
      await this.#sendAll(put, runRequests(put, manifest, missing, content, receiver), signal);
    } else {
      await this.#sendAll(put, chunkRequests(put, manifest, missing, content, receiver), signal);
      for (const at of missing) this.#staged.add(manifest[at].digest);
    }
    this.#sent.set(put.digest, bytesOf(manifest, missing));
    this.#needs.set(put.digest, "nothing");
    return true;
  }

  /**
   * What travels with `put`, the same until it has {@linkcode arrived}.
   *
   * @returns `undefined` when it was not seen in the source any more: then another action is queued for the path.
   * @throws {SourceError} When the file cannot be read as it was seen.
   */
  async parcel(put: PutAction): Promise<Parcel | undefined> {
    const ready = this.#parcels.get(put.digest);
    if (ready !== undefined) return ready;
    return await this.#pack(put, this.#plans.get(put.digest)) ?? undefined;
  }

  /** Notes that the parcel of `put` went along with it, and is there now. */
  arrived(put: PutAction): void {
    this.#sent.set(put.digest, this.#parcels.get(put.digest)?.data.length ?? 0);
    this.#parcels.delete(put.digest);
    this.#needs.set(put.digest, "nothing");
  }

  /** Notes that `put` was applied. Returns the bytes sent for its content, counted for the first that asks. */
  applied(put: PutAction): number {
    this.#onHeld(put.digest);
    const bytes = this.#sent.get(put.digest) ?? 0;
    this.#sent.delete(put.digest);
    return bytes;
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  /**
   * Makes the parcel of `put`.
   *
   * @returns `undefined` when it was not seen in the source any more; `null` when a delta of something
   * big would not spare enough.
   */
  async #pack(put: PutAction, plan: DeltaPlan | undefined): Promise<Parcel | undefined | null> {
    using content = openPut(put, this.#options);
    if (content === undefined) return undefined;
    const delta = plan && await deltaOf(put, plan, content, REQUEST_BYTES);
    this.#plans.delete(put.digest);
    if (delta === undefined && put.size > INLINE_BYTES) return null;
    const parcel: Parcel = delta === undefined
      ? { kind: "content", data: content.piece(0, { digest: put.digest, length: put.size }) }
      : { kind: "delta", data: delta };
    this.#parcels.set(put.digest, parcel);
    return parcel;
  }

  async #askForParts({ digest, size }: PutAction): Promise<void> {
    const { receiver, index } = this.#options;
    const [need] = await receiver.check([{ digest, size, manifest: manifestOf(index, digest) }]);
    this.#needs.set(digest, need);
  }

  #missingBytes(digest: Digest, positions: readonly number[]): number {
    return bytesOf(manifestOf(this.#options.index, digest), positions);
  }

  /** Sends several requests at a time; the first failure ends it when those under way have ended. */
  async #sendAll(put: PutAction, all: Iterable<StageRequest>, signal: AbortSignal): Promise<void> {
    const requests = new Set<Promise<void>>();
    let failure: unknown;
    try {
      for (const { bytes, send } of all) {
        const request: Promise<void> = send().then(() => this.#options.onStaged(bytes, put))
          .catch((error) => void (failure ??= error)).finally(() => requests.delete(request));
        requests.add(request);
        // What is not read yet takes no memory.
        while (requests.size >= STAGE_REQUESTS) await Promise.race(requests);
        if (failure !== undefined || signal.aborted) break;
      }
    } finally {
      await Promise.all(requests);
    }
    if (failure !== undefined) throw failure;
    signal.throwIfAborted();
  }
}

/** A request that stages something, and the bytes of content in it. */
interface StageRequest {
  bytes: number;
  send(): Promise<void>;
}

/** Requests with the chunks at `positions`, each by itself. */
function* chunkRequests(
  { path }: PutAction,
  manifest: Manifest,
  positions: readonly number[],
  content: SourceContent,
  receiver: Receiver,
): Generator<StageRequest> {
  const starts = startsOf(manifest);
  for (const group of grouped(path, manifest, positions)) {
    const chunks = group.map((at): Chunk => ({
      digest: manifest[at].digest,
      data: content.piece(starts[at], manifest[at]),
    }));
    yield { bytes: bytesOf(manifest, group), send: () => receiver.stage(chunks) };
  }
}

/**
 * Requests with the chunks at `positions`, in runs. Whether they are what was seen the receiver finds out; only
 * when it says that they are not, they are looked at here.
 */
function* runRequests(
  { digest, path }: PutAction,
  manifest: Manifest,
  positions: readonly number[],
  content: SourceContent,
  receiver: Receiver,
): Generator<StageRequest> {
  const starts = startsOf(manifest);
  const spare = new SpareMemory();
  for (const group of grouped(path, manifest, positions)) {
    const ranges = toRanges(group);
    const send = async () => {
      using memory = new DisposableStack();
      const runs = ranges.map(([first, end]): ChunkRun => ({
        content: digest,
        first,
        data: content.bytes(
          starts[first],
          starts[end - 1] + manifest[end - 1].length,
          memory.use(spare.lend()).take,
        ),
      }));
      try {
        await receiver.stageRuns(runs);
      } catch (error) {
        const isChanged = error instanceof FilesyncError && error.code === "digest-mismatch";
        if (isChanged) { for (const at of group) content.piece(starts[at], manifest[at]); }
        throw error;
      }
    };
    yield { bytes: bytesOf(manifest, group), send };
  }
}

/** Splits `positions` so that no group is more than a request may hold, but for a chunk that is. */
function* grouped(path: TreePath, manifest: Manifest, positions: readonly number[]): Generator<number[]> {
  let group: number[] = [];
  let bytes = 0;
  for (const at of positions) {
    const chunk = manifest[at];
    if (chunk === undefined) throw new SourceChangedError(path);
    if (group.length > 0 && bytes + chunk.length > REQUEST_BYTES) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(at);
    bytes += chunk.length;
  }
  if (group.length > 0) yield group;
}

function bytesOf(manifest: Manifest, positions: readonly number[]): number {
  return positions.reduce((sum, at) => sum + (manifest[at]?.length ?? 0), 0);
}

/** Opens any file of the source with the content of `put`. */
function openPut(
  { digest, path }: PutAction,
  { root, index, fresh }: ContentSupplyOptions,
): SourceContent | undefined {
  const data = fresh?.get(digest);
  if (data !== undefined) return contentInMemory(path, data);
  return openContent(root(), index, digest, path);
}

/** The manifest that was asked for last: those of big files take long to unpack, and are asked for again and again. */
const lastAsked = new WeakMap<TreeIndex, { digest: Digest; manifest: Manifest }>();

/** The chunks of a content; of one that is too small to be cut, none, when its `size` is given. */
function manifestOf(index: TreeIndex, digest: Digest, size = Infinity): Manifest {
  if (size <= UNCUT_BYTES) return [];
  const last = lastAsked.get(index);
  if (last?.digest === digest) return last.manifest;
  const manifest = unpackManifest(index.manifestOf(digest) ?? new Uint8Array());
  if (manifest.length > 0) lastAsked.set(index, { digest, manifest });
  return manifest;
}

/** Splits offers so that no group is more than a request may hold. */
function* groups(offers: ContentOffer[], most: number): Generator<ContentOffer[]> {
  let group: ContentOffer[] = [];
  let weight = 0;
  for (const offer of offers) {
    // Its header in JSON, and its packed chunks.
    const bytes = 100 + PACKED_CHUNK_BYTES * (offer.manifest?.length ?? 0);
    if (group.length > 0 && (group.length >= most || weight + bytes > REQUEST_BYTES)) {
      yield group;
      group = [];
      weight = 0;
    }
    group.push(offer);
    weight += bytes;
  }
  if (group.length > 0) yield group;
}

function startsOf(manifest: Manifest): number[] {
  let start = 0;
  return manifest.map(({ length }) => (start += length) - length);
}
