/**
 * What a source remembers between runs, in one database, so that what was seen
 * and what is queued for it are recorded together or not at all.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
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
  `,
];

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
    } catch (error) {
      this.#lock?.[Symbol.dispose]();
      throw error;
    }
  }

  /** The paths that could not be read. */
  problems(): SourceProblem[] {
    const rows = this.index.sql("SELECT problem, since FROM problems ORDER BY path").all() as {
      problem: string;
      since: number;
    }[];
    return rows.map(({ problem, since }) => ({ problem: JSON.parse(problem), since }));
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
    if (this.#troubled.delete(path)) this.index.sql("DELETE FROM problems WHERE path = ?").run(path);
  }

  /** Keeps only the problems with `paths`, after a look at the whole source. */
  keepProblems(paths: ReadonlySet<string>): void {
    for (const path of this.#troubled) if (!paths.has(path)) this.dropProblem(path);
  }

  /** The paths at the receiver that are not ours and are `path` or lie below it. */
  foreignWithin(path: TreePath): TreePath[] {
    const { low, high } = rangeBelow(path);
    const rows = this.index.sql("SELECT path FROM foreign_paths WHERE path = ? OR (path >= ? AND path < ?)")
      .all(path, low, high) as { path: TreePath }[];
    return rows.map((row) => row.path);
  }

  /** Remembers all paths at the receiver that are not ours. */
  setForeign(paths: Iterable<TreePath>): void {
    this.index.transaction(() => {
      this.index.sql("DELETE FROM foreign_paths").run();
      const insert = this.index.sql("INSERT INTO foreign_paths VALUES (?)");
      for (const path of paths) insert.run(path);
    });
  }

  /** Takes a path for ours, whatever stood there at the receiver. */
  claim(path: TreePath): void {
    this.index.sql("DELETE FROM foreign_paths WHERE path = ?").run(path);
  }

  [Symbol.dispose](): void {
    this.index[Symbol.dispose]();
    this.#lock?.[Symbol.dispose]();
  }
}
