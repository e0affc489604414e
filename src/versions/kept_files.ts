/**
 * Single entries that were replaced or removed, each kept for itself.
 *
 * Who changes a tree cannot change the store in the same moment. So rows can be recorded as unsure before
 * the tree is touched, and settled after; after a crash in between, {@linkcode KeptFiles.unsure} gives those of which
 * somebody has to look what became of them.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { type Entry, sameEntry } from "../core/entry.ts";
import { rangeBelow, ROOT, type TreePath } from "../core/path.ts";
import { transaction } from "../database/open.ts";
import { Statements } from "../database/statements.ts";
import type { ChunkLog } from "./chunk_log.ts";
import { contentOfEntry, ENTRY_COLUMNS, type EntryRow, entryValues, toEntry } from "./entry_rows.ts";
import { expired, type Retention } from "./retention.ts";

/** Why an entry is not in place any more. */
export type KeptCause = "replaced" | "removed" | "moved";

/** An entry that was in place until something took it away. */
export interface NewKeptFile {
  /** Its path says where it stood. */
  entry: Entry;
  /** Milliseconds since the epoch. */
  keptAt: number;
  cause: KeptCause;
  /** Since when it stood there, milliseconds since the epoch; 0 when that is not known. @default {0} */
  since?: number;
}

/** A kept entry, with its number. */
export interface KeptFile extends Required<NewKeptFile> {
  id: number;
}

/** Which kept files are wanted. */
export interface KeptQuery {
  /** Those at and below this path. @default {ROOT} */
  under?: TreePath;
  /** Those with a smaller number: to go on after the last one of a page. */
  before?: number;
  /** @default {100} */
  limit?: number;
}

/** Rows looked at in one go. */
const PAGE = 5_000;

const BEYOND_ALL_PATHS = new Uint8Array([0xff]);

/** Rows that were recorded as unsure together. */
export interface UnsureRows {
  first: number;
  files: readonly NewKeptFile[];
}

/** From when on every state of a tree can be told: what only the last pruning, or nobody, kept is of before. */
const COMPLETE_SINCE = "complete_since";

const SELECT = `
  SELECT kept.id AS id, kept_at, cause, since, ${ENTRY_COLUMNS}
  FROM kept LEFT JOIN contents ON contents.id = content`;

type KeptRow = EntryRow & { id: number; kept_at: number; cause: KeptCause; since: number };

/** The kept files of a store. What changes them is for `VersionStore` alone; anybody may read. */
export class KeptFiles {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = new Statements(db);
  }

  /**
   * Records entries, in the order of time; all of them, or none. What was moved away may have its content elsewhere
   * in the tree only.
   *
   * @throws {FilesyncError} `content-missing` when a content has not been committed.
   */
  record(files: readonly NewKeptFile[], log: ChunkLog): void {
    transaction(this.#db, () => this.#insert(files, log, false));
  }

  /**
   * Records entries that are about to go, to be settled after. Within a transaction of the caller's.
   *
   * @throws {FilesyncError} As {@linkcode record} does.
   */
  recordUnsure(files: readonly NewKeptFile[], log: ChunkLog): UnsureRows {
    return { first: this.#insert(files, log, true), files };
  }

  /**
   * Puts what went indeed in the place of rows that were unsure. A power cut may take that away again: then they
   * are unsure still.
   */
  settle(unsure: UnsureRows, gone: readonly NewKeptFile[], log: ChunkLog): void {
    const { first, files } = unsure;
    if (files.length === 0 && gone.length === 0) return;
    const end = first + files.length;
    const told = new Map(files.map((file) => [file.entry.path, file]));
    const isAsTold = gone.length === told.size && told.size === files.length &&
      gone.every((file) => isSame(file, told.get(file.entry.path)));
    this.#db.exec("PRAGMA synchronous = NORMAL");
    try {
      transaction(this.#db, () => {
        if (isAsTold) {
          this.#statements.sql("UPDATE kept SET unsure = 0, kept_at = ? WHERE id >= ? AND id < ?")
            .run(gone[0].keptAt, first, end);
          return;
        }
        this.#statements.sql("DELETE FROM kept WHERE id >= ? AND id < ?").run(first, end);
        this.#insert(gone, log, false);
      });
    } finally {
      this.#db.exec("PRAGMA synchronous = FULL");
    }
  }

  /** What was recorded as unsure, and never settled. */
  unsure(): KeptFile[] {
    const rows = this.#statements.sql(`${SELECT} WHERE unsure ORDER BY kept.id`).all();
    return (rows as unknown as KeptRow[]).map(toKeptFile);
  }

  /** Settles what {@linkcode unsure} gave: takes the entries of which `isGone` is true for gone, and forgets the others. */
  settleLeft(isGone: (file: KeptFile) => boolean): void {
    transaction(this.#db, () => {
      for (const file of this.unsure()) {
        const text = isGone(file)
          ? "UPDATE kept SET unsure = 0 WHERE id = ?"
          : "DELETE FROM kept WHERE id = ?";
        this.#statements.sql(text).run(file.id);
      }
    });
  }

  /**
   * From when on the state of a tree can be told in full, milliseconds since the epoch: of before, something
   * was not kept, or is not any more. `undefined` when nothing was ever kept.
   */
  get completeSince(): number | undefined {
    const row = this.#statements.sql("SELECT value FROM meta WHERE key = ?").get(COMPLETE_SINCE);
    return row === undefined ? undefined : Number(row.value);
  }

  /** Notes that something of before `time` is not kept. */
  losesBefore(time: number): void {
    if ((this.completeSince ?? -Infinity) >= time) return;
    this.#statements.sql(
      "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    ).run(COMPLETE_SINCE, String(time));
  }

  /** Kept files, what was kept last first. */
  list({ under = ROOT, before = Number.MAX_SAFE_INTEGER, limit = 100 }: KeptQuery = {}): KeptFile[] {
    const { low, high } = rangeOf(under);
    const rows = this.#statements.sql(`
      ${SELECT} WHERE kept.id < ? AND NOT unsure AND (path = ? OR (path >= ? AND path < ?))
      ORDER BY kept.id DESC LIMIT ?`)
      .all(before, under, low, high, limit);
    return (rows as unknown as KeptRow[]).map(toKeptFile);
  }

  /** What stood at a path itself, what went last first: clocks may have been set meanwhile. */
  versionsOf(path: TreePath, limit = 100): KeptFile[] {
    const rows = this.#statements.sql(`${SELECT} WHERE path = ? AND NOT unsure ORDER BY kept.id DESC LIMIT ?`)
      .all(path, limit);
    return (rows as unknown as KeptRow[]).map(toKeptFile);
  }

  /**
   * What stood at and below `under` at `time` and is gone by now, of the first paths after `after`; by path, and
   * of one path what came last first.
   */
  standingAt(time: number, after: string, under: TreePath, limit: number): KeptFile[] {
    const { low, high } = rangeOf(under);
    const rows = this.#statements.sql(`
      ${SELECT} WHERE path > ? AND path >= ? AND path < ? AND (path = ? OR path >= ?)
        AND since <= ? AND kept_at > ? AND NOT unsure
      ORDER BY path, since DESC, kept.id DESC LIMIT ?`)
      .all(after, under, high, under, low, time, time, limit);
    return (rows as unknown as KeptRow[]).map(toKeptFile);
  }

  /** The first path of which something is kept that is not before `from`, or comes after it, and is before `end`. */
  firstPath(from: string, end: string | Uint8Array, inclusive: boolean): TreePath | undefined {
    const row = this.#statements.sql(`
      SELECT path FROM kept WHERE path ${inclusive ? ">=" : ">"} ? AND path < ? ORDER BY path LIMIT 1`)
      .get(from, end);
    return row?.path as TreePath | undefined;
  }

  /** What stood at a path at `time` and is gone by now. */
  standingThere(path: TreePath, time: number): KeptFile | undefined {
    const row = this.#statements.sql(`
      ${SELECT} WHERE path = ? AND kept_at > ? AND since <= ? AND NOT unsure
      ORDER BY since DESC, kept.id DESC LIMIT 1`).get(path, time, time);
    return row && toKeptFile(row as unknown as KeptRow);
  }

  /** The kept file of a number. */
  get(id: number): KeptFile | undefined {
    const row = this.#statements.sql(`${SELECT} WHERE kept.id = ? AND NOT unsure`).get(id);
    return row && toKeptFile(row as unknown as KeptRow);
  }

  /**
   * Forgets what `retention` does not keep, judged for each path by itself, a page of paths a step.
   *
   * @param now Milliseconds since the epoch.
   */
  *dropExpired(retention: Retention, now: number): Generator<number> {
    const paths = this.#statements.sql(
      `SELECT DISTINCT path FROM kept WHERE path > ? ORDER BY path LIMIT ${PAGE}`,
    );
    const versions = this.#statements.sql(
      "SELECT id, kept_at AS time, kept_at AS until FROM kept WHERE path = ? AND NOT unsure ORDER BY id",
    );
    const drop = this.#statements.sql("DELETE FROM kept WHERE id = ?");
    for (let last = "";;) {
      const page = paths.all(last) as { path: string }[];
      if (page.length === 0) return;
      let dropped = 0;
      transaction(this.#db, () => {
        for (const { path } of page) {
          const all = versions.all(path) as { id: number; time: number; until: number }[];
          for (const { id, until } of expired(all, retention, now)) {
            dropped += Number(drop.run(id).changes);
            this.losesBefore(until);
          }
        }
      });
      last = page.at(-1)!.path;
      yield dropped;
    }
  }

  /** Returns the number of the first row. */
  #insert(files: readonly NewKeptFile[], log: ChunkLog, unsure: boolean): number {
    const insert = this.#statements.sql(`
      INSERT INTO kept (path, kept_at, cause, since, unsure, kind, mtime, mode, target, content)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
    let first = 0;
    for (const { entry, keptAt, cause, since = 0 } of files) {
      const values = entryValues(entry, contentOfEntry(entry, log, cause === "moved"));
      const { lastInsertRowid } = insert.run(entry.path, keptAt, cause, since, Number(unsure), ...values);
      first ||= Number(lastInsertRowid);
    }
    return first;
  }
}

/** Like {@linkcode rangeBelow}, for the root too. */
function rangeOf(under: TreePath): { low: string; high: string | Uint8Array } {
  return under === ROOT ? { low: "", high: BEYOND_ALL_PATHS } : rangeBelow(under);
}

function isSame(a: NewKeptFile, b: NewKeptFile | undefined): boolean {
  return b !== undefined && a.cause === b.cause && a.since === b.since && sameEntry(a.entry, b.entry);
}

function toKeptFile({ id, kept_at, cause, since, ...row }: KeptRow): KeptFile {
  return { id, keptAt: kept_at, cause, since, entry: toEntry(row) };
}
