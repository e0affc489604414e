/** The port of a catalog's database. @module */
import type { DirectoryIds } from "./directory_ids.ts";
import type { Listing } from "./listing.ts";
import type { Sql } from "./sql.ts";

/**
 * A database that holds a catalog. SQLite and PostgreSQL differ in how listings are loaded and who is kept from
 * whom; all else is SQL.
 */
export interface Store extends AsyncDisposable {
  /** How it is named in messages; never with a password. */
  readonly name: string;
  readonly sql: Sql;
  /**
   * A place for the listings of a scan. What an earlier scan of the same name left there, because it was
   * interrupted, is dropped.
   *
   * @throws {FilesyncError} `locked` when another one of the name runs.
   */
  openStaging(options: StagingOptions): Promise<Staging>;
  /** Runs `fn` in a transaction while no other merge runs. */
  merging<T>(fn: () => Promise<T>): Promise<T>;
  /** Drops what interrupted scans left, also those that nobody repeats, and gives freed space back. */
  vacuum(): Promise<void>;
}

/** Of what scan. */
export interface StagingOptions {
  /** Host, root and part: one scan of a name at a time. */
  name: string;
  scan: number;
  host: number;
  /** Absolute, without a slash at the end. */
  root: string;
  ids: DirectoryIds;
}

/** The name of a scan. */
export function scanName(host: string, root: string, kind: string, part: string): string {
  const isWhole = part === "1/1";
  return `${root || "/"} on ${host}` + (kind === "live" ? ", live" : "") +
    (isWhole ? "" : `, part ${part.replace("/", " of ")}`);
}

/** Where the listings of one scan are kept until they are merged. Disposing it drops them. */
export interface Staging extends AsyncDisposable {
  readonly tables: StagingTables;
  /**
   * Takes those listings that are not in the catalog as they are. Of a directory that the catalog knows, what differs
   * is staged; of one that it does not know the entries are written where they will stay: its id is new, so nobody
   * sees them before they are merged.
   */
  add(listings: Listing[]): Promise<void>;
  /** Resolves when all listings can be read from the tables. */
  finish(): Promise<void>;
}

/**
 * The listings of directories that are new or not as they were. `directories` has an id for each, which becomes its
 * own when the catalog does not know it, and `known_scan`: the scan that made the directory what it was when the
 * listing was compared with it, or NULL when it was new and its entries are loaded. `files` has what differs.
 */
export interface StagingTables {
  directories: string;
  files: string;
}
