/** Single entries that were replaced or removed, each kept for itself. @module */
import type { DatabaseSync } from "node:sqlite";
import type { Entry } from "../core/entry.ts";
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
}

/** A kept entry, with its number. */
export interface KeptFile extends NewKeptFile {
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

const SELECT = `
  SELECT kept.id AS id, kept_at, cause, ${ENTRY_COLUMNS}
  FROM kept LEFT JOIN contents ON contents.id = content`;

type KeptRow = EntryRow & { id: number; kept_at: number; cause: KeptCause };

/** The kept files of a store. What changes them is for `VersionStore` alone; anybody may read. */
export class KeptFiles {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = new Statements(db);
  }

  /**
   * Records entries, in the order of time; all of them, or none.
   *
   * @throws {FilesyncError} `content-missing` when a content has not been committed.
   */
  record(files: readonly NewKeptFile[], log: ChunkLog): void {
    transaction(this.#db, () => {
      const insert = this.#statements.sql(
        "INSERT INTO kept (path, kept_at, cause, kind, mtime, mode, target, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      );
      for (const { entry, keptAt, cause } of files) {
        insert.run(entry.path, keptAt, cause, ...entryValues(entry, contentOfEntry(entry, log, false)));
      }
    });
  }

  /** Kept files, what was kept last first. */
  list({ under = ROOT, before = Number.MAX_SAFE_INTEGER, limit = 100 }: KeptQuery = {}): KeptFile[] {
    const { low, high } = under === ROOT ? { low: "", high: BEYOND_ALL_PATHS } : rangeBelow(under);
    const rows = this.#statements.sql(`
      ${SELECT} WHERE kept.id < ? AND (path = ? OR (path >= ? AND path < ?)) ORDER BY kept.id DESC LIMIT ?`)
      .all(before, under, low, high, limit);
    return (rows as unknown as KeptRow[]).map(toKeptFile);
  }

  /** What stood at a path, oldest first. */
  versionsOf(path: TreePath): KeptFile[] {
    const rows = this.#statements.sql(`${SELECT} WHERE path = ? ORDER BY kept_at, kept.id`).all(path);
    return (rows as unknown as KeptRow[]).map(toKeptFile);
  }

  /** The kept file of a number. */
  get(id: number): KeptFile | undefined {
    const row = this.#statements.sql(`${SELECT} WHERE kept.id = ?`).get(id);
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
      "SELECT id, kept_at AS time, kept_at AS until FROM kept WHERE path = ? ORDER BY kept_at, id",
    );
    const drop = this.#statements.sql("DELETE FROM kept WHERE id = ?");
    for (let last = "";;) {
      const page = paths.all(last) as { path: string }[];
      if (page.length === 0) return;
      let dropped = 0;
      transaction(this.#db, () => {
        for (const { path } of page) {
          const all = versions.all(path) as { id: number; time: number; until: number }[];
          for (const { id } of expired(all, retention, now)) dropped += Number(drop.run(id).changes);
        }
      });
      last = page.at(-1)!.path;
      yield dropped;
    }
  }
}

function toKeptFile({ id, kept_at, cause, ...row }: KeptRow): KeptFile {
  return { id, keptAt: kept_at, cause, entry: toEntry(row) };
}
