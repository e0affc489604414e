/** A catalog in a file of SQLite. @module */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { join } from "@std/path";
import { blake3 } from "../hashing/blake3.ts";
import { lockState } from "../database/lock.ts";
import { openDatabase, toDatabaseError } from "../database/open.ts";
import { type Listing, visitRows } from "./listing.ts";
import { catalogMigrations } from "./schema.ts";
import { type Row, type Sql, SQLITE, type Value } from "./sql.ts";
import type { Staging, Store } from "./store.ts";

/** Rows of one INSERT, and bytes of SQLite's cache: more of either is no faster. */
const ROWS_AT_ONCE = 128;
const CACHE_KIB = 64 << 10;

/** Rows of one piece of a long answer. */
const PIECE_ROWS = 1000;

const FILE_COLUMNS = 6;

/**
 * Opens the catalog at `path`, and makes it when it is missing.
 *
 * @throws {FilesyncError} As `openDatabase` does.
 */
export function openSqliteStore(path: string, options: { readOnly?: boolean } = {}): Store {
  const db = openDatabase(path, {
    name: "catalog",
    migrations: catalogMigrations(SQLITE),
    synchronous: "NORMAL",
    readOnly: options.readOnly,
  });
  db.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
  return new SqliteStore(path, db);
}

class SqliteStore implements Store {
  readonly name: string;
  readonly sql: SqliteSql;
  readonly #path: string;
  readonly #db: DatabaseSync;

  constructor(path: string, db: DatabaseSync) {
    this.name = path;
    this.#path = path;
    this.#db = db;
    this.sql = new SqliteSql(db, path);
  }

  openStaging(name: string, _scan: number, host: number): Promise<Staging> {
    const directory = join(this.#stagings, blake3(new TextEncoder().encode(name)).slice(0, 16));
    const lock = lockState(directory, `the scan of ${name}`);
    try {
      return Promise.resolve(new SqliteStaging(this.#db, join(directory, "staging.db"), host, lock));
    } catch (error) {
      lock[Symbol.dispose]();
      throw toDatabaseError("make room for the scan", error);
    }
  }

  async merging<T>(fn: () => Promise<T>): Promise<T> {
    // Other scans may merge for minutes.
    this.#db.exec("PRAGMA busy_timeout = 3600000");
    return await this.sql.transaction(fn);
  }

  async vacuum(): Promise<void> {
    for (const { name } of listOrNothing(this.#stagings)) {
      const directory = join(this.#stagings, name);
      try {
        using _lock = lockState(directory, "a scan");
        Deno.removeSync(join(directory, "staging.db"));
      } catch {
        // A scan that runs, or has left nothing.
      }
    }
    await this.sql.script("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA optimize");
  }

  get #stagings(): string {
    return `${this.#path}.staging`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#db.close();
    return Promise.resolve();
  }
}

function listOrNothing(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)];
  } catch {
    return [];
  }
}

/** A connection that nobody else uses: its transactions may span an `await`. */
class SqliteSql implements Sql {
  readonly dialect = SQLITE;
  readonly #db: DatabaseSync;
  readonly #path: string;

  constructor(db: DatabaseSync, path: string) {
    this.#db = db;
    this.#path = path;
  }

  query(text: string, parameters: readonly Value[] = []): Promise<Row[]> {
    return this.#do(() => this.#db.prepare(numbered(text)).all(...parameters) as Row[]);
  }

  script(text: string): Promise<void> {
    return this.#do(() => this.#db.exec(text));
  }

  async *rows(text: string, parameters: readonly Value[] = []): AsyncGenerator<Row[]> {
    let piece: Row[] = [];
    for (const row of this.#db.prepare(numbered(text)).iterate(...parameters)) {
      piece.push(row as Row);
      if (piece.length < PIECE_ROWS) continue;
      yield piece;
      piece = [];
    }
    if (piece.length > 0) yield piece;
  }

  async transaction<T>(fn: () => Promise<T>): Promise<T> {
    await this.script("BEGIN IMMEDIATE");
    try {
      const result = await fn();
      await this.script("COMMIT");
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #do<T>(fn: () => T): Promise<T> {
    try {
      return Promise.resolve(fn());
    } catch (error) {
      return Promise.reject(toDatabaseError(`use the catalog ${JSON.stringify(this.#path)}`, error));
    }
  }
}

/** SQLite writes `?1` where PostgreSQL writes `$1`. */
function numbered(text: string): string {
  return text.replaceAll(/\$(\d+)/g, "?$1");
}

/**
 * Staging in a database file of its own, so that scans do not wait for each other: two connections may not write to
 * one file of SQLite at a time. It need not survive anything, and is written without a journal.
 */
class SqliteStaging implements Staging {
  readonly tables = { directories: "staging.staging_directories", files: "staging.staging_files" };
  readonly #catalog: DatabaseSync;
  readonly #path: string;
  readonly #host: number;
  readonly #lock: Disposable;
  readonly #known: StatementSync;
  readonly #db: DatabaseSync;
  readonly #directory: StatementSync;
  readonly #files: StatementSync;
  /** Columns of the rows that wait for their INSERT. */
  #waiting: Value[] = new Array(ROWS_AT_ONCE * FILE_COLUMNS);
  #columns = 0;
  #isAttached = false;

  constructor(catalog: DatabaseSync, path: string, host: number, lock: Disposable) {
    this.#catalog = catalog;
    this.#path = path;
    this.#host = host;
    this.#lock = lock;
    removeDatabase(path);
    this.#db = new DatabaseSync(path);
    this.#db.exec(`
      PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
      CREATE TABLE staging_directories (number INTEGER PRIMARY KEY, path TEXT, print TEXT, files INTEGER, bytes INTEGER);
      CREATE TABLE staging_files (directory INTEGER, name TEXT, kind INTEGER, size INTEGER, mtime INTEGER, inode INTEGER);
      BEGIN`);
    this.#known = catalog.prepare(
      "SELECT 1 FROM directories WHERE host_id = ? AND path = ? AND print = ? AND last_seen IS NULL",
    );
    this.#directory = this.#db.prepare("INSERT INTO staging_directories VALUES (?, ?, ?, ?, ?)");
    this.#files = this.#db.prepare(insertFiles(ROWS_AT_ONCE));
  }

  add(listings: Listing[]): Promise<void> {
    try {
      for (const listing of listings) this.#add(listing);
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(toDatabaseError("keep what the scan found", error));
    }
  }

  #add({ number, path, print, files, bytes, rows }: Listing): void {
    if (print !== undefined && this.#known.get(this.#host, path, print) !== undefined) return;
    this.#directory.run(number, path, print ?? null, files, bytes);
    visitRows(rows, ({ name, kind, size, mtime, inode }) => {
      const waiting = this.#waiting;
      let at = this.#columns;
      waiting[at++] = number;
      waiting[at++] = name;
      waiting[at++] = kind;
      waiting[at++] = size;
      waiting[at++] = mtime;
      waiting[at++] = inode;
      if (at === waiting.length) {
        this.#files.run(...waiting);
        at = 0;
      }
      this.#columns = at;
    });
  }

  finish(): Promise<void> {
    try {
      if (this.#columns > 0) {
        this.#db.prepare(insertFiles(this.#columns / FILE_COLUMNS)).run(
          ...this.#waiting.slice(0, this.#columns),
        );
      }
      this.#db.exec("COMMIT");
      this.#db.close();
      this.#catalog.prepare("ATTACH ? AS staging").run(this.#path);
      this.#isAttached = true;
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(toDatabaseError("keep what the scan found", error));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#isAttached) this.#catalog.exec("DETACH staging");
    else this.#db.close();
    removeDatabase(this.#path);
    this.#lock[Symbol.dispose]();
    return Promise.resolve();
  }
}

function insertFiles(rows: number): string {
  return `INSERT INTO staging_files VALUES ${Array(rows).fill("(?, ?, ?, ?, ?, ?)").join(", ")}`;
}

function removeDatabase(path: string): void {
  for (const end of ["", "-wal", "-shm", "-journal"]) {
    try {
      Deno.removeSync(path + end);
    } catch {
      // Mostly there is none.
    }
  }
}
