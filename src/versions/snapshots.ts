/**
 * Snapshots: what stood at every path of a tree at one moment. An entry is recorded with the first snapshot
 * that saw it and the first that did not any more, so a snapshot costs a row for each change, and no more.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { type Digest, digestFromBytes, digestToBytes } from "../core/digest.ts";
import { type Entry, sameEntry } from "../core/entry.ts";
import { entryPairs } from "../core/entry_pairs.ts";
import { FilesyncError } from "../core/errors.ts";
import { Mutex } from "../core/mutex.ts";
import { comesBefore, rangeBelow, ROOT, type TreePath } from "../core/path.ts";
import { transaction } from "../database/open.ts";
import { Statements } from "../database/statements.ts";
import type { ChunkLog } from "./chunk_log.ts";
import { contentOfEntry, ENTRY_COLUMNS, type EntryRow, entryValues, toEntry } from "./entry_rows.ts";

/** A tree that snapshots are made of, as it is recognized again. */
export interface TreeIdentity {
  role: "source" | "backup" | "served";
  /** An absolute path, or the URL of a server. */
  location: string;
  /** The machine that has it. */
  host: string;
  /** Device and inode of the directory, when they are known. */
  dev?: number;
  ino?: number;
}

/** A recorded tree. */
export interface RecordedTree extends TreeIdentity {
  id: number;
}

/** What a snapshot says about itself. */
export interface SnapshotDetails {
  /** Milliseconds since the epoch. */
  time: number;
  /** The digest of the directory, `directory_digest.ts`. */
  digest: Digest;
  /** Why it was made, for people. */
  reason: string;
}

/** The reason of snapshots of what was left by a sync that was interrupted. */
export const PARTIAL = "left by a sync that was interrupted";

/** The reason of snapshots of what a restore took the place of. */
export const REPLACED = "found before a restore";

/** A snapshot. */
export interface Snapshot extends SnapshotDetails {
  /** 1, 2, 3, … in the order of making, in the whole store. */
  number: number;
  /** The tree it is of. */
  tree: number;
  files: number;
  directories: number;
  symlinks: number;
  /** The sizes of all files together. */
  bytes: number;
}

/** One difference from the last snapshot: what stands at a path now, or that nothing does (there, not below). */
export type TreeChange = { entry: Entry } | { gone: TreePath };

/** What stood at a path, and for how long. */
export interface PathVersion {
  entry: Entry;
  /** The first snapshot that saw it. */
  snapshot: number;
  time: number;
  /** The first snapshot that did not see it any more; absent of what the latest saw. */
  until?: { snapshot: number; time: number };
}

/** A path at which two snapshots differ. */
export interface Difference {
  path: TreePath;
  before?: Entry;
  after?: Entry;
}

/** Settings of recording. */
export interface RecordOptions {
  /** Whether contents may be missing in the store: then a snapshot only tells what there was. @default {false} */
  contentsElsewhere?: boolean;
}

/** Changes in one transaction, some 50 ms. */
const GROUP = 5_000;

/** Rows read at once, so that a writer never waits for a slow reader. */
const PAGE = 1_000;

/** Greater than every path: in SQLite a blob sorts after all text. */
const BEYOND_ALL_PATHS = new Uint8Array([0xff]);

const SEEN_BY = "from_snapshot <= ? AND (to_snapshot IS NULL OR to_snapshot > ?)";

type Counts = Pick<Snapshot, "files" | "directories" | "symlinks" | "bytes">;

const COUNTED = { file: "files", directory: "directories", symlink: "symlinks" } as const;

/** The snapshots of a store. What changes them is for `VersionStore` alone; anybody may read. */
export class Snapshots {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #recording = new Mutex();

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = new Statements(db);
  }

  /** Finds the number of a tree by role, location and host, or gives it one; remembers device and inode. */
  tree({ role, location, host, dev, ino }: TreeIdentity): number {
    const row = this.#statements.sql(`
      INSERT INTO trees (role, location, host, dev, ino) VALUES (?1, ?2, ?3, ?4, ?5)
      ON CONFLICT (role, location, host) DO UPDATE SET dev = coalesce(?4, dev), ino = coalesce(?5, ino)
      RETURNING id`).get(role, location, host, dev ?? null, ino ?? null);
    return row!.id as number;
  }

  /** All trees there are snapshots of, or may be. */
  trees(): RecordedTree[] {
    const rows = this.#statements.sql("SELECT * FROM trees ORDER BY id").all() as {
      id: number;
      role: TreeIdentity["role"];
      location: string;
      host: string;
      dev: number | null;
      ino: number | null;
    }[];
    return rows.map(({ dev, ino, ...tree }) => ({
      ...tree,
      ...(dev === null ? {} : { dev }),
      ...(ino === null ? {} : { ino }),
    }));
  }

  /** All snapshots, or those of a tree, oldest first. */
  list(tree?: number): Snapshot[] {
    const rows = tree === undefined
      ? this.#statements.sql("SELECT * FROM snapshots ORDER BY number").all()
      : this.#statements.sql("SELECT * FROM snapshots WHERE tree = ? ORDER BY number").all(tree);
    return rows.map(toSnapshot);
  }

  /** The snapshot of a number. */
  get(number: number): Snapshot | undefined {
    const row = this.#statements.sql("SELECT * FROM snapshots WHERE number = ?").get(number);
    return row && toSnapshot(row);
  }

  /** The last snapshot of a tree. */
  last(tree: number): Snapshot | undefined {
    const row = this.#statements.sql("SELECT * FROM snapshots WHERE tree = ? ORDER BY number DESC LIMIT 1")
      .get(tree);
    return row && toSnapshot(row);
  }

  /**
   * Makes a snapshot from what differs from the tree's last one. Changes rise by path. All of it is recorded, or
   * nothing: until its end nobody sees it.
   *
   * @throws {FilesyncError} `content-missing` when a content has not been committed.
   * @throws {RangeError} When a path is out of order.
   */
  record(
    tree: number,
    changes: Iterable<TreeChange> | AsyncIterable<TreeChange>,
    details: SnapshotDetails,
    log: ChunkLog,
    { contentsElsewhere = false }: RecordOptions = {},
  ): Promise<Snapshot> {
    return this.#recording.run(async () => {
      this.discardUnfinished();
      const number = this.#lastNumber() + 1;
      const counts = this.#countsOf(tree);
      const how = { contentsElsewhere, isFirst: this.last(tree) === undefined };
      let last: TreePath | undefined;
      let group: TreeChange[] = [];
      const flush = () => {
        for (const change of group) this.#apply(tree, number, change, counts, log, how);
        group = [];
      };
      try {
        for await (const change of changes) {
          const path = "gone" in change ? change.gone : change.entry.path;
          if (last !== undefined && !comesBefore(last, path)) {
            throw new RangeError(`The path ${JSON.stringify(path)} is out of order`);
          }
          last = path;
          group.push(change);
          if (group.length >= GROUP) transaction(this.#db, flush);
        }
        transaction(this.#db, () => {
          flush();
          this.#statements.sql(`
            INSERT INTO snapshots (number, tree, time, digest, files, directories, symlinks, bytes, reason)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`).run(
            number,
            tree,
            details.time,
            digestToBytes(details.digest),
            counts.files,
            counts.directories,
            counts.symlinks,
            counts.bytes,
            details.reason,
          );
        });
      } catch (error) {
        this.discardUnfinished();
        throw error;
      }
      return this.get(number)!;
    });
  }

  /** Makes a snapshot from all entries of a tree, which rise by path; otherwise as {@linkcode record}. */
  recordAll(
    tree: number,
    entries: Iterable<Entry> | AsyncIterable<Entry>,
    details: SnapshotDetails,
    log: ChunkLog,
    options: RecordOptions = {},
  ): Promise<Snapshot> {
    const last = this.last(tree);
    const before = last === undefined ? [] : this.entries(last.number);
    return this.record(tree, treeChanges(before, entries), details, log, options);
  }

  /** The entries of a snapshot, or what is at and below a path, in the order of paths. */
  *entries(number: number, under: TreePath = ROOT): Generator<Entry> {
    const { tree } = this.#known(number);
    if (under !== ROOT) {
      const top = this.entry(number, under);
      if (top !== undefined) yield top;
    }
    const { low, high } = under === ROOT ? { low: "", high: BEYOND_ALL_PATHS } : rangeBelow(under);
    const page = this.#statements.sql(`
      SELECT ${ENTRY_COLUMNS} FROM entries LEFT JOIN contents ON contents.id = content
      WHERE tree = ? AND path > ? AND path < ? AND ${SEEN_BY} ORDER BY path LIMIT ${PAGE}`);
    for (let last: string = low;;) {
      const rows = page.all(tree, last, high, number, number) as unknown as EntryRow[];
      for (const row of rows) yield toEntry(row);
      if (rows.length < PAGE) return;
      last = rows.at(-1)!.path;
    }
  }

  /** What a snapshot has at a path. */
  entry(number: number, path: TreePath): Entry | undefined {
    const { tree } = this.#known(number);
    return this.#entryAt(tree, number, path);
  }

  /** All that ever stood at a path of a tree and can come back, oldest first. */
  versionsOf(tree: number, path: TreePath): PathVersion[] {
    const rows = this.#statements.sql(`
      SELECT ${ENTRY_COLUMNS}, from_snapshot AS began, to_snapshot AS ended
      FROM entries LEFT JOIN contents ON contents.id = content
      WHERE tree = ? AND path = ? ORDER BY from_snapshot`).all(tree, path) as unknown as (EntryRow & {
      began: number;
      ended: number | null;
    })[];
    const first = this.#statements.sql(
      "SELECT number, time FROM snapshots WHERE tree = ? AND number >= ? ORDER BY number LIMIT 1",
    );
    // The snapshots of the beginning and the end may be pruned: then the next ones count.
    return rows.flatMap(({ began, ended, ...row }) => {
      const seen = first.get(tree, began) as { number: number; time: number } | undefined;
      const end = ended === null ? undefined : first.get(tree, ended) as { number: number; time: number };
      if (seen === undefined || seen.number === end?.number) return [];
      const until = end && { until: { snapshot: end.number, time: end.time } };
      return [{ entry: toEntry(row), snapshot: seen.number, time: seen.time, ...until }];
    });
  }

  /** Where two snapshots of one tree differ, in the order of paths. It costs as much as changed between them. */
  *differences(before: number, after: number): Generator<Difference> {
    const { tree } = this.#known(before);
    if (this.#known(after).tree !== tree) {
      throw new FilesyncError({
        code: "bad-request",
        operation: `compare the snapshots ${before} and ${after}`,
        reason: "they are of different trees",
        permanent: true,
      });
    }
    const [low, high] = [Math.min(before, after), Math.max(before, after)];
    const rows = this.#statements.sql(`
      SELECT path FROM entries WHERE tree = ?1 AND from_snapshot > ?2 AND from_snapshot <= ?3
      UNION SELECT path FROM entries WHERE tree = ?1 AND to_snapshot > ?2 AND to_snapshot <= ?3 ORDER BY path`)
      .all(tree, low, high) as { path: TreePath }[];
    for (const { path } of rows) {
      const [was, is] = [this.#entryAt(tree, before, path), this.#entryAt(tree, after, path)];
      if (was === undefined ? is === undefined : is !== undefined && sameEntry(was, is)) continue;
      yield { path, ...(was && { before: was }), ...(is && { after: is }) };
    }
  }

  /** Forgets a snapshot, which is not its tree's last, and what no other snapshot saw. */
  drop(number: number): void {
    transaction(this.#db, () => {
      const { tree } = this.#known(number);
      const bounds = this.#statements.sql(`
        SELECT (SELECT max(number) FROM snapshots WHERE tree = ?1 AND number < ?2) AS previous,
               (SELECT min(number) FROM snapshots WHERE tree = ?1 AND number > ?2) AS next`).get(
        tree,
        number,
      );
      const { previous, next } = bounds as { previous: number | null; next: number };
      this.#statements.sql(
        "DELETE FROM entries WHERE tree = ? AND to_snapshot > ? AND to_snapshot <= ? AND from_snapshot > ?",
      ).run(tree, previous ?? 0, next, previous ?? 0);
      this.#statements.sql("DELETE FROM snapshots WHERE number = ?").run(number);
    });
  }

  /** Undoes what a recording did that did not reach its end. */
  discardUnfinished(): void {
    const last = this.#lastNumber();
    transaction(this.#db, () => {
      this.#statements.sql("DELETE FROM entries WHERE from_snapshot > ?").run(last);
      this.#statements.sql("UPDATE entries SET to_snapshot = NULL WHERE to_snapshot > ?").run(last);
    });
  }

  #apply(
    tree: number,
    number: number,
    change: TreeChange,
    counts: Counts,
    log: ChunkLog,
    { contentsElsewhere, isFirst }: { contentsElsewhere: boolean; isFirst: boolean },
  ): void {
    const path = "gone" in change ? change.gone : change.entry.path;
    // Of a tree that was never seen nothing is known.
    const current = isFirst ? undefined : this.#statements.sql(`
      SELECT entries.id AS row, ${ENTRY_COLUMNS}, to_snapshot AS ended
      FROM entries LEFT JOIN contents ON contents.id = content
      WHERE tree = ? AND path = ? ORDER BY from_snapshot DESC LIMIT 1`).get(tree, path) as
      | EntryRow & { row: number; ended: number | null }
      | undefined;
    if (current !== undefined && current.ended === null) {
      const before = toEntry(current);
      if ("entry" in change && sameEntry(before, change.entry)) return;
      this.#statements.sql("UPDATE entries SET to_snapshot = ? WHERE id = ?").run(number, current.row);
      count(counts, before, -1);
    }
    if ("gone" in change) return;
    const content = contentOfEntry(change.entry, log, contentsElsewhere);
    this.#statements.sql(`
      INSERT INTO entries (tree, path, from_snapshot, kind, mtime, mode, target, content)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`).run(tree, path, number, ...entryValues(change.entry, content));
    count(counts, change.entry, 1);
  }

  #entryAt(tree: number, number: number, path: TreePath): Entry | undefined {
    const row = this.#statements.sql(`
      SELECT ${ENTRY_COLUMNS} FROM entries LEFT JOIN contents ON contents.id = content
      WHERE tree = ? AND path = ? AND ${SEEN_BY}`).get(tree, path, number, number) as EntryRow | undefined;
    return row && toEntry(row);
  }

  #countsOf(tree: number): Counts {
    const { files = 0, directories = 0, symlinks = 0, bytes = 0 } = this.last(tree) ?? {};
    return { files, directories, symlinks, bytes };
  }

  #lastNumber(): number {
    const row = this.#statements.sql("SELECT seq FROM sqlite_sequence WHERE name = 'snapshots'").get();
    return (row?.seq ?? 0) as number;
  }

  #known(number: number): Snapshot {
    const snapshot = this.get(number);
    if (snapshot !== undefined) return snapshot;
    throw new FilesyncError({
      code: "not-found",
      operation: `read the snapshot ${number}`,
      reason: "there is none of that number (any more)",
      permanent: true,
    });
  }
}

/** What makes `after` of `before`; both rise by path. */
async function* treeChanges(
  before: Iterable<Entry>,
  after: Iterable<Entry> | AsyncIterable<Entry>,
): AsyncGenerator<TreeChange> {
  for await (const [was, is] of entryPairs(before, after)) {
    if (was === undefined) yield { entry: is };
    else if (is === undefined) yield { gone: was.path };
    else if (!sameEntry(was, is)) yield { entry: is };
  }
}

function count(counts: Counts, entry: Entry, by: number): void {
  counts[COUNTED[entry.kind]] += by;
  if (entry.kind === "file") counts.bytes += by * entry.size;
}

function toSnapshot(row: Record<string, unknown>): Snapshot {
  return { ...(row as unknown as Snapshot), digest: digestFromBytes(row.digest as Uint8Array) };
}
