/**
 * The receiver that is a directory on an SFTP server. Such a server stores and renames, and computes nothing, so that
 * what a receiver has to know is kept at this end: the index of the tree, and chunks on their way.
 *
 * What it cannot do: find parts of a content in other files, sign blocks for deltas, keep milliseconds of times, keep
 * versions, keep others from the same directory while it is used.
 *
 * @module
 */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { groupsOf, packGroupChunks, packGroups } from "../chunking/manifest_groups.ts";
import { type Chunk, type ChunkRun, type Manifest, packManifest, unpackManifest } from "../core/chunk.ts";
import type { Clock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { Mutex } from "../core/mutex.ts";
import { parentOf, ROOT, type TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import { lockState } from "../database/lock.ts";
import { openDatabase } from "../database/open.ts";
import { INDEX_MIGRATIONS } from "../index/schema.ts";
import { Staging } from "../index/staging.ts";
import { bareEntry, TreeIndex } from "../index/tree_index.ts";
import { answerTo, rememberAnswer } from "../transport/batch_answers.ts";
import { Leftovers } from "../transport/leftovers.ts";
import { checkPieceRequests, requireWithin } from "../transport/read_pieces.ts";
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
} from "../transport/receiver.ts";
import { RemoteWork, syncNames } from "./apply_remote.ts";
import { GrowingUploads } from "./growing_uploads.ts";
import { lookAtRemote, Unread, UNREAD_MIGRATION } from "./look_at_remote.ts";
import { discardUploads, prepareUploads, type RemoteTarget } from "./prepare_uploads.ts";
import { beginState, hasState } from "./remote_state.ts";
import { looksAsRecorded, RemoteAnchor, type RemoteTree, tempDirectory } from "./remote_tree.ts";
import { mapSeveral } from "./several.ts";
import { SftpClient } from "./sftp_client.ts";
import type { SshTarget } from "./ssh_connection.ts";

/** Settings of {@linkcode SftpReceiver}. */
export interface SftpReceiverOptions {
  clock: Clock;
  /** How to connect, and as whom. */
  target: SshTarget;
  /** The directory there; one that begins with `~/` lies in the home directory. */
  path: string;
  /** A directory of this machine, for the index and chunks on their way. */
  state: string;
  /** Whether answers wait for the server's disk. @default {true} */
  fsync?: boolean;
}

/** Most bytes of content in one call. */
const MAX_BATCH_BYTES = 8 << 20;
/** Most actions, offers, chunks, ranges or groups in one call. */
const MAX_BATCH_ITEMS = 2_000;
/** How long the work in hand is waited for at the end, milliseconds: as long as a server of ours does. */
const DRAIN_MS = 10_000;
/** How long {@linkcode SftpReceiver.open} waits for the first look, milliseconds. */
const READY_SOON_MS = 1_000;

const MIGRATIONS = [...INDEX_MIGRATIONS, UNREAD_MIGRATION];

/** A connection that is ready to be used. */
interface Session {
  tree: RemoteTree;
  growing: GrowingUploads;
  /** Resolves when there is a directory for files in the making: it is made when the first is. */
  begun?: Promise<void>;
}

/** See the module's comment. */
export class SftpReceiver implements Receiver, AsyncDisposable {
  /** Content is handed over within this process: only where it goes from here is far. */
  readonly isNear = true;
  readonly #options: SftpReceiverOptions;
  readonly #resources = new DisposableStack();
  readonly #index: TreeIndex;
  readonly #staging: Staging;
  readonly #leftovers: Leftovers;
  readonly #unread: Unread;
  readonly #writing = new Mutex();
  readonly #closing = new AbortController();
  readonly #working = new Set<Promise<unknown>>();
  #session: Promise<Session> | undefined;
  #growing: GrowingUploads | undefined;
  /** The look that is under way. */
  #looking: Promise<Problem[]> | undefined;
  /** A look that has not begun yet: whoever asks now is in time for it. */
  #nextLook: Promise<Problem[]> | undefined;
  /** Whether the index is of what stands there: not before the first look, nor after a batch that was cut. */
  #isCurrent = false;
  #seen = 0;
  #temps = 0;

  /**
   * Opens the state; connects when it is first used.
   *
   * @throws {FilesyncError} When the state is in use, or cannot be opened.
   */
  constructor(options: SftpReceiverOptions) {
    this.#options = options;
    const { state, clock, target } = options;
    using resources = new DisposableStack();
    resources.use(lockState(state, `the push to ${target.host} kept in "${state}"`));
    const db = openDatabase(`${state}/index.db`, {
      name: "index",
      migrations: MIGRATIONS,
      // What a power cut takes away is found by the next look.
      synchronous: "NORMAL",
    });
    this.#index = resources.use(new TreeIndex(db));
    this.#staging = resources.use(new Staging(this.#index, `${state}/chunks.pack`, clock.now()));
    this.#leftovers = new Leftovers({ index: this.#index, staging: this.#staging }, clock.now());
    this.#unread = new Unread(this.#index);
    this.#resources = resources.move();
  }

  async open(): Promise<ReceiverInfo> {
    const session = await this.#connected();
    if (!this.#isCurrent) {
      const looking = this.#looking ?? this.#look();
      await this.#readySoon(looking);
      // A failure is told by whoever asks next.
      if (!this.#isCurrent) throw indexing(this.#options, this.#seen);
    }
    return this.#info(session);
  }

  async refresh(): Promise<RefreshedInfo> {
    const session = await this.#connected();
    const problems = await (this.#nextLook ??= this.#lookAgain());
    return { ...this.#info(session), problems };
  }

  async *tree(): AsyncGenerator<Entry> {
    await Promise.resolve();
    for (const indexed of this.#index.entries()) yield bareEntry(indexed);
  }

  entry(path: TreePath): Promise<Entry | undefined> {
    const indexed = this.#index.get(path);
    return Promise.resolve(indexed && bareEntry(indexed));
  }

  async check(offers: ContentOffer[]): Promise<ContentNeed[]> {
    refuseTooMany(offers, "offers");
    const { tree, growing } = await this.#connected();
    const needs: ContentNeed[] = [];
    for (const { digest, size, manifest } of offers) {
      const packed = manifest && packManifest(manifest);
      if (!this.#index.hasContent(digest)) {
        await this.#unread.read({ digest, size, packedManifest: packed }, tree);
      }
      if (this.#index.hasContent(digest)) needs.push("nothing");
      else if (manifest === undefined) needs.push("whole");
      else {
        await growing.meet(digest, packed!);
        this.#staging.offer(digest, packed!, this.#options.clock.now());
        needs.push(this.#missing(manifest, growing.arrived(digest)));
      }
    }
    return needs;
  }

  // deno-lint-ignore require-await
  async stage(chunks: Chunk[]): Promise<void> {
    refuseTooMany(chunks, "chunks");
    this.#staging.keep(chunks, this.#options.clock.now());
  }

  async stageRuns(runs: ChunkRun[]): Promise<void> {
    refuseTooMany(runs, "runs");
    const session = await this.#connected();
    await this.#begun(session);
    await session.growing.keep(runs);
  }

  /** Blocks would have to be read over the line: sooner is the content itself sent. */
  signatures(requests: SignatureRequest[]): Promise<undefined[]> {
    return Promise.resolve(requests.map(() => undefined));
  }

  // deno-lint-ignore require-await
  async manifestGroups(name: ContentName): Promise<GroupedManifest | undefined> {
    const path = "path" in name ? name.path : this.#index.pathsWith(name.digest, 1)[0];
    const entry = path === undefined ? undefined : this.#index.get(path);
    if (entry?.kind !== "file" || this.#unread.has(entry.digest)) return undefined;
    const { digest, size } = entry;
    return { digest, size, groups: packGroups(groupsOf(this.#index.manifestOf(digest)!)) };
  }

  // deno-lint-ignore require-await
  async groupChunks(content: Digest, groups: number[]): Promise<Uint8Array | undefined> {
    refuseTooMany(groups, "groups");
    const manifest = this.#index.manifestOf(content);
    return manifest && packGroupChunks(manifest, groups);
  }

  manifest(content: Digest): Promise<Manifest | undefined> {
    const packed = this.#index.manifestOf(content);
    return Promise.resolve(packed && unpackManifest(packed));
  }

  async pieces(requests: PieceRequest[]): Promise<(Uint8Array<ArrayBuffer> | undefined)[]> {
    refuseTooMany(requests, "contents");
    refuseTooMany(requests.flatMap(({ ranges }) => ranges), "ranges");
    checkPieceRequests(requests, MAX_BATCH_BYTES);
    const { tree } = await this.#connected();
    const anchor = new RemoteAnchor(tree);
    return await mapSeveral(requests, (request) => this.#pieces(request, tree, anchor));
  }

  async apply(batch: Batch): Promise<BatchResult> {
    refuseTooMany(batch.actions, "actions");
    this.#leftovers.drop(this.#options.clock.now());
    const known = answerTo(this.#index, batch);
    if (known !== undefined) return known;
    const session = await this.#connected();
    await this.#begun(session);
    const { tree, growing } = session;
    const stale = new Set<TreePath>();
    const target: RemoteTarget = {
      ...{ tree, growing, index: this.#index, staging: this.#staging },
      tempPath: () => this.#tempPath(tree.root, `${this.#temps++}`),
      fsync: this.#options.fsync ?? true,
      clock: this.#options.clock,
      onStale: (path) => void stale.add(path),
    };
    const work = this.#apply(batch, target);
    this.#working.add(work);
    try {
      return await work;
    } catch (error) {
      // What became of it is not known: the next open looks.
      this.#isCurrent = false;
      throw error;
    } finally {
      this.#working.delete(work);
      this.#forget(stale, tree);
    }
  }

  async read(
    path: TreePath,
    range?: { start: number; end: number },
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const { tree } = await this.#connected();
    const there = await new RemoteAnchor(tree).fileAt(path);
    if (there === undefined) {
      const reason = "there is no file";
      throw new FilesyncError({ code: "not-found", operation: `read "${path}"`, reason, permanent: true });
    }
    if (range !== undefined && range.start >= Math.min(range.end, there.stat.size)) {
      throw new FilesyncError({
        code: "bad-range",
        operation: `read a part of "${path}"`,
        reason: `there is nothing of it from byte ${range.start} to ${range.end}`,
        permanent: true,
      });
    }
    const file = await tree.client.open(there.at, "r");
    const pieces = file.pieces(range?.start, range?.end);
    return new ReadableStream({
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (!done) return controller.enqueue(value);
        controller.close();
        await file.close();
      },
      async cancel() {
        await file.close();
      },
    });
  }

  history(query: HistoryQuery): Promise<HistoryRecord[]> {
    return Promise.resolve(this.#index.history(query) as HistoryRecord[]);
  }

  /** The connected tree, for those who look after it. */
  async connect(): Promise<RemoteTree> {
    return (await this.#connected()).tree;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const ended = new AbortController();
    const session = this.#session?.catch(() => undefined);
    // What became of the work in hand is found by the next look.
    this.#options.clock.sleep(DRAIN_MS, ended.signal).then(
      async () => (await session)?.tree.client.break(),
      () => {/* It was done before. */},
    );
    await Promise.allSettled([...this.#working, this.#looking]);
    await this.#writing.run(() => Promise.resolve());
    ended.abort();
    (await session)?.tree.client.close();
    this.#resources.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #missing(manifest: Manifest, arrived: Uint8Array | undefined): number[] {
    const asked = new Set<Digest>();
    manifest.forEach((chunk, at) => arrived?.[at] === 1 && asked.add(chunk.digest));
    return manifest.flatMap((chunk, at) => {
      if (asked.has(chunk.digest) || this.#staging.placeOf(chunk.digest) !== undefined) return [];
      asked.add(chunk.digest);
      return [at];
    });
  }

  async #apply(batch: Batch, target: RemoteTarget): Promise<BatchResult> {
    const prepared = await prepareUploads(batch, target);
    try {
      return await this.#writing.run(async () => {
        // The same batch may have been sent twice, and the other one have been faster.
        const known = answerTo(this.#index, batch);
        if (known !== undefined) return known;
        const index = this.#index;
        const before = index.sequence;
        const results = await new RemoteWork(target).doAll(batch.actions, prepared);
        if (index.sequence > before) await syncNames(target);
        const answer: BatchResult = { before, after: index.sequence, results };
        const placed = batch.actions.flatMap((action, at) =>
          action.type === "put" && results[at].done ? [action.digest] : []
        );
        for (const digest of placed) await target.growing.drop(digest);
        this.#staging.release(placed);
        // What failed for now shall be tried again, not answered from memory.
        if (results.every((result) => result.done)) {
          rememberAnswer(index, batch, answer, target.clock.now());
        }
        return answer;
      });
    } finally {
      await discardUploads(prepared, target);
    }
  }

  async #pieces(
    { content, ranges }: PieceRequest,
    tree: RemoteTree,
    anchor: RemoteAnchor,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    for (const path of this.#index.pathsWith(content)) {
      const entry = this.#index.get(path);
      const there = await anchor.fileAt(path);
      if (entry?.kind !== "file" || there === undefined || !looksAsRecorded(entry, there.stat)) continue;
      requireWithin(ranges, entry.size);
      const file = await tree.client.open(there.at, "r");
      try {
        const parts = await Promise.all(ranges.map(({ start, end }) => file.read(start, end - start)));
        // It shrank while it was read.
        if (parts.some(({ length }, i) => length < ranges[i].end - ranges[i].start)) return undefined;
        return new Uint8Array(await new Blob(parts).arrayBuffer());
      } finally {
        await file.close();
      }
    }
  }

  /** Drops paths where something else was found than the index says, and looks there again. */
  #forget(paths: ReadonlySet<TreePath>, tree: RemoteTree): void {
    if (paths.size === 0) return;
    this.#index.transaction(() => {
      for (const path of paths) {
        if (this.#index.get(path) === undefined) continue;
        this.#index.remove(path);
        this.#index.record({ time: this.#options.clock.now(), what: "found-gone", path });
      }
    });
    const directories = [...new Set([...paths].map(parentOf))];
    const looking = this.#writing.run(() => lookAtRemote(tree, directories, this.#lookOptions(), false));
    this.#working.add(looking);
    looking.catch(() => void (this.#isCurrent = false)).finally(() => this.#working.delete(looking));
  }

  #info({ tree }: Session): ReceiverInfo {
    const { host, port } = this.#options.target;
    return {
      indexId: this.#index.id,
      sequence: this.#index.sequence,
      hasContents: this.#index.hasContents,
      chunking: DEFAULT_CHUNKING.name,
      maxBatchBytes: MAX_BATCH_BYTES,
      maxBatchItems: MAX_BATCH_ITEMS,
      rootId: `${host}:${port}:${tree.root}`,
      foldsNames: tree.foldsNames,
    };
  }

  #look(): Promise<Problem[]> {
    const looking = this.#writing.run(async () => {
      const { tree } = await this.#connected();
      const problems = await lookAtRemote(tree, [ROOT], this.#lookOptions());
      this.#isCurrent = true;
      return problems;
    });
    this.#looking = looking;
    // Those who wait hear of it.
    looking.catch(() => {}).finally(() => this.#looking = undefined);
    return looking;
  }

  #lookAgain(): Promise<Problem[]> {
    return this.#writing.run(async () => {
      this.#nextLook = undefined;
      const { tree } = await this.#connected();
      return await lookAtRemote(tree, [ROOT], this.#lookOptions());
    });
  }

  #lookOptions() {
    return {
      index: this.#index,
      unread: this.#unread,
      clock: this.#options.clock,
      signal: this.#closing.signal,
      onProgress: (seen: number) => void (this.#seen = seen),
    };
  }

  /** Waits until a look has ended, or a little while; fails when it failed. */
  async #readySoon(looking: Promise<unknown>): Promise<void> {
    const late = new AbortController();
    try {
      await Promise.race([
        looking,
        this.#options.clock.sleep(READY_SOON_MS, late.signal).catch(() => {}),
      ]);
    } finally {
      late.abort();
    }
  }

  async #connected(): Promise<Session> {
    for (;;) {
      this.#closing.signal.throwIfAborted();
      const current = this.#session ??= this.#connect();
      try {
        const session = await current;
        if (session.tree.client.isOpen) return session;
      } catch (error) {
        if (this.#session === current) this.#session = undefined;
        throw error;
      }
      if (this.#session === current) this.#session = undefined;
    }
  }

  async #connect(): Promise<Session> {
    const { target, path } = this.#options;
    const client = await SftpClient.connect(target);
    try {
      const home = /^~(\/|$)/.test(path) ? await client.realpath(".") : undefined;
      const root = await client.realpath(home === undefined ? path : home + path.slice(1));
      const operation = `use "${root}" on ${target.host}`;
      const stat = await client.lstat(root);
      if (stat?.kind !== "directory") {
        throw new FilesyncError({
          code: "not-found",
          operation,
          reason: stat === undefined ? "it does not exist" : "it is no directory",
          hint: "Create it there, or correct the path",
          permanent: true,
        });
      }
      const tree = { client, root, foldsNames: false };
      if (this.#growing === undefined) {
        this.#growing = new GrowingUploads(client, {
          index: this.#index,
          tempPath: (content) => this.#tempPath(root, content),
          manifestOf: (content) => this.#staging.manifestOf(content),
        });
      } else this.#growing.reconnect(client);
      const session: Session = { tree, growing: this.#growing };
      if (await hasState(client, root, operation)) await this.#begun(session);
      return session;
    } catch (error) {
      client.close();
      throw toFilesyncError(`use "${path}" on ${target.host}`, error);
    }
  }

  #begun(session: Session): Promise<void> {
    return session.begun ??= this.#begin(session.tree);
  }

  async #begin(tree: RemoteTree): Promise<void> {
    const names = this.#growing!.contents.map((content) => this.#tempName(content));
    await beginState(tree, {
      isOurs: (name) => name.startsWith(this.#tempName("")),
      keeps: new Set(names),
      // What is under way belongs to somebody.
      clean: this.#working.size === 0,
      now: this.#options.clock.now(),
    });
  }

  #tempName(name: string): string {
    return `${this.#index.id}-${name}`;
  }

  #tempPath(root: string, name: string): string {
    return `${tempDirectory({ root })}/${this.#tempName(name)}`;
  }
}

function indexing({ target }: SftpReceiverOptions, seen: number): FilesyncError {
  return new FilesyncError({
    code: "indexing",
    operation: `use ${target.host}`,
    reason: `its directories are being listed, ${seen} entries so far`,
    hint: "It will be ready by itself",
    retryAfter: 1_000,
  });
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
