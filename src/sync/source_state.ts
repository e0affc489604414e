/**
 * What a source remembers between runs, in one database, so that what was seen
 * and what is queued for it are recorded together or not at all.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { type Digest, digestFromBytes, digestToBytes } from "../core/digest.ts";
import { rangeBelow, type TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import { lockState } from "../database/lock.ts";
import { openDatabase } from "../database/open.ts";
import { INDEX_MIGRATIONS } from "../index/schema.ts";
import { TreeIndex } from "../index/tree_index.ts";
import { ActionQueue, QUEUE_MIGRATION } from "../queue/action_queue.ts";
import { sha256 } from "../hashing/sha256.ts";

/** The file in a state directory that holds everything. */
export const STATE_FILE = "state.db";

/** Migrations in order; see `INDEX_MIGRATIONS`. */
const STATE_MIGRATIONS: readonly string[] = [
  INDEX_MIGRATIONS[0] + QUEUE_MIGRATION + `
  -- Paths of the source that could not be read.
  CREATE TABLE problems (path TEXT PRIMARY KEY, problem TEXT NOT NULL, since INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  -- Paths at the receiver that no action of ours put there; never removed.
  CREATE TABLE foreign_paths (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  -- What the receiver holds at paths where something else is queued to be put; the manifest when it is long and known.
  CREATE TABLE bases (path TEXT PRIMARY KEY, digest BLOB NOT NULL, size INTEGER NOT NULL, manifest BLOB) STRICT;
  `,
  INDEX_MIGRATIONS[2],
];

/** Content that the receiver holds, and from which another can be made. */
export interface Base {
  digest: Digest;
  /** Bytes. */
  size: number;
  /** Its chunks, packed; unknown when it was never in this source, and left out when it is small. */
  packedManifest?: Uint8Array<ArrayBuffer>;
}

/** The chunks of what is smaller are not worth remembering, bytes: all of it is compared. */
const SMALL_BASE_BYTES = 1 << 20;

/** A path of the source that could not be read. */
export interface SourceProblem {
  problem: Problem;
  /** Milliseconds since the epoch. */
  since: number;
}

/** Names the state of pushing `source` (a real path) to `destination`. */
export function stateName(source: string, destination: string): string {
  return sha256(new TextEncoder().encode(`${source}\0${destination}`)).slice(0, 16);
}

/** See the module's comment. */
export class SourceState implements Disposable {
  /** What was last seen in the source; everything in it is at the receiver, or queued. */
  readonly index: TreeIndex;
  readonly queue: ActionQueue;
  /** The state directory. */
  readonly directory: string;
  readonly #lock: Disposable | undefined;
  /** The paths of all problems, because every look at a path asks. */
  readonly #troubled: Set<string>;
  /** Whether any path at the receiver is not ours, because every new path asks. */
  #hasForeign: boolean;
  /** The paths that may have a base, because every put asks. */
  readonly #based: Set<string>;

  /**
   * Opens the state in `directory`.
   *
   * @param readOnly For a look from another process; takes no lock.
   * @throws {FilesyncError} `locked` when another process has it, `upgrade` when it is of a newer version.
   */
  constructor(directory: string, { clock, readOnly = false }: { clock: Clock; readOnly?: boolean }) {
    this.directory = directory;
    this.#lock = readOnly ? undefined : lockState(directory, `the push kept in "${directory}"`);
    try {
      const db = openDatabase(`${directory}/${STATE_FILE}`, {
        name: "state",
        migrations: STATE_MIGRATIONS,
        readOnly,
        // A power cut may take the last records away again, but only ever the last ones, and all of
        // a moment together: what was seen and queued then is found anew by the first look, and what
        // was acknowledged is sent once more, and known there.
        synchronous: "NORMAL",
      });
      this.index = new TreeIndex(db);
      this.queue = new ActionQueue(db, { clock });
      this.#troubled = new Set(this.problems().map(({ problem }) => problem.path!));
      this.#based = new Set(this.index.sql("SELECT path FROM bases").all().map(({ path }) => path as string));
      this.#hasForeign = this.index.sql("SELECT 1 FROM foreign_paths LIMIT 1").get() !== undefined;
    } catch (error) {
      this.#lock?.[Symbol.dispose]();
      throw error;
    }
  }

  /** The paths that could not be read. */
  problems(limit = -1): SourceProblem[] {
    const rows = this.index.sql("SELECT problem, since FROM problems ORDER BY path LIMIT ?").all(limit) as {
      problem: string;
      since: number;
    }[];
    return rows.map(({ problem, since }) => ({ problem: JSON.parse(problem), since }));
  }

  /** How many paths could not be read. */
  get problemCount(): number {
    return this.#troubled.size;
  }

  /** Notes that a path could not be read; says whether that is news. */
  addProblem(problem: Problem & { path: string }, now: number): boolean {
    const text = JSON.stringify(problem);
    const known = this.index.sql("SELECT problem FROM problems WHERE path = ?").get(problem.path) as
      | { problem: string }
      | undefined;
    if (known?.problem === text) return false;
    this.#troubled.add(problem.path);
    this.index.sql(`
      INSERT INTO problems VALUES (?, ?, ?) ON CONFLICT (path) DO UPDATE SET problem = excluded.problem`)
      .run(problem.path, text, now);
    return true;
  }

  /** Notes that a path could be read, or is no more. */
  dropProblem(path: string): void {
    if (!this.#troubled.has(path)) return;
    this.index.sql("DELETE FROM problems WHERE path = ?").run(path);
    this.#troubled.delete(path);
  }

  /** Keeps only the problems with `paths`, after a look at the whole source. */
  keepProblems(paths: ReadonlySet<string>): void {
    for (const path of this.#troubled) if (!paths.has(path)) this.dropProblem(path);
  }

  /** The paths at the receiver that are not ours and are `path` or lie below it. */
  foreignWithin(path: TreePath): TreePath[] {
    if (!this.#hasForeign) return [];
    const { low, high } = rangeBelow(path);
    const rows = this.index.sql("SELECT path FROM foreign_paths WHERE path = ? OR (path >= ? AND path < ?)")
      .all(path, low, high) as { path: TreePath }[];
    return rows.map((row) => row.path);
  }

  /** Remembers all paths at the receiver that are not ours. */
  setForeign(paths: Iterable<TreePath>): void {
    this.#hasForeign = this.index.transaction(() => {
      this.index.sql("DELETE FROM foreign_paths").run();
      const insert = this.index.sql("INSERT INTO foreign_paths VALUES (?)");
      let hasForeign = false;
      for (const path of paths) hasForeign = insert.run(path).changes > 0;
      return hasForeign;
    });
  }

  /**
   * Remembers what the receiver holds at `path`, until {@linkcode forgetBases}. To be called before
   * something else is recorded there. What was remembered first stays: it has not been replaced yet.
   */
  rememberBase(path: TreePath, { digest, size }: Base): void {
    this.#based.add(path);
    const manifest = size > SMALL_BASE_BYTES ? this.index.manifestOf(digest) : undefined;
    this.index.sql("INSERT OR IGNORE INTO bases VALUES (?, ?, ?, ?)")
      .run(path, digestToBytes(digest), size, manifest ?? null);
  }

  /** What the receiver holds at `path`, as far as it is known. It may have been lost there since. */
  baseOf(path: TreePath): Base | undefined {
    if (!this.#based.has(path)) return undefined;
    const row = this.index.sql("SELECT digest, size, manifest FROM bases WHERE path = ?").get(path) as
      | { digest: Uint8Array; size: number; manifest: Uint8Array<ArrayBuffer> | null }
      | undefined;
    if (row === undefined) return undefined;
    const { digest, size, manifest } = row;
    return {
      digest: digestFromBytes(digest),
      size,
      ...(manifest === null ? {} : { packedManifest: manifest }),
    };
  }

  /** Forgets what the receiver held where nothing is queued: what was to come there never will. */
  forgetIdleBases(): void {
    this.index.sql("DELETE FROM bases WHERE path NOT IN (SELECT path FROM queue_actions)").run();
  }

  /** Forgets what the receiver held at `paths`: it holds what was put there. */
  forgetBases(paths: Iterable<TreePath>): void {
    const forget = this.index.sql("DELETE FROM bases WHERE path = ?");
    for (const path of paths) if (this.#based.delete(path)) forget.run(path);
  }

  /** Takes a path for ours, whatever stood there at the receiver. */
  claim(path: TreePath): void {
    if (this.#hasForeign) this.index.sql("DELETE FROM foreign_paths WHERE path = ?").run(path);
  }

  [Symbol.dispose](): void {
    this.index[Symbol.dispose]();
    this.#lock?.[Symbol.dispose]();
  }
}
