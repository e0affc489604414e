/**
 * Gives a receiver the content that it lacks, and nothing else: asks for digests
 * first, then for the chunks of what is not there as a whole. Small files travel with
 * their action; of bigger ones the missing chunks are staged before.
 *
 * @module
 */
import type { PutAction } from "../core/action.ts";
import { type Chunk, type Manifest, PACKED_CHUNK_BYTES, unpackManifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import type { TreeRoot } from "../files/tree_root.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import type { ContentNeed, ContentOffer, Receiver, ReceiverInfo } from "../transport/receiver.ts";
import { openContent, SourceChangedError, type SourceContent } from "./source_reader.ts";

/** Bytes of content sent with one request: enough to hide a round trip, few enough to be lost. */
export const REQUEST_BYTES = 4 << 20;

/** Requests with chunks under way at once, for one file. */
const STAGE_REQUESTS = 3;

/** Files up to this many bytes travel with their action when most of their content is missing. */
const INLINE_BYTES = 1 << 20;

/** Most contents of a receiver that are remembered instead of asked for. */
const MOST_HELD = 200_000;

/** What a {@linkcode ContentSupply} needs. */
export interface ContentSupplyOptions {
  receiver: Receiver;
  /** The source; another one when it was replaced. */
  root: () => TreeRoot;
  /** What was seen in the source. */
  index: TreeIndex;
  /** Told of content that has been staged. */
  onStaged: (bytes: number, put: PutAction) => void;
}

/** See the module's comment. Batches that need the same content wait for each other: none is sent twice. */
export class ContentSupply {
  readonly #options: ContentSupplyOptions;
  /** Content that batches under way supply, with the end of each batch. */
  readonly #underWay = new Map<Digest, Promise<void>>();
  /** All that a receiver holds which was empty when we came; `undefined` when it must be asked. */
  #held: Set<Digest> | undefined;

  constructor(options: ContentSupplyOptions) {
    this.#options = options;
  }

  /** Takes note of who the content is for. */
  meet({ hasContents }: Pick<ReceiverInfo, "hasContents">): void {
    this.#held = hasContents ? undefined : new Set();
  }

  /**
   * Begins to supply the content of `puts`; dispose of the result when they are applied.
   *
   * @param most Most offers in one request.
   * @throws {FilesyncError} Whatever the receiver throws.
   */
  async begin(puts: readonly PutAction[], most: number): Promise<BatchSupply> {
    const sizes = new Map(puts.map(({ digest, size }) => [digest, size]));
    const digests = [...sizes.keys()];
    for (let other = this.#otherWith(digests); other !== undefined; other = this.#otherWith(digests)) {
      await other;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const digest of digests) this.#underWay.set(digest, promise);
    const end = () => {
      for (const digest of digests) this.#underWay.delete(digest);
      resolve();
    };
    try {
      const needs = await this.#needsOf(sizes, most);
      return new BatchSupply(this.#options, needs, end, (digest) => this.#keepInMind(digest));
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

  async #needsOf(sizes: ReadonlyMap<Digest, number>, most: number): Promise<Map<Digest, ContentNeed>> {
    const wholes = [...sizes].map(([digest, size]): ContentOffer => ({ digest, size }));
    const needs = this.#held === undefined ? await this.#check(wholes, most) : this.#needsByHeart(wholes);
    // The list of its chunks is worth sending only for content that is not there as a whole. A small file is its only chunk.
    const parts = wholes.flatMap(({ digest, size }): ContentOffer[] => {
      if (needs.get(digest) === "nothing" || (this.#held !== undefined && size <= INLINE_BYTES)) return [];
      const manifest = manifestOf(this.#options.index, digest);
      return manifest.length > 1 ? [{ digest, size, manifest }] : [];
    });
    return new Map([...needs, ...await this.#check(parts, most)]);
  }

  /** What a receiver that was empty lacks of whole contents. */
  #needsByHeart(offers: ContentOffer[]): Map<Digest, ContentNeed> {
    return new Map(offers.map(({ digest }) => [digest, this.#held!.has(digest) ? "nothing" : "whole"]));
  }

  #keepInMind(digest: Digest): void {
    this.#held?.add(digest);
    // By now asking costs less than remembering.
    if (this.#held?.size === MOST_HELD) this.#held = undefined;
  }

  async #check(offers: ContentOffer[], most: number): Promise<Map<Digest, ContentNeed>> {
    const needs = new Map<Digest, ContentNeed>();
    for (const group of groups(offers, most)) {
      const answers = await this.#options.receiver.check(group);
      group.forEach(({ digest }, i) => needs.set(digest, answers[i]));
    }
    return needs;
  }
}

/** The content of one batch. */
export class BatchSupply implements Disposable {
  readonly #options: ContentSupplyOptions;
  readonly #needs: Map<Digest, ContentNeed>;
  readonly #sent = new Map<Digest, number>();
  /** Chunks that are there since this batch staged them. */
  readonly #staged = new Set<Digest>();
  readonly #end: () => void;
  readonly #onHeld: (digest: Digest) => void;

  constructor(
    options: ContentSupplyOptions,
    needs: Map<Digest, ContentNeed>,
    end: () => void,
    onHeld: (digest: Digest) => void,
  ) {
    this.#options = options;
    this.#needs = needs;
    this.#end = end;
    this.#onHeld = onHeld;
  }

  /** Whether the content of `put` goes along with it. */
  travelsInline(put: PutAction): boolean {
    const need = this.#needs.get(put.digest) ?? "nothing";
    if (typeof need === "string") return need === "whole";
    const missing = this.#missingBytes(put.digest, need);
    return put.size <= INLINE_BYTES && missing > 0 && missing * 4 > put.size * 3;
  }

  /**
   * Stages what is missing of a file that does not travel inline.
   *
   * @returns `false` when the content was not seen in the source any more: then another action is queued for the path.
   * @throws {SourceError} When the file cannot be read as it was seen.
   * @throws {FilesyncError} Whatever the receiver throws.
   * @throws {DOMException} When `signal` aborts, after what is under way has ended.
   */
  async stage(put: PutAction, signal: AbortSignal): Promise<boolean> {
    const need = this.#needs.get(put.digest) ?? "nothing";
    if (typeof need === "string" || need.length === 0 || this.travelsInline(put)) return true;
    using content = this.#open(put);
    if (content === undefined) return false;
    const manifest = manifestOf(this.#options.index, put.digest);
    // Files of one batch share chunks: an archive, and what is in it.
    const missing = need.filter((at) => !this.#staged.has(manifest[at]?.digest));
    await this.#stageChunks(put, missing, content, signal);
    for (const at of missing) this.#staged.add(manifest[at].digest);
    this.#sent.set(put.digest, this.#missingBytes(put.digest, missing));
    this.#needs.set(put.digest, "nothing");
    return true;
  }

  /**
   * The content of a file that travels inline.
   *
   * @returns `undefined` when it was not seen in the source any more: then another action is queued for the path.
   * @throws {SourceError} When the file cannot be read as it was seen.
   */
  read(put: PutAction): Uint8Array<ArrayBuffer> | undefined {
    using content = this.#open(put);
    return content?.piece(0, { digest: put.digest, length: put.size });
  }

  /** Notes that the content of `put` went along with it, and is there now. */
  arrived(put: PutAction): void {
    this.#sent.set(put.digest, put.size);
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

  #open(put: PutAction): SourceContent | undefined {
    return openContent(this.#options.root(), this.#options.index, put.digest, put.path);
  }

  #missingBytes(digest: Digest, positions: readonly number[]): number {
    const manifest = manifestOf(this.#options.index, digest);
    return positions.reduce((sum, at) => sum + (manifest[at]?.length ?? 0), 0);
  }

  /** Sends several requests at a time; the first failure ends it when those under way have ended. */
  async #stageChunks(
    put: PutAction,
    positions: number[],
    content: SourceContent,
    signal: AbortSignal,
  ): Promise<void> {
    const { receiver, index, onStaged } = this.#options;
    const manifest = manifestOf(index, put.digest);
    const starts = startsOf(manifest);
    const requests = new Set<Promise<void>>();
    let failure: unknown;
    let group: Chunk[] = [];
    let bytes = 0;
    const send = async () => {
      const [chunks, size] = [group, bytes];
      [group, bytes] = [[], 0];
      while (requests.size >= STAGE_REQUESTS) await Promise.race(requests);
      if (failure !== undefined) return;
      const request: Promise<void> = receiver.stage(chunks).then(() => onStaged(size, put))
        .catch((error) => void (failure ??= error)).finally(() => requests.delete(request));
      requests.add(request);
    };
    try {
      for (const at of positions) {
        if (failure !== undefined || signal.aborted) break;
        const chunk = manifest[at];
        if (chunk === undefined) throw new SourceChangedError(put.path);
        if (group.length > 0 && bytes + chunk.length > REQUEST_BYTES) await send();
        group.push({ digest: chunk.digest, data: content.piece(starts[at], chunk) });
        bytes += chunk.length;
      }
      if (group.length > 0 && !signal.aborted) await send();
    } finally {
      await Promise.all(requests);
    }
    if (failure !== undefined) throw failure;
    signal.throwIfAborted();
  }
}

function manifestOf(index: TreeIndex, digest: Digest): Manifest {
  return unpackManifest(index.manifestOf(digest) ?? new Uint8Array());
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
