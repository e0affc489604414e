/** A catalog in PostgreSQL, in the schema `filesystem` of a database. @module */
import type { Buffer } from "node:buffer";
import type { Writable } from "node:stream";
import postgres from "postgres";
import { type ErrorCode, FilesyncError, toFilesyncError } from "../core/errors.ts";
import { sweepInterrupted } from "./directory_ids.ts";
import { type Listing, stampRows } from "./listing.ts";
import { certainRows, changedRows, concat, knownEntries } from "./listing_changes.ts";
import { catalogMigrations } from "./schema.ts";
import { isBelow, isSamePath, POSTGRES, type Row, type Sql, type Value } from "./sql.ts";
import type { Staging, StagingOptions, StagingTables, Store } from "./store.ts";

/** Settings of {@linkcode openPostgresStore}. */
export interface PostgresOptions {
  /** Used when the URL has none. */
  password?: string;
  /** Whether it is only looked at. @default {false} */
  readOnly?: boolean;
}

/** Rows of one piece of a long answer. */
const PIECE_ROWS = 1000;

/** Classes of advisory locks. Numbers of two halves, so that they meet nobody else's: "fs" and ours. */
const LOCKS = { name: 0x66730001, scan: 0x66730002, merge: 0x66730003, schema: 0x66730004 };

type Client = ReturnType<typeof connect>;

/**
 * Opens the catalog at a `postgres://` URL; `?host=/directory` names a socket. Its tables are made when they are
 * missing.
 *
 * @throws {FilesyncError} `unreachable`; `unauthorized`; `upgrade` when a newer version wrote it.
 */
export async function openPostgresStore(url: URL, options: PostgresOptions = {}): Promise<Store> {
  const name = `postgres://${url.username && `${url.username}@`}${url.host}${url.pathname}`;
  let breaks = 0;
  const client = connect(url, { ...options, onBreak: () => breaks++ });
  const sql = new PostgresSql(client, name, () => breaks);
  try {
    await migrate(sql, name, options.readOnly ?? false);
  } catch (error) {
    await client.end();
    throw error;
  }
  return new PostgresStore(name, client, sql, () => connect(url, options));
}

/** A connection of its own, which opens when it is first used. */
function connect(
  url: URL,
  { password, readOnly = false, onBreak }: PostgresOptions & { onBreak?: () => void },
) {
  const socket = url.searchParams.get("host");
  const ssl = url.searchParams.get("sslmode");
  return postgres({
    host: socket ?? (url.hostname || "localhost"),
    port: Number(url.port || 5432),
    database: decodeURIComponent(url.pathname.slice(1)) || "postgres",
    username: decodeURIComponent(url.username) || "postgres",
    password: decodeURIComponent(url.password) || password,
    ssl: ssl === null || ssl === "disable" ? false : ssl as "require" | "prefer" | "verify-full",
    max: 1,
    // The locks of a scan last as long as its connection, which would be changed for a new one after half an hour.
    max_lifetime: null,
    onclose: onBreak,
    onnotice: () => {},
    connection: {
      application_name: "filesync",
      search_path: "filesystem, public",
      // Compiling a statement takes a hundred times as long as a look at a few directories.
      jit: "off",
      // A COPY lasts as long as its scan, and a merge may take minutes. A number 0 would not be sent.
      options: "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0",
      // What a scan writes before its merge need not be on the disk before the merge is, and is then.
      synchronous_commit: "off",
      ...(readOnly ? { default_transaction_read_only: true } : {}),
    },
    types: {
      // Sums of bigint are numeric. All of ours fit into 53 bits.
      number: { to: 20, from: [20, 1700], serialize: String, parse: Number },
    },
  });
}

async function migrate(sql: Sql, name: string, readOnly: boolean): Promise<void> {
  const migrations = catalogMigrations(POSTGRES);
  const operation = `open the catalog ${name}`;
  const versionOf = async () => {
    const [{ table }] = await sql.query(`SELECT to_regclass('filesystem.schema_version')::text AS "table"`);
    if (table === null) return 0;
    const [{ version }] = await sql.query("SELECT version FROM schema_version");
    return version as number;
  };
  const found = await versionOf();
  if (found > migrations.length || (readOnly && found < migrations.length)) {
    throw new FilesyncError({
      code: "upgrade",
      operation,
      reason: found === 0
        ? "it holds no catalog"
        : `it has schema version ${found}, and this filesync knows version ${migrations.length}`,
      hint: found > migrations.length
        ? "Upgrade filesync to the version that wrote it"
        : "Make or upgrade it with filesync catalog init",
      permanent: true,
    });
  }
  if (found === migrations.length) return;
  await sql.transaction(async () => {
    await sql.query(`SELECT pg_advisory_xact_lock(${LOCKS.schema})`);
    await sql.script(`
      CREATE SCHEMA IF NOT EXISTS filesystem;
      CREATE EXTENSION IF NOT EXISTS ltree WITH SCHEMA filesystem;
      CREATE TABLE IF NOT EXISTS filesystem.schema_version (version int NOT NULL);
      INSERT INTO filesystem.schema_version SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM filesystem.schema_version)`);
    // Another process may have done it while we waited for the lock.
    for (let version = await versionOf(); version < migrations.length; version++) {
      await sql.script(migrations[version]);
      await sql.query("UPDATE schema_version SET version = $1", [version + 1]);
    }
  });
}

class PostgresStore implements Store {
  readonly name: string;
  readonly sql: PostgresSql;
  readonly #client: Client;
  readonly #connectAgain: () => Client;

  constructor(name: string, client: Client, sql: PostgresSql, connectAgain: () => Client) {
    this.name = name;
    this.sql = sql;
    this.#client = client;
    this.#connectAgain = connectAgain;
  }

  async openStaging(options: StagingOptions): Promise<Staging> {
    const { name, scan } = options;
    const [{ ours }] = await this.sql.query(
      `SELECT pg_try_advisory_lock(${LOCKS.name}, hashtext($1)) AS ours`,
      [name],
    );
    if (!ours) {
      throw new FilesyncError({
        code: "locked",
        operation: `scan ${name}`,
        reason: "another process is scanning it",
        hint: "Wait until that has ended",
        permanent: true,
      });
    }
    await this.sql.query(`SELECT pg_advisory_lock(${LOCKS.scan}, $1::int)`, [scan]);
    await this.#dropLeftovers();
    return await PostgresStaging.open(this.sql, this.#connectAgain, this.name, options);
  }

  async merging<T>(fn: () => Promise<T>): Promise<T> {
    return await this.sql.transaction(async () => {
      await this.sql.script("SET LOCAL synchronous_commit = on; SET LOCAL random_page_cost = 1.1");
      await this.sql.query(`SELECT pg_advisory_xact_lock(${LOCKS.merge}, 0)`);
      return await fn();
    });
  }

  async vacuum(): Promise<void> {
    await this.#dropLeftovers();
    await this.sql.query(
      `UPDATE scan_runs SET state = 'interrupted' WHERE state = 'running' AND NOT ${
        isLocked("scan_runs.id")
      }`,
    );
    await sweepInterrupted(this.sql);
    for (const table of ["scan_runs", "scan_problems", "directories", "entries", "changes"]) {
      await this.sql.script(`VACUUM (ANALYZE) ${table}`);
    }
  }

  /** Drops the staging of scans that nobody runs. */
  async #dropLeftovers(): Promise<void> {
    const partitions = await this.sql.query(
      `SELECT relname AS name FROM pg_class
       WHERE relnamespace = 'filesystem'::regnamespace AND relname ~ '^staging_(files|directories)_[0-9]+$'`,
    );
    for (const { name } of partitions) {
      const scan = Number((name as string).replace(/^.*_/, ""));
      const [{ locked }] = await this.sql.query(`SELECT ${isLocked("$1")} AS locked`, [scan]);
      if (!locked) await this.sql.script(`DROP TABLE IF EXISTS ${name}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end({ timeout: 5 });
  }
}

/** The condition that somebody runs a scan, by its number. */
function isLocked(scan: string): string {
  return `EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = ${LOCKS.scan}
    AND objid::bigint = ${scan} AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`;
}

class PostgresSql implements Sql {
  readonly dialect = POSTGRES;
  readonly #client: Client;
  readonly #name: string;
  readonly #breaks: () => number;
  /** While a transaction lasts: how often the connection had broken when it began. */
  #begunAt: number | undefined;

  /** @param breaks How often the connection broke; the client makes a new one by itself. */
  constructor(client: Client, name: string, breaks: () => number) {
    this.#client = client;
    this.#name = name;
    this.#breaks = breaks;
  }

  async query(text: string, parameters: readonly Value[] = []): Promise<Row[]> {
    try {
      this.#requireUnbroken();
      return [...await this.#client.unsafe(text, parameters as postgres.ParameterOrJSON<never>[])] as Row[];
    } catch (error) {
      throw toPostgresError(this.#name, error);
    }
  }

  async script(text: string): Promise<void> {
    try {
      this.#requireUnbroken();
      await this.#client.unsafe(text).simple();
    } catch (error) {
      throw toPostgresError(this.#name, error);
    }
  }

  async *rows(text: string, parameters: readonly Value[] = []): AsyncGenerator<Row[]> {
    try {
      this.#requireUnbroken();
      const query = this.#client.unsafe(text, parameters as postgres.ParameterOrJSON<never>[]);
      for await (const rows of query.cursor(PIECE_ROWS)) yield rows as unknown as Row[];
    } catch (error) {
      throw toPostgresError(this.#name, error);
    }
  }

  async transaction<T>(fn: () => Promise<T>): Promise<T> {
    await this.script("BEGIN");
    this.#begunAt = this.#breaks();
    try {
      const result = await fn();
      await this.script("COMMIT");
      return result;
    } catch (error) {
      // The connection may be what failed.
      await this.script("ROLLBACK").catch(() => {});
      throw error;
    } finally {
      this.#begunAt = undefined;
    }
  }

  /** Refuses to go on with the rest of a transaction on a new connection, where it would be none. */
  #requireUnbroken(): void {
    if (this.#begunAt === undefined || this.#begunAt === this.#breaks()) return;
    throw new FilesyncError({
      code: "unreachable",
      operation: `use the catalog ${this.#name}`,
      reason: "the connection to the server broke",
      hint: "Run it again",
    });
  }
}

/** What begins PostgreSQL's binary format: the signature, no flags, no extension. */
const COPY_HEADER = new Uint8Array([
  ...new TextEncoder().encode("PGCOPY\n"),
  0xff,
  13,
  10,
  0,
  ...new Array(8).fill(0),
]);
const COPY_END = new Uint8Array([0xff, 0xff]);

/** Loads rows into a table by one COPY, on a connection of its own. */
class Copy {
  readonly #client: Client;
  readonly #stream: Writable;
  readonly #done: Promise<unknown>;
  #isOpen = true;

  private constructor(client: Client, stream: Writable) {
    this.#client = client;
    this.#stream = stream;
    this.#done = new Promise((resolve, reject) => stream.on("finish", resolve).on("error", reject));
    this.#done.catch(() => {});
    stream.write(COPY_HEADER);
  }

  static async open(client: Client, table: string): Promise<Copy> {
    const columns = "directory_id, name, kind, size, mtime, inode, first_scan";
    return new Copy(
      client,
      await client.unsafe(`COPY ${table} (${columns}) FROM STDIN (FORMAT binary)`).writable(),
    );
  }

  /** Writes rows, no more at a time than the server takes. */
  async write(rows: Uint8Array): Promise<void> {
    if (this.#stream.write(rows as Buffer)) return;
    const drained = new Promise((resolve) => this.#stream.once("drain", resolve));
    await Promise.race([drained, this.#done]);
  }

  /** Resolves when the server has it all. */
  async finish(): Promise<void> {
    this.#isOpen = false;
    this.#stream.end(COPY_END);
    await this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOpen) this.#stream.destroy();
    await this.#client.end({ timeout: 0 });
  }
}

/**
 * Staging in tables of its own, which become partitions when they are full: as long as a COPY into a partition lasts,
 * no other one can be made. Entries go in, and into the catalog, by COPYs that last as long as the scan;
 * directories by a statement for each share of the work.
 */
class PostgresStaging implements Staging {
  readonly tables: StagingTables;
  readonly #sql: Sql;
  readonly #connect: () => Client;
  readonly #catalog: string;
  readonly #options: StagingOptions;
  readonly #copies = new Map<string, Copy>();
  readonly #isNew: boolean;
  #loading = Promise.resolve();

  private constructor(
    sql: Sql,
    connect: () => Client,
    catalog: string,
    options: StagingOptions,
    tables: StagingTables,
    isNew: boolean,
  ) {
    this.#isNew = isNew;
    this.#sql = sql;
    this.#connect = connect;
    this.#catalog = catalog;
    this.#options = options;
    this.tables = tables;
  }

  /** @param catalog For messages. */
  static async open(
    sql: Sql,
    connect: () => Client,
    catalog: string,
    options: StagingOptions,
  ): Promise<PostgresStaging> {
    const { scan } = options;
    const tables = { directories: `staging_directories_${scan}`, files: `staging_files_${scan}` };
    for (const [kind, table] of Object.entries(tables)) {
      await sql.script(`
        CREATE UNLOGGED TABLE ${table} (LIKE staging_${kind}, CHECK (scan_id = ${scan}));
        ALTER TABLE ${table} ALTER COLUMN scan_id SET DEFAULT ${scan}`);
    }
    const known = await sql.query(
      `SELECT 1 FROM directories d WHERE d.host_id = $1 AND (${isSamePath(POSTGRES, "d.path", "$2::text")})
       UNION ALL
       (SELECT 1 FROM directories d WHERE d.host_id = $1 AND ${
        isBelow(POSTGRES, "d.path", "$2::text")
      } LIMIT 1)`,
      [options.host, options.root],
    );
    return new PostgresStaging(sql, connect, catalog, options, tables, known.length === 0);
  }

  /** Looks up what is known while the share before is still compared and loaded. */
  async add(listings: Listing[]): Promise<void> {
    const known = await this.#look(listings);
    await this.#loading;
    this.#loading = this.#load(listings, known);
    // Whoever waits for it next is told of the error.
    this.#loading.catch(() => {});
  }

  /**
   * What is known of the directories, by their places among the listings. A tree of which nothing was known is not
   * asked about: what another scan records meanwhile is met by the merge.
   */
  async #look(listings: Listing[]): Promise<Map<Value, Row>> {
    if (this.#isNew) return new Map();
    const { host } = this.#options;
    // OFFSET 0 keeps each path a look into the index, whatever the planner takes the table for.
    const found = await this.#sql.query(
      `SELECT i - 1 AS i, changed_scan, same, CASE WHEN NOT same THEN ${knownEntries("d.id")} END AS known
       FROM json_array_elements($1::text::json) WITH ORDINALITY AS g(head, i),
         LATERAL (SELECT id, changed_scan, print IS NOT DISTINCT FROM g.head ->> 1 AND print IS NOT NULL
             AND last_seen IS NULL AS same
           FROM directories d WHERE d.host_id = ${host} AND ${
        isSamePath(POSTGRES, "d.path", "(g.head ->> 0)")
      } OFFSET 0) d`,
      [JSON.stringify(listings.map(({ path, print }) => [path, print ?? null]))],
    );
    return new Map(found.map((row) => [row.i, row]));
  }

  async #load(listings: Listing[], known: Map<Value, Row>): Promise<void> {
    const { scan, ids } = this.#options;
    const same = known.values().filter((row) => row.same).toArray().length;
    if (same === listings.length) return;
    await ids.reserve(listings.length - same);
    const heads: Value[][] = [];
    const staged: Uint8Array[] = [];
    const loaded: Uint8Array[] = [];
    listings.forEach(({ path, print, files, bytes, rows }, i) => {
      const before = known.get(i);
      if (before?.same) return;
      const id = ids.take();
      const [into, some] = before === undefined
        ? [loaded, print === undefined ? certainRows(rows) : rows]
        : [staged, changedRows(rows, before.known as string | null)];
      stampRows(some, id, scan);
      into.push(some);
      heads.push([id, path, print ?? null, files, bytes, before === undefined ? null : before.changed_scan]);
    });
    await this.#sql.query(
      `INSERT INTO ${this.tables.directories} (id, path, print, files, bytes, known_scan)
       SELECT (g ->> 0)::bigint, g ->> 1, g ->> 2, (g ->> 3)::bigint, (g ->> 4)::bigint, (g ->> 5)::bigint
       FROM json_array_elements($1::text::json) AS g`,
      [JSON.stringify(heads)],
    );
    await this.#copy(this.tables.files, concat(staged));
    await this.#copy("entries", concat(loaded));
  }

  async finish(): Promise<void> {
    await this.#loading;
    try {
      for (const copy of this.#copies.values()) await copy.finish();
    } catch (error) {
      throw toPostgresError(this.#catalog, error);
    }
    for (const [kind, table] of Object.entries(this.tables)) {
      await this.#sql.script(
        `ALTER TABLE staging_${kind} ATTACH PARTITION ${table} FOR VALUES IN (${this.#options.scan})`,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loading.catch(() => {});
    for (const copy of this.#copies.values()) await copy[Symbol.asyncDispose]();
    for (const table of Object.values(this.tables)) await this.#sql.script(`DROP TABLE IF EXISTS ${table}`);
    const { name, scan } = this.#options;
    await this.#sql.query(`SELECT pg_advisory_unlock(${LOCKS.scan}, $1::int)`, [scan]);
    await this.#sql.query(`SELECT pg_advisory_unlock(${LOCKS.name}, hashtext($1))`, [name]);
  }

  async #copy(table: string, rows: Uint8Array): Promise<void> {
    if (rows.length === 0) return;
    try {
      let copy = this.#copies.get(table);
      if (copy === undefined) this.#copies.set(table, copy = await Copy.open(this.#connect(), table));
      await copy.write(rows);
    } catch (error) {
      throw toPostgresError(this.#catalog, error);
    }
  }
}

const MEANINGS: Record<string, [code: ErrorCode, reason: string, hint?: string]> = {
  "28P01": ["unauthorized", "the password is wrong", "Give it with --password-file or PGPASSWORD"],
  "28000": ["unauthorized", "the user may not log in", "Check the user in the URL, and pg_hba.conf"],
  "3D000": ["not-found", "there is no such database", "Make it with createdb"],
  "42501": [
    "permission",
    "the user may not do that",
    "Grant it CREATE on the database, once, or rights on the schema",
  ],
  "53100": ["disk-full", "the disk is full", "Free some space; it will be tried again"],
  "25006": ["read-only", "it is opened for reading"],
};

/** Says in the program's words what went wrong with PostgreSQL. */
function toPostgresError(name: string, error: unknown): FilesyncError {
  const operation = `use the catalog ${name}`;
  const { code = "", message = "" } = error as { code?: string; message?: string };
  if (code in MEANINGS) {
    const [known, reason, hint] = MEANINGS[code];
    return new FilesyncError({ code: known, operation, reason, hint, cause: error });
  }
  if (/^(ECONN|ENOTFOUND|EHOST|ETIMEDOUT|ENOENT|CONNECTION_|CONNECT_)/.test(code)) {
    return new FilesyncError({
      code: "unreachable",
      operation,
      reason: `the server does not answer (${message || code})`,
      hint: "Check the host and port in the URL, and whether the server runs",
      cause: error,
    });
  }
  return toFilesyncError(operation, error);
}
