/**
 * Keeps what a receiver replaces and removes. The recipe, beside that of the batch (`local_receiver.ts`):
 *
 * 1. what the batch will replace or remove is looked at and added to the store of versions;
 * 2. one commit of the store makes that durable, together with rows that say what is about to go;
 * 3. the tree is changed. What stands at a path by now and was not kept is not touched: the action fails;
 * 4. the rows are settled: what went stays, what did not is forgotten.
 *
 * A crash between 2 and 4 leaves unsettled rows; after the next look at the tree each is judged by whether
 * its entry still stands there. So nothing that went is lost, and nothing is told that did not go.
 *
 * @module
 */
import type { DescribePool } from "../chunking/describe_pool.ts";
import type { PutAction } from "../core/action.ts";
import { packManifest } from "../core/chunk.ts";
import type { Clock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { sameContent } from "../core/entry.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import type { Anchor, TempFile, TreeRoot } from "../files/tree_root.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import type { ChunkLogOptions } from "../versions/chunk_log.ts";
import type { Retention } from "../versions/retention.ts";
import { VersionStore } from "../versions/version_store.ts";
import { BatchKeeper } from "./batch_keeper.ts";
import { contentMismatch } from "./content_faults.ts";
import type { Durability } from "./durability.ts";
import { requireWithin } from "./read_pieces.ts";
import type { PieceRequest } from "./receiver.ts";

/** How often it is looked what need not be kept any more, milliseconds. */
const PRUNE_EVERY_MS = 10 * 60_000;

/** Where an index notes whether everything that was changed through it was kept. */
const KEEPS = "keeps";

/** What is kept, of a `LocalReceiver`. */
export interface KeepSettings {
  /** How long. @default {for good: nothing is removed} */
  retention?: Retention;
  /** Told of what went wrong with old versions; nothing else is stopped by it. */
  onProblem?: (error: FilesyncError) => void;
  /** Settings of the store. */
  store?: ChunkLogOptions;
}

/** The tree that versions are kept of. */
export interface KeptTree {
  root: TreeRoot;
  index: TreeIndex;
  durability: Durability;
  pool: DescribePool;
  clock: Clock;
}

/** See the module's comment. */
export class Keeper implements AsyncDisposable {
  /** Where it is kept. */
  readonly store: VersionStore;
  readonly #tree: KeptTree;
  readonly #settings: KeepSettings;
  readonly #sharesDisk: boolean;
  /** Contents that turned out to be damaged in the store. */
  readonly #distrusted = new Set<Digest>();
  readonly #closing = new AbortController();
  #pruning: Promise<void> = Promise.resolve();

  /**
   * Opens the store in `directory`, which is made when it is missing.
   *
   * @throws {FilesyncError} As `VersionStore` does.
   */
  constructor(directory: string, tree: KeptTree, settings: KeepSettings) {
    this.#tree = tree;
    this.#settings = settings;
    this.store = new VersionStore(directory, settings.store);
    this.#sharesDisk = Deno.statSync(directory).dev === tree.root.dev;
    if (tree.index.meta(KEEPS) === "yes" && this.store.keptFiles.completeSince !== undefined) return;
    // What was changed before is not kept.
    this.store.keptFiles.losesBefore(tree.clock.now());
    tree.index.setMeta(KEEPS, "yes");
  }

  /** Notes that what is changed from now on is not kept. */
  static pause(index: TreeIndex): void {
    if (index.meta(KEEPS) === "yes") index.setMeta(KEEPS, "no");
  }

  /** Begins, when the index is up to date: judges what a crash left, and prunes now and then. */
  begin(): void {
    const { index } = this.#tree;
    try {
      this.store.keptFiles.settleLeft(({ entry, since }) => {
        const standing = index.standing(entry.path);
        return standing === undefined || standing.since > since || !sameContent(standing.entry, entry);
      });
    } catch (error) {
      // They wait for the next start.
      this.#settings.onProblem?.(toFilesyncError("settle what was kept", error));
    }
    const { retention } = this.#settings;
    if (retention !== undefined) this.#pruning = this.#pruneNowAndThen(retention);
  }

  /** Begins to keep what one batch replaces and removes. */
  batch(anchor: Anchor): BatchKeeper {
    const { durability } = this.#tree;
    const since = durability.failures;
    const syncAll = this.#sharesDisk && durability.syncsAll ? () => durability.syncAll(since) : undefined;
    return new BatchKeeper(this.store, anchor, {
      ...this.#tree,
      syncAll,
      onProblem: this.#settings.onProblem,
    });
  }

  /** Whether the bytes of a content are kept. */
  has(content: Digest): boolean {
    return !this.#distrusted.has(content) && this.store.contents.has(content);
  }

  /**
   * Writes a kept content into `temp`, verified.
   *
   * @returns Its packed manifest; `undefined`, with `temp` empty again, when it is damaged.
   */
  async restore(put: PutAction, temp: TempFile): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { contents } = this.store;
    if (contents.sizeOf(put.digest) !== put.size) throw contentMismatch(put, "size");
    try {
      await contents.writeTo(temp, put.digest);
      const manifest = contents.manifestOf(put.digest);
      if (manifest !== undefined) return packManifest(manifest);
    } catch (error) {
      if (error instanceof FilesyncError && error.code === "disk-full") throw error;
      this.#distrust(put.digest, error);
    }
    temp.truncate();
    return undefined;
  }

  /**
   * The bytes of ranges of a kept content, one after the other; `undefined` when it is not here, or damaged.
   *
   * @throws {FilesyncError} `bad-range` when a range ends beyond the content.
   */
  async pieces({ content, ranges }: PieceRequest): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { contents } = this.store;
    const size = this.#distrusted.has(content) ? undefined : contents.sizeOf(content);
    if (size === undefined) return undefined;
    requireWithin(ranges, size);
    const bytes = new Uint8Array(ranges.reduce((sum, { start, end }) => sum + end - start, 0));
    let at = 0;
    try {
      for (const range of ranges) {
        for await (const piece of contents.read(content, range)) {
          bytes.set(piece, at);
          at += piece.length;
        }
      }
      return bytes;
    } catch (error) {
      this.#distrust(content, error);
    }
  }

  /** Ends pruning, and closes the store. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#pruning;
    this.store[Symbol.dispose]();
  }

  /** Does not offer a content any more that could not be read. */
  #distrust(content: Digest, error: unknown): void {
    if (!(error instanceof FilesyncError)) throw error;
    this.#distrusted.add(content);
    this.#settings.onProblem?.(error);
  }

  async #pruneNowAndThen(retention: Retention): Promise<void> {
    const { clock } = this.#tree;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.store.prune(retention, clock.now(), signal);
      } catch (error) {
        if (!signal.aborted) this.#settings.onProblem?.(toFilesyncError("remove old versions", error));
      }
      await clock.sleep(PRUNE_EVERY_MS, signal).catch(() => {});
    }
  }
}
