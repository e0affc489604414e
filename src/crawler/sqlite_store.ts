/** A catalog in a file of SQLite. @module */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { join } from "@std/path";
import { blake3 } from "../hashing/blake3.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { lockState } from "../database/lock.ts";
import { openDatabase, transaction } from "../database/open.ts";
import { type DirectoryIds, sweepInterrupted } from "./directory_ids.ts";
import { type Listing, visitRows } from "./listing.ts";
import { certainRows, changedRows, knownEntries } from "./listing_changes.ts";
import { catalogMigrations } from "./schema.ts";
import { type Row, type Sql, SQLITE, type Value } from "./sql.ts";
import { scanName, type Staging, type StagingOptions, type Store } from "./store.ts";

/** Rows of one INSERT, and bytes of SQLite's cache: more of either is no faster. */
const ROWS_AT_ONCE = 128;
const CACHE_KIB = 24 << 10;

/** Writing a million entries takes a third less than with pages of 4 KiB. */
const PAGE_BYTES = 16 << 10;

/** Rows of one piece of a long answer. */
const PIECE_ROWS = 1000;

/** Columns of an entry that a row brings, and how it is inserted. */
const COLUMNS = ["directory_id", "name", "kind", "size", "mtime", "inode"];

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
    pageSize: PAGE_BYTES,
  });
  db.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
  // Other scans may merge for minutes.
  if (!options.readOnly) db.exec("PRAGMA busy_timeout = 3600000");
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

  openStaging(options: StagingOptions): Promise<Staging> {
    const directory = this.#stagingOf(options.name);
    const lock = lockState(directory, `the scan of ${options.name}`);
    try {
      return Promise.resolve(new SqliteStaging(this.#db, join(directory, "staging.db"), options, lock));
    } catch (error) {
      lock[Symbol.dispose]();
      throw toFilesyncError("make room for the scan", error);
    }
  }

  async merging<T>(fn: () => Promise<T>): Promise<T> {
    return await this.sql.transaction(fn);
  }

  async vacuum(): Promise<void> {
    const running = await this.sql.query(
      "SELECT id, host, root, kind, shard FROM scan_runs WHERE state = 'running'",
    );
    for (const { id, host, root, kind, shard } of running as Record<string, string>[]) {
      const directory = this.#stagingOf(scanName(host, root, kind, shard));
      try {
        using _lock = lockState(directory, "a scan");
        removeDatabase(join(directory, "staging.db"));
        await this.sql.query("UPDATE scan_runs SET state = 'interrupted' WHERE id = $1", [id]);
      } catch (error) {
        // It runs.
        if (!(error instanceof FilesyncError && error.code === "locked")) throw error;
      }
    }
    await sweepInterrupted(this.sql);
    await this.sql.script("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA optimize");
  }

  /** The directory of what a scan keeps for itself. */
  #stagingOf(name: string): string {
    return join(`${this.#path}.staging`, blake3(new TextEncoder().encode(name)).slice(0, 16));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#db.close();
    return Promise.resolve();
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
    return this.#do(() => {
      const statement = this.#db.prepare(numbered(text));
      try {
        return statement.all(...parameters) as Row[];
      } catch (error) {
        if ((error as { code?: string }).code !== "ERR_OUT_OF_RANGE") throw error;
        statement.setReadBigInts(true);
        return statement.all(...parameters).map(withNumbers);
      }
    });
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
      return Promise.reject(toFilesyncError(`use the catalog ${JSON.stringify(this.#path)}`, error));
    }
  }
}

/** A row with numbers that are as near as can be: sums may have more than 53 bits. */
function withNumbers(row: Record<string, unknown>): Row {
  const values = Object.entries(row).map(([name, value]) => [
    name,
    typeof value === "bigint" ? Number(value) : value,
  ]);
  return Object.fromEntries(values) as Row;
}

/** SQLite writes `?1` where PostgreSQL writes `$1`. */
function numbered(text: string): string {
  return text.replaceAll(/\$(\d+)/g, "?$1");
}

/** Inserts entries into a table, many at a time. */
class EntryWriter {
  readonly #db: DatabaseSync;
  readonly #into: string;
  readonly #more: string;
  readonly #statement: StatementSync;
  /** Columns of the rows that wait for their INSERT. */
  readonly #waiting: Value[] = new Array(ROWS_AT_ONCE * COLUMNS.length);
  #columns = 0;

  /**
   * When one row fails, the transaction is given up: `OR FAIL` spares SQLite a journal for each statement, which is a
   * sixth of all the time of a first scan.
   *
   * @param scan The scan that first saw the entries.
   */
  constructor(db: DatabaseSync, table: string, scan: number) {
    this.#db = db;
    this.#into = `INSERT OR FAIL INTO ${table} (${COLUMNS.join(", ")}, first_scan) VALUES `;
    this.#more = `(${COLUMNS.map(() => "?").join(", ")}, ${scan})`;
    this.#statement = this.#prepare(ROWS_AT_ONCE);
  }

  /** Adds the rows of a listing; the last ones may wait. */
  add(rows: Uint8Array<ArrayBuffer>, directory: number): void {
    const waiting = this.#waiting;
    visitRows(rows, ({ name, kind, size, mtime, inode }) => {
      let at = this.#columns;
      waiting[at++] = directory;
      waiting[at++] = name;
      waiting[at++] = kind;
      waiting[at++] = size;
      waiting[at++] = mtime;
      waiting[at++] = inode;
      if (at === waiting.length) {
        this.#statement.run(...waiting);
        at = 0;
      }
      this.#columns = at;
    });
  }

  /** Inserts those that wait. */
  flush(): void {
    if (this.#columns === 0) return;
    this.#prepare(this.#columns / COLUMNS.length).run(...this.#waiting.slice(0, this.#columns));
    this.#columns = 0;
  }

  #prepare(rows: number): StatementSync {
    return this.#db.prepare(this.#into + Array(rows).fill(this.#more).join(", "));
  }
}

/**
 * Staging in a database file of its own, so that scans do not wait for each other: two connections may not write to
 * one file of SQLite at a time. It need not survive anything, and is written without a journal. What goes into the
 * catalog itself while the tree is walked goes there in short transactions.
 */
class SqliteStaging implements Staging {
  readonly tables = { directories: "staging.staging_directories", files: "staging.staging_files" };
  readonly #catalog: DatabaseSync;
  readonly #path: string;
  readonly #host: number;
  readonly #ids: DirectoryIds;
  readonly #lock: Disposable;
  readonly #find: StatementSync;
  readonly #known: StatementSync;
  readonly #db: DatabaseSync;
  readonly #directory: StatementSync;
  readonly #staged: EntryWriter;
  readonly #loaded: EntryWriter;
  #isAttached = false;

  constructor(catalog: DatabaseSync, path: string, { scan, host, ids }: StagingOptions, lock: Disposable) {
    this.#catalog = catalog;
    this.#path = path;
    this.#host = host;
    this.#ids = ids;
    this.#lock = lock;
    removeDatabase(path);
    this.#db = new DatabaseSync(path);
    this.#db.exec(`
      PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
      CREATE TABLE staging_directories (
        id INTEGER PRIMARY KEY, path TEXT, print TEXT, files INTEGER, bytes INTEGER, known_scan INTEGER
      );
      CREATE TABLE staging_files (
        directory_id INTEGER, name TEXT, kind INTEGER, size INTEGER, mtime INTEGER, inode INTEGER, first_scan INTEGER
      );
      BEGIN`);
    this.#find = catalog.prepare(
      `SELECT id, print = ? AND last_seen IS NULL AS same, changed_scan FROM directories
       WHERE host_id = ? AND path = ?`,
    );
    this.#known = catalog.prepare(`SELECT ${knownEntries("?")} AS known`);
    this.#directory = this.#db.prepare("INSERT INTO staging_directories VALUES (?, ?, ?, ?, ?, ?)");
    this.#staged = new EntryWriter(this.#db, "staging_files", scan);
    this.#loaded = new EntryWriter(catalog, "main.entries", scan);
  }

  async add(listings: Listing[]): Promise<void> {
    try {
      const unknown: Listing[] = [];
      const changed: [listing: Listing, id: number, knownScan: number][] = [];
      for (const listing of listings) {
        const found = this.#find.get(listing.print ?? null, this.#host, listing.path);
        if (found === undefined) unknown.push(listing);
        else if (found.same !== 1) changed.push([listing, found.id as number, found.changed_scan as number]);
      }
      await this.#ids.reserve(unknown.length + changed.length);
      for (const [listing, id, knownScan] of changed) {
        const { known } = this.#known.get(id) as { known: string | null };
        this.#staged.add(changedRows(listing.rows, known), this.#note(listing, knownScan));
      }
      if (unknown.length === 0) return;
      transaction(this.#catalog, () => {
        for (const listing of unknown) {
          const { print, rows } = listing;
          this.#loaded.add(print === undefined ? certainRows(rows) : rows, this.#note(listing, null));
        }
      });
    } catch (error) {
      throw toFilesyncError("keep what the scan found", error);
    }
  }

  /** Gives a listing an id. */
  #note({ path, print, files, bytes }: Listing, knownScan: number | null): number {
    const id = this.#ids.take();
    this.#directory.run(id, path, print ?? null, files, bytes, knownScan);
    return id;
  }

  finish(): Promise<void> {
    try {
      this.#loaded.flush();
      this.#staged.flush();
      this.#db.exec("COMMIT");
      this.#db.close();
      this.#catalog.prepare("ATTACH ? AS staging").run(this.#path);
      this.#isAttached = true;
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(toFilesyncError("keep what the scan found", error));
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

function removeDatabase(path: string): void {
  for (const end of ["", "-wal", "-shm", "-journal"]) {
    try {
      Deno.removeSync(path + end);
    } catch {
      // Mostly there is none.
    }
  }
}
