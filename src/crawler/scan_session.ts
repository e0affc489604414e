/** One scan, from its beginning to its merge. @module */
import { FilesyncError } from "../core/errors.ts";
import type { Problem } from "../core/problem.ts";
import { DirectoryIds, nextDirectoryId, sweepInterrupted } from "./directory_ids.ts";
import { KIND, readListings } from "./listing.ts";
import { keepAdded, merge, type MergeTotals } from "./merge.ts";
import { type Shard, SHARED_LEVELS, WHOLE } from "./shard.ts";
import { isBelow, isSamePath, type Value } from "./sql.ts";
import { scanName, type Staging, type Store } from "./store.ts";
import type { Walked } from "./walker.ts";

/** What a scan is of. */
export interface ScanOptions {
  /** The machine, or whatever a shared file system is known by. */
  host: string;
  /** Absolute, `/`-separated, without a slash at the end. */
  root: string;
  /** @default {WHOLE} */
  shard?: Shard;
  /** `live` for what a watcher saw: it covers only some directories. @default {"scan"} */
  kind?: "scan" | "live";
  /** How it was asked for, and whatever the user wants to keep with it. */
  settings?: Record<string, unknown>;
  metadata?: Record<string, string>;
  /** Whether a root in which nothing is any more was emptied, and its disk not just unmounted. @default {false} */
  allowEmpty?: boolean;
  /** Milliseconds since the epoch. */
  startedAt: number;
}

/** What a scan found and did. */
export interface ScanSummary extends MergeTotals {
  scan: number;
  files: number;
  directories: number;
  /** Size of all files. */
  bytes: number;
  problems: number;
}

/**
 * Begins a scan.
 *
 * @throws {FilesyncError} `locked` when another scan of the same tree or part runs.
 */
export async function beginScan(store: Store, options: ScanOptions): Promise<ScanSession> {
  const { sql } = store;
  const { dialect } = sql;
  const { host, root, shard = WHOLE, kind = "scan" } = options;
  await sql.query("INSERT INTO hosts (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", [host]);
  const [{ id: hostId }] = await sql.query("SELECT id FROM hosts WHERE name = $1", [host]);
  const part = `${shard.index}/${shard.count}`;
  const [last] = await sql.query(
    `SELECT files FROM scan_runs WHERE host = $1 AND root = $2 AND shard = $3 AND kind = 'scan' AND state = 'done'
     ORDER BY id DESC LIMIT 1`,
    [host, root, part],
  );
  const [{ id }] = await sql.query(
    `INSERT INTO scan_runs (host, root, shard, kind, state, started_at, settings, metadata)
     VALUES ($1, $2, $3, $4, 'running', ${dialect.time("$5")}, ${dialect.json("$6")}, ${dialect.json("$7")})
     RETURNING id`,
    [
      host,
      root,
      part,
      kind,
      options.startedAt,
      JSON.stringify(options.settings ?? {}),
      JSON.stringify(options.metadata ?? {}),
    ],
  );
  const scan = id as number;
  try {
    const name = scanName(host, root, kind, part);
    const ids = new DirectoryIds(sql, scan);
    const staging = await store.openStaging({ name, scan, host: hostId as number, root, ids });
    // The lock is ours: whatever else of this name is said to run was interrupted, and this one was not, though
    // somebody may have thought so before we had the lock.
    await sql.query(
      `UPDATE scan_runs SET state = CASE WHEN id = $5 THEN 'running' ELSE 'interrupted' END
       WHERE host = $1 AND root = $2 AND shard = $3 AND kind = $4 AND (state = 'running' OR id = $5)`,
      [host, root, part, kind, scan],
    );
    await sweepInterrupted(sql);
    const apart = await sql.query(
      `SELECT path FROM roots WHERE host_id = $1 AND ${isBelow({ ...dialect, pathKey: same }, "path", "$2")}`,
      [hostId, root],
    );
    return new ScanSession(
      store,
      staging,
      ids,
      options,
      scan,
      hostId as number,
      last?.files as number | undefined,
      apart.map(({ path }) => path as string),
    );
  } catch (error) {
    await sql.query("DELETE FROM scan_runs WHERE id = $1", [scan]);
    throw error;
  }
}

/** A scan that runs. Disposing it before it is finished leaves the catalog as it was. */
export class ScanSession implements AsyncDisposable {
  /** Its number in the catalog. */
  readonly scan: number;
  /** How many files the last scan of the same tree found. */
  readonly estimate: number | undefined;
  /** The trees below its root that are scanned for themselves. */
  readonly apart: readonly string[];
  /** What was found so far. */
  readonly found = { files: 0, directories: 0, bytes: 0, problems: 0 };
  readonly #store: Store;
  readonly #staging: Staging;
  readonly #ids: DirectoryIds;
  readonly #options: ScanOptions;
  readonly #host: number;
  readonly #problems: Problem[] = [];
  readonly #unread: string[] = [];
  #isEmpty = false;
  #isFinished = false;

  constructor(
    store: Store,
    staging: Staging,
    ids: DirectoryIds,
    options: ScanOptions,
    scan: number,
    host: number,
    estimate: number | undefined,
    apart: readonly string[],
  ) {
    this.#store = store;
    this.#staging = staging;
    this.#ids = ids;
    this.#options = options;
    this.#host = host;
    this.scan = scan;
    this.estimate = estimate;
    this.apart = apart;
  }

  /** Takes what a worker found. */
  async add({ packed, problems, unread }: Walked): Promise<void> {
    const listings = [...readListings(packed)];
    for (const { path, files, bytes, rows } of listings) {
      this.found.files += files;
      this.found.bytes += bytes;
      if (path === this.#options.root && rows.length === 0) this.#isEmpty = true;
    }
    this.found.directories += listings.length;
    this.found.problems += problems.length;
    this.#problems.push(...problems);
    this.#unread.push(...unread);
    await this.#staging.add(listings);
  }

  /**
   * Merges all of it into the catalog, in one transaction.
   *
   * @param now Milliseconds since the epoch.
   * @throws {FilesyncError} `brake` when the root is empty and was not.
   */
  async finish(now: number): Promise<ScanSummary> {
    if (this.#isEmpty) await this.#brake();
    await this.#staging.finish();
    const summary = await this.#store.merging(async () => {
      await this.#ids.keep();
      const totals = await merge(this.#store.sql, {
        scan: this.scan,
        host: this.#host,
        staging: this.#staging.tables,
      });
      await this.#keepUnread();
      await this.#linkTops();
      await this.#keepProblems();
      await this.#close(totals, now);
      return { scan: this.scan, ...this.found, ...totals };
    });
    this.#isFinished = true;
    return summary;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#staging[Symbol.asyncDispose]();
    if (this.#isFinished) return;
    await this.#ids.drop();
    await this.#store.sql.query("UPDATE scan_runs SET state = 'interrupted' WHERE id = $1", [this.scan]);
  }

  /**
   * An empty directory is what is left where no disk is mounted any more. All that is known of it would be removed,
   * with fingerprints that took days. Whoever watches a tree has a brake of their own.
   */
  async #brake(): Promise<void> {
    const { root, kind, allowEmpty = false } = this.#options;
    if (allowEmpty || kind === "live") return;
    const { sql } = this.#store;
    const known = await sql.query(
      `SELECT 1 FROM directories d JOIN entries e ON e.directory_id = d.id
       WHERE d.host_id = $1 AND ${isSamePath(sql.dialect, "d.path", "$2")} LIMIT 1`,
      [this.#host, root],
    );
    if (known.length === 0) return;
    throw new FilesyncError({
      code: "brake",
      operation: `scan ${JSON.stringify(root || "/")}`,
      reason: "nothing is in it, and the catalog knows it otherwise",
      hint: "Mount the disk it is on; if it was emptied, add --allow-empty",
      permanent: true,
    });
  }

  /** What could not be read was last seen by an earlier scan. */
  async #keepUnread(): Promise<void> {
    const { sql } = this.#store;
    const { root } = this.#options;
    for (const path of this.#unread) {
      await sql.query(
        `UPDATE directories SET last_seen = coalesce((SELECT max(r.last_scan) FROM roots r WHERE r.host_id = $1
           AND (r.path = $2 OR ${isBelow({ ...sql.dialect, pathKey: same }, "$2", "r.path")})), changed_scan)
         WHERE host_id = $1 AND last_seen IS NULL
           AND ((${isSamePath(sql.dialect, "path", "$3")}) OR (${isBelow(sql.dialect, "path", "$3")}))`,
        [this.#host, root, path],
      );
    }
  }

  /**
   * Names what was scanned in the directories above it, up to the top of the system, with empty ones for those that
   * were never scanned. So whoever scans one of those finds out when it is gone, in whatever order scans of a tree
   * and of parts of it come, or meet.
   */
  async #linkTops(): Promise<void> {
    const { root, shard = WHOLE } = this.#options;
    const tops = shard.count === 1
      ? [root]
      : await this.#newDirectories(`${DEPTH} <= $1`, [depthOf(root) + SHARED_LEVELS]);
    for (let path of [...tops, ...await this.#orphans()]) {
      for (let slash = path.lastIndexOf("/"); slash >= 0; slash = path.lastIndexOf("/")) {
        const [above, name] = [path.slice(0, slash), path.slice(slash + 1)];
        if (!await this.#link(above, name)) break;
        path = above;
      }
    }
  }

  /** New directories in those of which another scan recorded meanwhile what it saw, or that they are gone. */
  async #orphans(): Promise<string[]> {
    const { sql } = this.#store;
    const skipped = await sql.query(
      `SELECT path FROM ${this.#staging.tables.directories} WHERE id NOT IN (SELECT staged FROM placed)`,
    );
    const orphans: string[] = [];
    for (const { path } of skipped as { path: string }[]) {
      const inIt = `${isBelow({ ...sql.dialect, pathKey: same }, "s.path", "$1")} AND ${DEPTH} = $2`;
      orphans.push(...await this.#newDirectories(inIt, [path, depthOf(path) + 1]));
    }
    return orphans;
  }

  /** The paths of directories that are new and fulfil a condition. */
  async #newDirectories(condition: string, parameters: Value[]): Promise<string[]> {
    const rows = await this.#store.sql.query(
      `SELECT s.path FROM placed p JOIN ${this.#staging.tables.directories} s ON s.id = p.staged
       WHERE p.is_new = 1 AND ${condition}`,
      parameters,
    );
    return rows.map(({ path }) => path as string);
  }

  /** Whether `name` was not known in the directory `above` yet. */
  async #link(above: string, name: string): Promise<boolean> {
    const { sql } = this.#store;
    const find = () =>
      sql.query(
        `SELECT id FROM directories WHERE host_id = $1 AND ${isSamePath(sql.dialect, "path", "$2")}`,
        [
          this.#host,
          above,
        ],
      );
    let [directory] = await find();
    if (directory === undefined) {
      await sql.query(
        "INSERT INTO directories (id, host_id, path, files, bytes, changed_scan) VALUES ($1, $2, $3, 0, 0, $4)",
        [await nextDirectoryId(sql, 1), this.#host, above, this.scan],
      );
      [directory] = await find();
    }
    const { id } = directory;
    const known = await sql.query("SELECT 1 FROM entries WHERE directory_id = $1 AND name = $2", [id, name]);
    if (known.length > 0) return false;
    await sql.query(
      `INSERT INTO entries (directory_id, name, kind, size, mtime, inode, first_scan)
       VALUES ($1, $2, ${KIND.directory}, 0, 0, 0, $3)`,
      [id, name, this.scan],
    );
    await keepAdded(sql, this.scan, String(id));
    await sql.query("UPDATE directories SET print = NULL, changed_scan = $1 WHERE id = $2", [this.scan, id]);
    return true;
  }

  async #keepProblems(): Promise<void> {
    for (const { path, code, message } of this.#problems) {
      await this.#store.sql.query("INSERT INTO scan_problems VALUES ($1, $2, $3, $4)", [
        this.scan,
        path ?? this.#options.root,
        code,
        message,
      ]);
    }
  }

  async #close(totals: MergeTotals, now: number): Promise<void> {
    const { sql } = this.#store;
    const { files, directories, bytes, problems } = this.found;
    const staged = await sql.query(`SELECT 1 FROM ${this.#staging.tables.directories} LIMIT 1`);
    if (this.#options.kind === "live" && problems === 0 && staged.length === 0) {
      // Whoever watches looks often where nothing has changed. SQLite gives the number to the next one.
      await sql.query("DELETE FROM scan_runs WHERE id = $1", [this.scan]);
      return;
    }
    await sql.query(
      `UPDATE scan_runs SET state = 'done', finished_at = ${
        sql.dialect.time("$2")
      }, files = $3, directories = $4,
         bytes = $5, problems = $6, added = $7, modified = $8, removed = $9, moved = $10, bytes_added = $11,
         bytes_modified = $12, bytes_removed = $13, growth = $14 WHERE id = $1`,
      [
        this.scan,
        now,
        files,
        directories,
        bytes,
        problems,
        totals.added,
        totals.modified,
        totals.removed,
        totals.moved,
        totals.bytesAdded,
        totals.bytesModified,
        totals.bytesRemoved,
        totals.growth,
      ],
    );
    if (this.#options.kind === "live") return;
    await sql.query(
      `INSERT INTO roots (host_id, path, last_scan) VALUES ($1, $2, $3)
       ON CONFLICT (host_id, path) DO UPDATE SET last_scan = excluded.last_scan`,
      [this.#host, this.#options.root, this.scan],
    );
  }
}

const same = (path: string) => path;

/** How many slashes are in a path of `s`. */
const DEPTH = "length(s.path) - length(replace(s.path, '/', ''))";

function depthOf(path: string): number {
  return path.split("/").length - 1;
}
