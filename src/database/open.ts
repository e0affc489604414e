/**
 * SQLite databases, opened the one way the program opens them. {@linkcode openDatabase}
 * brings a file to the newest schema, {@linkcode transaction} groups statements. What SQLite throws is said in
 * the program's words by `toFilesyncError`.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { existsSync } from "@std/fs";
import { dirname } from "@std/path";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { isLocked } from "./lock.ts";

/** How long a statement waits for another process's write, milliseconds. */
const BUSY_TIMEOUT = 5_000;

/** What SQLite takes for a page unless it is told, bytes. */
const PAGE_BYTES = 4096;

/**
 * What is in the log, bytes, when it is moved into the database, which waits for the disk several
 * times; SQLite's own 4 MiB make thousands of files wait ten times as often.
 */
const CHECKPOINT_BYTES = 8_000 * PAGE_BYTES;

/** What is kept of a database in memory, KiB, once it was needed: digests lie all over an index. */
const CACHE_KIB = 16 << 10;

/** What a log that has grown is cut back to, bytes. */
const WAL_BYTES = 4 << 20;

/** Settings of {@linkcode openDatabase}. */
export interface DatabaseOptions {
  /** What the database is, for messages: `"queue"`. */
  name: string;
  /**
   * SQL scripts, oldest first; number n brings `user_version` n to n + 1. One that was released
   * is never edited again.
   */
  migrations: readonly string[];
  /** `NORMAL` may lose the last commits in a power cut, but never the database. @default {"FULL"} */
  synchronous?: "FULL" | "NORMAL";
  /** Whether it is only looked at, perhaps while another process writes. @default {false} */
  readOnly?: boolean;
  /** Bytes of a page of a database that is made: bigger ones suit what is written in bulk. @default {4096} */
  pageSize?: number;
}

/**
 * Opens the database at `path` in WAL mode, and makes it, and its directory, for this user
 * alone when they are missing.
 *
 * @throws {FilesyncError} `upgrade` when a newer version wrote it (or, read-only, when an older
 * one did); `not-found` when it is read-only and missing; and whatever
 * `toFilesyncError` makes of a file that is damaged or out of reach.
 */
export function openDatabase(path: string, options: DatabaseOptions): DatabaseSync {
  const { name, migrations, synchronous = "FULL", readOnly = false, pageSize = PAGE_BYTES } = options;
  const operation = `open the ${name} database ${JSON.stringify(path)}`;
  let db: DatabaseSync | undefined;
  try {
    if (readOnly) {
      Deno.statSync(path);
    } else {
      Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      // SQLite would make it readable to all; its -wal and -shm take over the mode of the file.
      Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
    }
    db = readOnly ? openToRead(path) : new DatabaseSync(path);
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`);
    // Before anything that writes: what a newer version wrote is left as it is.
    refuseOtherVersions(db, migrations, operation, readOnly);
    db.exec(`PRAGMA foreign_keys = ON; PRAGMA cache_size = -${CACHE_KIB}`);
    if (!readOnly) {
      db.exec(`PRAGMA page_size = ${pageSize}`);
      db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`);
      db.exec(
        `PRAGMA wal_autocheckpoint = ${
          CHECKPOINT_BYTES / pageSize
        }; PRAGMA journal_size_limit = ${WAL_BYTES}`,
      );
    }
    migrate(db, migrations);
    return db;
  } catch (error) {
    db?.close();
    throw toFilesyncError(operation, error);
  }
}

/**
 * Opens a database, of whatever schema, that another process may be writing. That one may seem to be gone: POSIX takes
 * its locks away when anything in it closes the file that they are on, and Deno opens and closes whatever it
 * watches, which may be the database. Who takes itself for the first then cuts back the `-shm` that the
 * writer has mapped, and the writer dies of it (`SIGBUS`). So a reader must not change that file, unless it makes it.
 *
 * When the writer is gone for sure, the reader may change it. It must: a writer that was killed when its log (`-wal`)
 * had a header and no frame yet left what SQLite reads in no other way ("locking protocol", after ten seconds).
 *
 * @throws What SQLite throws; see {@linkcode toDatabaseError}.
 */
export function openToRead(path: string): DatabaseSync {
  const url = pathToFileURL(path);
  url.search = "?mode=ro&readonly_shm=1";
  const isShared = Deno.build.os !== "windows" && existsSync(`${path}-shm`) &&
    isLocked(dirname(path)) !== false;
  return new DatabaseSync(isShared ? url.href : path, { readOnly: true });
}

/** Refuses what cannot be brought to our schema: one that is newer, and one that is older and only looked at. */
function refuseOtherVersions(
  db: DatabaseSync,
  { length: known }: readonly string[],
  operation: string,
  readOnly: boolean,
): void {
  const found = versionOf(db);
  if (found === known || (found < known && !readOnly)) return;
  throw new FilesyncError({
    code: "upgrade",
    operation,
    reason: `it has schema version ${found}, and this filesync knows version ${known}`,
    hint: found > known
      ? "Upgrade filesync to the version that wrote it"
      : "Restart the running filesync with this version; that brings it up to date",
    permanent: true,
  });
}

function migrate(db: DatabaseSync, migrations: readonly string[]): void {
  for (let version = versionOf(db); version < migrations.length; version++) {
    transaction(db, () => {
      // Another process may have done this step while we waited for the write lock.
      if (versionOf(db) !== version) return;
      db.exec(migrations[version]);
      db.exec(`PRAGMA user_version = ${version + 1}`);
    });
  }
}

function versionOf(db: DatabaseSync): number {
  return db.prepare("PRAGMA user_version").get()!.user_version as number;
}

/**
 * Runs `fn` in one transaction that holds the write lock from its start, so that it cannot fail
 * half-way for another writer. Commits when `fn` returns, rolls back when it throws.
 *
 * Within another transaction it is a savepoint of that one: what `fn` did is undone when `fn`
 * throws, and is durable only when the outermost commits. `fn` must not be asynchronous.
 *
 * @throws Whatever `fn` throws; errors of SQLite as `toFilesyncError` makes them.
 */
export function transaction<T>(db: DatabaseSync, fn: () => T): T {
  const nested = db.isTransaction;
  try {
    db.exec(nested ? "SAVEPOINT nested" : "BEGIN IMMEDIATE");
    try {
      const result = fn();
      db.exec(nested ? "RELEASE nested" : "COMMIT");
      return result;
    } catch (error) {
      // SQLite itself rolls back after some errors, such as a full disk.
      if (db.isTransaction) db.exec(nested ? "ROLLBACK TO nested; RELEASE nested" : "ROLLBACK");
      throw error;
    }
  } catch (error) {
    if (!isDatabaseError(error)) throw error;
    throw toFilesyncError(`write the database ${JSON.stringify(db.location() ?? "in memory")}`, error);
  }
}

function isDatabaseError(error: unknown): error is Error {
  return error instanceof Error && (error as { code?: unknown }).code === "ERR_SQLITE_ERROR";
}
