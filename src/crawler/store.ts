/** The port of a catalog's database. @module */
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
   * @param name Host, root and part: one scan of a name at a time.
   * @throws {FilesyncError} `locked` when another one runs.
   */
  openStaging(name: string, scan: number, host: number): Promise<Staging>;
  /** Runs `fn` in a transaction while no other merge runs. */
  merging<T>(fn: () => Promise<T>): Promise<T>;
  /** Drops what interrupted scans left, and gives freed space back. */
  vacuum(): Promise<void>;
}

/** Where the listings of one scan are kept until they are merged. Disposing it drops them. */
export interface Staging extends AsyncDisposable {
  readonly tables: { directories: string; files: string };
  /** Takes those listings that are not in the catalog as they are. */
  add(listings: Listing[]): Promise<void>;
  /** Resolves when all listings can be read from the tables. */
  finish(): Promise<void>;
}
