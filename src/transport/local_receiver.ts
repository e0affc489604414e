/**
 * The receiver that is a directory of this machine. Every write to a
 * destination tree goes through here.
 *
 * The recipe of a batch, in this order: content into temporary files, digests
 * verified, files synced, then renamed into place, names and the index synced,
 * and only then the answer. A power cut at any point leaves every path with its
 * old content or its new one, whole; whatever the index missed is found when it
 * is next refreshed.
 *
 * @module
 */
import { join } from "@std/path";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { DescribePool } from "../chunking/describe_pool.ts";
import { groupsOf, packGroupChunks, packGroups } from "../chunking/manifest_groups.ts";
import { type Chunk, type ChunkRun, type Manifest, packManifest, unpackManifest } from "../core/chunk.ts";
import type { Clock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";
import { STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { openDatabase } from "../database/open.ts";
import { LOCK_FILE, lockState } from "../database/lock.ts";
import { foldsNames } from "../files/folds_names.ts";
import { cleanTemp, removeEmptyTemp, TreeRoot } from "../files/tree_root.ts";
import { GrowingContents } from "../index/growing_contents.ts";
import { historyOf, type HistoryPage, type HistorySearch, searchHistory } from "../index/history_search.ts";
import { refresh, type RefreshProgress, type RefreshResult } from "../index/refresh.ts";
import { INDEX_MIGRATIONS } from "../index/schema.ts";
import { Staging } from "../index/staging.ts";
import { bareEntry, TreeIndex } from "../index/tree_index.ts";
import { applyBatch } from "./apply_batch.ts";
import { type DirectoryPage, directoryPage, type DirectoryQuery, entryAt } from "./directory_page.ts";
import { Durability } from "./durability.ts";
import { fileStream } from "./file_stream.ts";
import type { KeptFile } from "../versions/kept_files.ts";
import { Keeper, type KeepSettings } from "./keeper.ts";
import { Leftovers } from "./leftovers.ts";
import { LocalVersions } from "./local_versions.ts";
import type { TreeVersions } from "./tree_versions.ts";
import { Mutex } from "../core/mutex.ts";
import type {
  Batch,
  BatchResult,
  ContentName,
  ContentNeed,
  ContentOffer,
  GroupedManifest,
  HistoryQuery,
  HistoryRecord,
  PieceRequest,
  Receiver,
  ReceiverInfo,
  RefreshedInfo,
  SignatureRequest,
} from "./receiver.ts";
import { checkPieceRequests, readPieces } from "./read_pieces.ts";
import { checkSignatureRequests, signContent } from "./sign_content.ts";

/** Most bytes of content in one call. */
export const MAX_BATCH_BYTES = 8 << 20;
/** Most actions, offers, chunks, ranges or groups in one call. */
export const MAX_BATCH_ITEMS = 2_000;

/** The directory of the state that holds what was replaced and removed. */
export const KEPT_DIRECTORY = "versions";

/** How long {@linkcode LocalReceiver.open} waits for the index, milliseconds. */
const READY_SOON_MS = 1_000;

/** Settings of {@linkcode LocalReceiver}. */
export interface LocalReceiverOptions {
  clock: Clock;
  /**
   * Whether answers wait until what they say is on the disk; if not, a power cut may take it away again.
   * @default {true}
   */
  fsync?: boolean;
  /**
   * Where index, lock and staged chunks are kept. Elsewhere than in the tree, nothing of ours stays in it:
   * only what is being written is in its `.filesync/tmp` meanwhile. @default `.filesync` in the tree.
   */
  state?: string;
  /** Keeps what is replaced and removed, beside the index. @default {nothing is kept} */
  keep?: KeepSettings;
  /** Told how far the index is with reading the tree at the start. */
  onProgress?: (progress: RefreshProgress) => void;
}

/** A directory of this machine that takes actions. See the module's comment. */
export class LocalReceiver implements Receiver, AsyncDisposable {
  readonly isNear = true;
  /** The directory. */
  readonly root: TreeRoot;
  /** Resolves when the index is up to date with the tree; everything but `close` is refused before. */
  readonly ready: Promise<RefreshResult>;
  readonly #clock: Clock;
  readonly #resources = new DisposableStack();
  readonly #index: TreeIndex;
  readonly #staging: Staging;
  readonly #growing: GrowingContents;
  readonly #leftovers: Leftovers;
  readonly #pool: DescribePool;
  readonly #durability: Durability;
  readonly #keeper: Keeper | undefined;
  readonly #versions: LocalVersions | undefined;
  readonly #writing = new Mutex();
  readonly #applying = new Set<Promise<BatchResult>>();
  readonly #closing = new AbortController();
  /** Whether anything of ours is to be gone from the tree in the end. */
  readonly #leavesNothing: boolean;
  /** Whether the tree was changed without a record: it is looked at before it is changed again. */
  #unrecorded = false;
  /** A look at the tree that has not begun yet: whoever asks now is in time for it. */
  #nextRefresh: Promise<RefreshResult> | undefined;
  #progress: RefreshProgress | undefined = { seen: 0, read: 0, readBytes: 0 };

  /**
   * Opens the directory, takes its lock and begins to bring its index up to date.
   *
   * @throws {FilesyncError} When the directory is missing or not one, cannot be written, or is
   * being served already.
   */
  constructor(
    directory: string,
    { clock, fsync = true, keep, onProgress, state: ownState }: LocalReceiverOptions,
  ) {
    this.#clock = clock;
    this.#leavesNothing = ownState !== undefined;
    let wasKilled: boolean;
    const resources = new DisposableStack();
    try {
      this.root = resources.use(TreeRoot.open(directory));
      const inTree = ownDirectory(this.root.path);
      const state = ownState ?? inTree;
      const what = `the directory "${this.root.path}"`;
      resources.use(lockState(state, what));
      // Whoever serves it has its state in the tree.
      if (state !== inTree && isFile(`${inTree}/${LOCK_FILE}`)) resources.use(lockState(inTree, what));
      this.#durability = new Durability(this.root, { fsync });
      // SQLite removes its log when it is closed.
      wasKilled = isFile(`${state}/index.db-wal`);
      const db = openDatabase(`${state}/index.db`, {
        name: "index",
        migrations: INDEX_MIGRATIONS,
        synchronous: fsync ? "FULL" : "NORMAL",
      });
      this.#index = resources.use(new TreeIndex(db));
      this.#staging = resources.use(new Staging(this.#index, `${state}/chunks.pack`, clock.now()));
      this.#growing = resources.use(
        new GrowingContents(this.root, this.#index, (content) => this.#staging.manifestOf(content)),
      );
      cleanTemp(this.root, this.#growing.names);
      const places = { index: this.#index, staging: this.#staging, growing: this.#growing };
      this.#leftovers = new Leftovers(places, clock.now());
      this.#pool = resources.use(new DescribePool(DEFAULT_CHUNKING));
      if (keep === undefined) Keeper.pause(this.#index);
      else {
        const { root } = this;
        const tree = { root, index: this.#index, durability: this.#durability, pool: this.#pool, clock };
        this.#keeper = new Keeper(join(state, KEPT_DIRECTORY), tree, keep);
        this.#versions = new LocalVersions({ root, index: this.#index, store: this.#keeper.store });
      }
    } catch (error) {
      resources.dispose();
      throw error;
    }
    this.#resources = resources;
    this.ready = this.#refresh((progress) => {
      this.#progress = { ...progress };
      onProgress?.(progress);
    }).then(async (found) => {
      // What it had done by then is taken for done from now on.
      if (wasKilled) await this.#durability.syncAll();
      return found;
    });
    this.ready.then(() => {
      this.#keeper?.begin();
      this.#progress = undefined;
    }, () => {});
  }

  /** What was replaced and removed, when it is kept. */
  get versions(): TreeVersions | undefined {
    return this.#versions;
  }

  /** What stands in a directory, or stood there: a page of it. */
  directory(query: DirectoryQuery): Promise<DirectoryPage> {
    return this.#whenReady(() => directoryPage(this.#shown, query));
  }

  /** What stands at a path, or stood there at `at`, milliseconds since the epoch. */
  entryAt(path: TreePath, at?: number): Promise<Entry | undefined> {
    return this.#whenReady(() => entryAt(this.#shown, path, at));
  }

  /** What was kept of a path itself, what went last first; nothing where nothing is kept. */
  versionsOf(path: TreePath, limit?: number): Promise<KeptFile[]> {
    return this.#whenReady(() => this.#keeper?.store.keptFiles.versionsOf(path, limit) ?? []);
  }

  /** All that happened at a path itself, newest first. */
  historyOf(path: TreePath, limit: number): Promise<HistoryRecord[]> {
    return this.#whenReady(() => historyOf(this.#index, path, limit) as HistoryRecord[]);
  }

  /** How many entries there are, and their bytes. */
  count(): Promise<{ entries: number; bytes: number }> {
    return this.#whenReady(() => this.#index.count());
  }

  /** The history, searched a page at a time. */
  search(search: HistorySearch): Promise<HistoryPage> {
    return this.#whenReady(() => searchHistory(this.#index, search));
  }

  /** The index, for those who show it. */
  get index(): TreeIndex {
    return this.#index;
  }

  async open(): Promise<ReceiverInfo> {
    // Most trees are read sooner than a client would come again.
    if (this.#progress !== undefined) await this.#readySoon();
    return await this.#whenReady(() => this.#info());
  }

  async refresh(): Promise<RefreshedInfo> {
    const { problems } = await (this.#progress === undefined ? this.#refreshAgain() : this.ready);
    return { ...this.#info(), problems };
  }

  async *tree(under?: TreePath): AsyncGenerator<Entry> {
    await this.#whenReady(() => {});
    for (const indexed of this.#index.entries(under)) yield bareEntry(indexed);
  }

  entry(path: TreePath): Promise<Entry | undefined> {
    return this.#whenReady(() => {
      const indexed = this.#index.get(path);
      return indexed && bareEntry(indexed);
    });
  }

  check(offers: ContentOffer[]): Promise<ContentNeed[]> {
    return this.#whenReady(() => {
      refuseTooMany(offers, "offers");
      return this.#index.transaction(() => offers.map((offer) => this.#need(offer)));
    });
  }

  stage(chunks: Chunk[]): Promise<void> {
    return this.#whenReady(() => {
      refuseTooMany(chunks, "chunks");
      this.#staging.keep(chunks, this.#clock.now());
    });
  }

  stageRuns(runs: ChunkRun[]): Promise<void> {
    return this.#whenReady(() => {
      refuseTooMany(runs, "runs");
      try {
        this.#growing.keep(runs, (temp) => this.#durability.writeOut(temp));
      } catch (error) {
        // One file that does not fit must not keep the room of all that do.
        if (error instanceof FilesyncError && error.code === "disk-full") this.#growing.clear();
        throw error;
      }
    });
  }

  async signatures(requests: SignatureRequest[]): Promise<(Uint8Array | undefined)[]> {
    await this.#whenReady(() => {
      refuseTooMany(requests, "contents");
      refuseTooMany(requests.flatMap(({ ranges }) => ranges), "ranges");
      checkSignatureRequests(requests);
    });
    using anchor = this.root.anchor();
    const signatures: (Uint8Array | undefined)[] = [];
    for (const request of requests) signatures.push(await signContent(request, anchor, this.#index));
    return signatures;
  }

  manifestGroups(name: ContentName): Promise<GroupedManifest | undefined> {
    return this.#whenReady(() => {
      const path = "path" in name ? name.path : this.#index.pathsWith(name.digest, 1)[0];
      const entry = path === undefined ? undefined : this.#index.get(path);
      if (entry?.kind !== "file") return undefined;
      const { digest, size } = entry;
      return { digest, size, groups: packGroups(groupsOf(this.#index.manifestOf(digest)!)) };
    });
  }

  groupChunks(content: Digest, groups: number[]): Promise<Uint8Array | undefined> {
    return this.#whenReady(() => {
      refuseTooMany(groups, "groups");
      const manifest = this.#index.manifestOf(content);
      return manifest && packGroupChunks(manifest, groups);
    });
  }

  manifest(content: Digest): Promise<Manifest | undefined> {
    return this.#whenReady(() => {
      const packed = this.#index.manifestOf(content);
      return packed && unpackManifest(packed);
    });
  }

  async pieces(requests: PieceRequest[]): Promise<(Uint8Array<ArrayBuffer> | undefined)[]> {
    await this.#whenReady(() => {
      refuseTooMany(requests, "contents");
      refuseTooMany(requests.flatMap(({ ranges }) => ranges), "ranges");
      checkPieceRequests(requests, MAX_BATCH_BYTES);
    });
    using anchor = this.root.anchor();
    const pieces: (Uint8Array<ArrayBuffer> | undefined)[] = [];
    for (const request of requests) {
      pieces.push(readPieces(request, anchor, this.#index) ?? await this.#keeper?.pieces(request));
    }
    return pieces;
  }

  async apply(batch: Batch): Promise<BatchResult> {
    await this.#whenReady(() => refuseTooMany(batch.actions, "actions"));
    if (this.#unrecorded) await this.#catchUp();
    this.#leftovers.drop(this.#clock.now());
    const stale = new Set<TreePath>();
    const work = applyBatch(batch, {
      root: this.root,
      index: this.#index,
      staging: this.#staging,
      growing: this.#growing,
      durability: this.#durability,
      pool: this.#pool,
      writing: this.#writing,
      clock: this.#clock,
      keeper: this.#keeper,
      onUnrecorded: () => this.#unrecorded = true,
      onStale: (path, content) => {
        const entry = this.#index.get(path);
        if (content === undefined || (entry?.kind === "file" && entry.digest === content)) stale.add(path);
      },
    });
    this.#applying.add(work);
    try {
      return await work;
    } finally {
      this.#applying.delete(work);
      this.#forget(stale);
    }
  }

  read(
    path: TreePath,
    range?: { start: number; end: number },
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    return this.#whenReady(() => {
      using anchor = this.root.anchor();
      const file = anchor.openRead(path);
      if (range !== undefined && range.start >= Math.min(range.end, file.stat.size)) {
        file[Symbol.dispose]();
        throw new FilesyncError({
          code: "bad-range",
          operation: `read a part of "${path}"`,
          reason: `there is nothing of it from byte ${range.start} to ${range.end}`,
          permanent: true,
        });
      }
      return fileStream(file, range);
    });
  }

  history(query: HistoryQuery): Promise<HistoryRecord[]> {
    return this.#whenReady(() => this.#index.history(query) as HistoryRecord[]);
  }

  /** Runs `work` while nothing changes the tree through here. */
  atRest<T>(work: () => Promise<T>): Promise<T> {
    return this.#writing.run(work);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#applying);
    await this.#writing.run(() => Promise.resolve());
    await this.#keeper?.[Symbol.asyncDispose]();
    if (this.#leavesNothing) {
      // What has arrived lies in the tree.
      this.#growing.clear();
      removeEmptyTemp(this.root);
    }
    this.#resources.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #shown() {
    return { index: this.#index, kept: this.#keeper?.store.keptFiles };
  }

  /** Resolves when the index is ready, or a little later all the same. */
  async #readySoon(): Promise<void> {
    using late = new DisposableStack();
    const timer = late.adopt(new AbortController(), (controller) => controller.abort());
    await Promise.race([
      this.ready.catch(() => {}),
      this.#clock.sleep(READY_SOON_MS, timer.signal).catch(() => {}),
    ]);
  }

  #need({ digest, manifest }: ContentOffer): ContentNeed {
    if (this.#index.hasContent(digest) || this.#keeper?.has(digest)) return "nothing";
    if (manifest === undefined) return "whole";
    const packed = packManifest(manifest);
    this.#growing.meet(digest, packed);
    this.#staging.offer(digest, packed, this.#clock.now());
    const arrived = this.#growing.arrived(digest);
    const asked = new Set<Digest>();
    manifest.forEach((chunk, at) => arrived?.[at] === 1 && asked.add(chunk.digest));
    return manifest.flatMap((chunk, at) => {
      if (asked.has(chunk.digest) || this.#isHere(chunk.digest)) return [];
      asked.add(chunk.digest);
      return [at];
    });
  }

  #isHere(chunk: Digest): boolean {
    return this.#staging.placeOf(chunk) !== undefined || this.#index.placeOf(chunk) !== undefined;
  }

  /** Takes into the index what was done and could not be recorded, as after a crash. */
  async #catchUp(): Promise<void> {
    await this.#writing.run(async () => {
      if (this.#unrecorded) await this.#look();
      this.#unrecorded = false;
    });
  }

  /** Drops paths where something else was found than the index says; a refresh will look at them again. */
  #forget(paths: ReadonlySet<TreePath>): void {
    if (paths.size === 0) return;
    this.#index.transaction(() => {
      for (const path of paths) {
        if (this.#index.get(path) === undefined) continue;
        this.#index.remove(path);
        this.#index.record({ time: this.#clock.now(), what: "found-gone", path });
      }
    });
    // One look does for all that come before it has begun.
    this.#refreshAgain().catch(() => {});
  }

  #info(): ReceiverInfo {
    return {
      indexId: this.#index.id,
      sequence: this.#index.sequence,
      hasContents: this.#index.hasContents,
      chunking: DEFAULT_CHUNKING.name,
      maxBatchBytes: MAX_BATCH_BYTES,
      maxBatchItems: MAX_BATCH_ITEMS,
      rootId: `${this.root.dev}:${this.root.ino}`,
      foldsNames: foldsNames(this.root),
    };
  }

  /** Brings the index up to date, when nobody else changes the tree. */
  #refresh(onProgress?: (progress: RefreshProgress) => void): Promise<RefreshResult> {
    return this.#writing.run(() => this.#look(onProgress));
  }

  #refreshAgain(): Promise<RefreshResult> {
    return this.#nextRefresh ??= this.#writing.run(async () => {
      this.#nextRefresh = undefined;
      if (!this.root.isInPlace()) throw notInPlace(this.root.path);
      return await this.#look();
    });
  }

  #look(onProgress?: (progress: RefreshProgress) => void): Promise<RefreshResult> {
    const { signal } = this.#closing;
    return refresh(this.root, this.#index, { clock: this.#clock, pool: this.#pool, signal, onProgress });
  }

  // deno-lint-ignore require-await
  async #whenReady<T>(answer: () => T): Promise<T> {
    if (this.#progress === undefined) return answer();
    throw new FilesyncError({
      code: "indexing",
      operation: `use "${this.root.path}"`,
      reason: `its files are being read, ${this.#progress.seen} entries so far`,
      hint: "It will be ready by itself",
      retryAfter: 1_000,
    });
  }
}

function notInPlace(path: string): FilesyncError {
  return new FilesyncError({
    code: "brake",
    operation: `look at "${path}"`,
    reason: "it was removed, unmounted or replaced since it was opened",
    hint: "Put it back, or mount it; nothing is removed anywhere because of it",
  });
}

function isFile(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch {
    return false;
  }
}

/**
 * The directory of our state. One that is there by now must be a directory: a link, planted in the tree,
 * would have us write wherever it leads.
 */
function ownDirectory(root: string): string {
  const path = `${root}/${STATE_DIRECTORY}`;
  const operation = `use "${path}"`;
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (osCode(error) === "ENOENT") return path;
    throw toFilesyncError(operation, error);
  }
  if (!info.isDirectory) {
    throw new FilesyncError({
      code: "conflict",
      operation,
      reason: `it is ${info.isSymlink ? "a link" : "no directory"}`,
      hint: "Find out who made it, and remove it; filesync makes a directory of that name",
      permanent: true,
    });
  }
  // Who copied it may have opened it to others; the token and the names of all files are in it.
  if (Deno.build.os !== "windows" && (info.mode! & 0o077) !== 0) Deno.chmodSync(path, 0o700);
  return path;
}

function refuseTooMany(items: readonly unknown[], what: string): void {
  if (items.length <= MAX_BATCH_ITEMS) return;
  throw new FilesyncError({
    code: "too-large",
    operation: `take ${items.length} ${what}`,
    reason: `${MAX_BATCH_ITEMS} are the most in one request`,
    hint: "Send them in several requests",
    permanent: true,
  });
}
