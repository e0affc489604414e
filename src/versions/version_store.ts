/**
 * The store of versions: contents that were replaced or removed and can come back, snapshots of whole trees,
 * and single kept files. It is a directory outside of all trees:
 *
 * - `store.db`: which chunks are where, which contents are made of them, and what names those;
 * - `packs/`: the chunks, compressed in blocks, each chunk once;
 * - `lock`: the process that writes.
 *
 * {@linkcode VersionStore} is the door. Contents come in by a {@linkcode ContentWriter} and out by a
 * {@linkcode ContentReader}; `snapshots` and `keptFiles` are read directly.
 *
 * ```ts
 * import { sha256 } from "../hashing/sha256.ts";
 * import { parsePath } from "../core/path.ts";
 * import { VersionStore } from "./version_store.ts";
 *
 * async function keepOne(store: VersionStore, data: Uint8Array, keptAt: number) {
 *   using writer = store.writer();
 *   const digest = sha256(data);
 *   await writer.add({ digest, size: data.length }, data);
 *   await writer.commit();
 *   const path = parsePath("a.txt");
 *   const entry = { kind: "file", path, size: data.length, mtime: 0, mode: 0o644, digest } as const;
 *   store.recordKept([{ entry, keptAt, cause: "removed" }]);
 * }
 * ```
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { existsSync } from "@std/fs";
import { join } from "@std/path";
import { type Digest, digestToBytes } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { Mutex } from "../core/mutex.ts";
import { turn } from "../core/turn.ts";
import { lockState } from "../database/lock.ts";
import { openDatabase, openToRead, transaction } from "../database/open.ts";
import { namesChunk } from "../hashing/chunk_digest.ts";
import { ChunkLog, type ChunkLogOptions } from "./chunk_log.ts";
import { ContentReader } from "./content_reader.ts";
import { ContentWriter } from "./content_writer.ts";
import { KeptFiles, type NewKeptFile, type UnsureRows } from "./kept_files.ts";
import { PackFiles } from "./pack_files.ts";
import { expired, type Retention } from "./retention.ts";
import { VERSIONS_MIGRATIONS } from "./schema.ts";
import { scrub, type ScrubEvent } from "./scrub.ts";
import {
  PARTIAL,
  type RecordOptions,
  type Snapshot,
  type SnapshotDetails,
  Snapshots,
  type TreeChange,
  type TreeIdentity,
} from "./snapshots.ts";
import { sweep, type SweepResult } from "./sweep.ts";

/** The database in a store's directory. */
export const STORE_FILE = "store.db";

/** The directory of packs in a store's directory. */
export const PACKS_DIRECTORY = "packs";

/** Memory for pages of the database: digests come in no order, so each goes into another page. */
const CACHE_KIB = 64 << 10;

/** Settings of {@linkcode VersionStore}. */
export interface VersionStoreOptions extends ChunkLogOptions {
  /** Whether it is only looked at, perhaps while another process writes. @default {false} */
  readOnly?: boolean;
}

/** What a pruning removed. */
export interface PruneResult extends SweepResult {
  /** Numbers of the snapshots. */
  snapshots: number[];
  keptFiles: number;
}

/** See the module's comment. */
export class VersionStore implements Disposable {
  /** The directory it is in. */
  readonly directory: string;
  /** Snapshots, to be looked at. */
  readonly snapshots: Snapshots;
  /** Kept files, to be looked at. */
  readonly keptFiles: KeptFiles;
  /** Gives contents. */
  readonly contents: ContentReader;
  readonly #resources: DisposableStack;
  readonly #db: DatabaseSync;
  readonly #packs: PackFiles;
  /** Absent when it is only looked at. */
  readonly #log: ChunkLog | undefined;
  readonly #writers = new Set<ContentWriter>();
  /** Pruning and repairing move the same chunks. */
  readonly #maintenance = new Mutex();

  /**
   * Opens the store in `directory`, which is made when it is missing, and cuts off what a crash left behind.
   *
   * @throws {FilesyncError} `locked` when another process writes; `not-found` when it is only to be looked at and
   * there is none; `io` when the database is damaged or missing.
   */
  constructor(directory: string, { readOnly = false, ...options }: VersionStoreOptions = {}) {
    this.directory = directory;
    using resources = new DisposableStack();
    if (!readOnly) resources.use(lockState(directory, `the versions in ${JSON.stringify(directory)}`));
    this.#packs = resources.use(new PackFiles(join(directory, PACKS_DIRECTORY), { readOnly }));
    this.#db = openStore(directory, this.#packs, readOnly);
    resources.defer(() => this.#db.close());
    this.#db.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
    this.snapshots = new Snapshots(this.#db);
    this.keptFiles = new KeptFiles(this.#db);
    this.contents = new ContentReader(this.#db, this.#packs);
    if (!readOnly) {
      const continued = cleanPacks(this.#db, this.#packs);
      this.#log = new ChunkLog(this.#db, this.#packs, continued, options);
      this.snapshots.discardUnfinished();
    }
    this.#resources = resources.move();
  }

  /** Begins to add contents. Dispose of it when what names them has been recorded. */
  writer(): ContentWriter {
    return new ContentWriter(this.#writable("add content"), this.#writers);
  }

  /** Finds the number of a tree by role, location and host, or gives it one. */
  tree(identity: TreeIdentity): number {
    this.#writable("record a tree");
    return this.snapshots.tree(identity);
  }

  /** Makes a snapshot from changes, see {@linkcode Snapshots.record}. */
  recordSnapshot(
    tree: number,
    changes: Iterable<TreeChange> | AsyncIterable<TreeChange>,
    details: SnapshotDetails,
    options?: RecordOptions,
  ): Promise<Snapshot> {
    return this.snapshots.record(tree, changes, details, this.#writable("make a snapshot"), options);
  }

  /** Makes a snapshot from all entries of a tree, which rise by path, see {@linkcode Snapshots.record}. */
  recordTree(
    tree: number,
    entries: Iterable<Entry> | AsyncIterable<Entry>,
    details: SnapshotDetails,
    options?: RecordOptions,
  ): Promise<Snapshot> {
    return this.snapshots.recordAll(tree, entries, details, this.#writable("make a snapshot"), options);
  }

  /** Records entries that were replaced or removed, see {@linkcode KeptFiles.record}. */
  recordKept(files: readonly NewKeptFile[]): void {
    this.keptFiles.record(files, this.#writable("keep files"));
  }

  /**
   * Removes snapshots and kept files that `retention` does not keep, then what nobody names any more. The last
   * snapshot of each tree always stays. Contents may be added meanwhile.
   *
   * @param now Milliseconds since the epoch.
   * @param signal Ends it early; the rest is left for the next time.
   */
  prune(retention: Retention, now: number, signal?: AbortSignal): Promise<PruneResult> {
    const log = this.#writable("prune");
    return this.#maintenance.run(async () => {
      const snapshots: number[] = [];
      for (const { id } of this.snapshots.trees()) {
        const all = this.snapshots.list(id);
        const aging = all.map((snapshot, i) => ({
          ...snapshot,
          until: all[i + 1]?.time,
          partial: snapshot.reason === PARTIAL,
        }));
        for (const { number } of expired(aging, retention, now)) {
          this.snapshots.drop(number);
          snapshots.push(number);
          log.onStep("dropped");
          await turn(signal);
        }
      }
      let keptFiles = 0;
      for (const dropped of this.keptFiles.dropExpired(retention, now)) {
        keptFiles += dropped;
        log.onStep("dropped");
        await turn(signal);
      }
      const isClaimed = (content: number) =>
        this.#writers.values().some(({ contents }) => contents.has(content));
      const store = { db: this.#db, packs: this.#packs, log, reader: this.contents, isClaimed };
      return { snapshots, keptFiles, ...await sweep(store, signal) };
    });
  }

  /** Recomputes the digest of every chunk; tells how far it is, and at its end what is damaged. */
  scrub(signal?: AbortSignal): AsyncGenerator<ScrubEvent> {
    return scrub(this.#db, this.contents, signal);
  }

  /**
   * Takes good bytes in place of a damaged chunk.
   *
   * @throws {FilesyncError} `digest-mismatch` when they are not those of the chunk; `not-found` when there is no such
   * chunk (any more).
   */
  repair(chunk: Digest, data: Uint8Array): Promise<void> {
    const operation = `repair the chunk ${chunk}`;
    const log = this.#writable("repair a chunk");
    return this.#maintenance.run(async () => {
      const row = this.#db.prepare("SELECT id, block, length FROM chunks WHERE digest = ?")
        .get(digestToBytes(chunk)) as { id: number; block: number; length: number } | undefined;
      if (row === undefined) {
        throw new FilesyncError({
          code: "not-found",
          operation,
          reason: "no content needs it",
          permanent: true,
        });
      }
      if (!namesChunk(chunk, data)) {
        const reason = "the bytes have another digest";
        throw new FilesyncError({ code: "digest-mismatch", operation, reason, permanent: true });
      }
      log.moveChunk(row.id, data);
      await log.commit();
      this.#db.prepare("UPDATE blocks SET live = live - ? WHERE id = ?").run(row.length, row.block);
      this.contents.forget();
    });
  }

  /** Settles what was recorded as unsure, see {@linkcode KeptFiles.settle}. */
  settleKept(unsure: UnsureRows, gone: readonly NewKeptFile[]): void {
    this.keptFiles.settle(unsure, gone, this.#writable("keep files"));
  }

  /** Closes it; what was not committed is given up. */
  [Symbol.dispose](): void {
    this.#resources.dispose();
  }

  #writable(verb: string): ChunkLog {
    if (this.#log !== undefined) return this.#log;
    const operation = `${verb} in the versions in ${JSON.stringify(this.directory)}`;
    throw new FilesyncError({
      code: "read-only",
      operation,
      reason: "it was opened to be read",
      permanent: true,
    });
  }
}

function openStore(directory: string, packs: PackFiles, readOnly: boolean): DatabaseSync {
  const path = join(directory, STORE_FILE);
  const options = { name: "versions", migrations: VERSIONS_MIGRATIONS, readOnly };
  // One without tables is as good as none: with a new one in its place all packs would be unknown, and removed.
  if (!readOnly && packs.list().length > 0 && !hasTables(path)) {
    throw new FilesyncError({
      code: "io",
      operation: `open the versions in ${JSON.stringify(directory)}`,
      reason: `${STORE_FILE} is gone or empty, and the packs say nothing without it`,
      hint: `Bring ${STORE_FILE} back from a copy, or move the whole directory away to begin anew`,
      permanent: true,
    });
  }
  try {
    return openDatabase(path, options);
  } catch (error) {
    if (!(error instanceof FilesyncError) || error.code !== "io") throw error;
    const { code, operation, reason, permanent } = error;
    const hint = `Bring ${STORE_FILE} back from a copy, or move the whole directory away to begin anew`;
    throw new FilesyncError({ code, operation, reason, permanent, hint, cause: error });
  }
}

/** Whether there is a database at `path` that anything was ever written to. What is damaged is for others to tell. */
function hasTables(path: string): boolean {
  if (!existsSync(path)) return false;
  try {
    using db = openToRead(path);
    return db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() !== undefined;
  } catch {
    return true;
  }
}

/**
 * Removes packs and ends of packs that were never recorded, or whose removal a crash cut short.
 *
 * @returns The last pack, when it can be continued.
 */
function cleanPacks(db: DatabaseSync, packs: PackFiles): { number: number; size: number } | undefined {
  return transaction(db, () => {
    const rows = db.prepare("SELECT id, size FROM packs").all() as { id: number; size: number }[];
    const recorded = new Map(rows.map(({ id, size }) => [id, size]));
    let last: { number: number; size: number } | undefined;
    for (const { number, size } of packs.list()) {
      const known = recorded.get(number);
      if (known === undefined) packs.remove(number);
      else if (size > known) packs.truncate(number, known);
      // One that is too short is damaged, and is left as it is.
      if (known !== undefined) last = size >= known ? { number, size: known } : undefined;
    }
    return last;
  });
}
