/**
 * What a two-way sync remembers between rounds: the last common state of both trees, entry by entry. An entry
 * is recorded when both sides have answered that they hold it, so that a sync that was cut is only ever
 * behind, and finds on both sides what it has not recorded. A power cut may take the last records away; it is
 * only further behind then, and may take what was the newer of two edits for a conflict, in which both are kept.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { digestFromBytes, digestToBytes } from "../../core/digest.ts";
import type { Entry } from "../../core/entry.ts";
import { FilesyncError } from "../../core/errors.ts";
import { rangeBelow, type TreePath } from "../../core/path.ts";
import { lockState } from "../../database/lock.ts";
import { openDatabase, transaction } from "../../database/open.ts";
import type { Side } from "./triple.ts";

/** The file in a state directory that holds everything. */
export const TWO_WAY_FILE = "two_way.db";

/** Migrations in order; see `INDEX_MIGRATIONS`. */
export const TWO_WAY_MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE base (
    path TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('file', 'directory', 'symlink')),
    mtime INTEGER NOT NULL,
    mode INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    digest BLOB,
    target TEXT
  ) STRICT;
  `,
];

/** How both sides were at the end of a sync that left nothing to be done. */
export interface Mark {
  indexIds: Record<Side, string>;
  sequences: Record<Side, number>;
  /** What was asked for: with other settings the same trees may have to be compared again. */
  settings: string;
}

/** What both sides hold at a path now: nothing, when there is no `target`. */
export interface Settled {
  path: TreePath;
  target?: Entry;
}

type BaseRow = [
  path: TreePath,
  kind: Entry["kind"],
  mtime: number,
  mode: number,
  size: number,
  digest: Uint8Array | null,
  target: string | null,
];

const SELECT = "SELECT path, kind, mtime, mode, size, digest, target FROM base";

/** Rows read at once, so that what is recorded meanwhile does not wait. */
const PAGE = 1_000;

/** See the module's comment. */
export class TwoWayState implements Disposable {
  readonly #db: DatabaseSync;
  readonly #lock: Disposable | undefined;
  readonly #statements = new Map<string, StatementSync>();

  /**
   * @param db A database with the tables of {@linkcode TWO_WAY_MIGRATIONS}; closed with the state.
   * @param lock Released with the state.
   */
  constructor(db: DatabaseSync, lock?: Disposable) {
    this.#db = db;
    this.#lock = lock;
  }

  /**
   * Opens the state in `directory`, making it when it is missing.
   *
   * @throws {FilesyncError} `locked` when another process has it, `upgrade` when it is of a newer version.
   */
  static open(directory: string): TwoWayState {
    const lock = lockState(directory, `the two-way sync kept in "${directory}"`);
    try {
      const path = `${directory}/${TWO_WAY_FILE}`;
      return new TwoWayState(
        openDatabase(path, { name: "two-way", migrations: TWO_WAY_MIGRATIONS, synchronous: "NORMAL" }),
        lock,
      );
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /** Opens the state in `directory` to be looked at, while others may work with it. */
  static look(directory: string): TwoWayState {
    const path = `${directory}/${TWO_WAY_FILE}`;
    return new TwoWayState(
      openDatabase(path, { name: "two-way", migrations: TWO_WAY_MIGRATIONS, readOnly: true }),
    );
  }

  /** What it was claimed for. */
  get pair(): [a: string, b: string] | undefined {
    const text = this.#meta("pair");
    return text === undefined ? undefined : JSON.parse(text);
  }

  /**
   * Takes the state for the pair of `a` and `b`, as they are called for good.
   *
   * @throws {FilesyncError} `conflict` when it belongs to another pair.
   */
  claim(a: string, b: string): void {
    const pair = JSON.stringify([a, b]);
    const known = this.#meta("pair");
    if (known !== undefined && known !== pair) {
      const [knownA, knownB] = JSON.parse(known);
      throw new FilesyncError({
        code: "conflict",
        operation: `use the state of "${a}" and "${b}"`,
        reason: `it belongs to "${knownA}" and "${knownB}"`,
        hint: "Name another directory for it",
        permanent: true,
      });
    }
    this.#setMeta("pair", pair);
  }

  /** Forgets the last common state: the next round merges, and removes nothing. */
  forget(): void {
    transaction(this.#db, () => {
      this.#sql("DELETE FROM base").run();
      this.#sql("DELETE FROM meta WHERE key <> 'pair'").run();
    });
  }

  /** The last common state, by path in the order of code points. What is recorded meanwhile may be met or not. */
  *entries(): Generator<Entry> {
    for (let last = "";;) {
      const rows = this.#rows(`WHERE path > ? ORDER BY path LIMIT ${PAGE}`, last);
      if (rows.length === 0) return;
      for (const row of rows) yield toEntry(row);
      last = rows.at(-1)![0];
    }
  }

  /** What stood at `path` on both sides. */
  get(path: TreePath): Entry | undefined {
    const [row] = this.#rows("WHERE path = ?", path);
    return row && toEntry(row);
  }

  /** How many entries there are. */
  get count(): number {
    return (this.#sql("SELECT count(*) AS n FROM base").get() as { n: number }).n;
  }

  /** Records what both sides hold now, all of it or nothing. */
  settle(settled: Iterable<Settled>): void {
    const put = this.#sql("INSERT OR REPLACE INTO base VALUES (?, ?, ?, ?, ?, ?, ?)");
    const remove = this.#sql("DELETE FROM base WHERE path = ?");
    transaction(this.#db, () => {
      for (const { path, target } of settled) {
        if (target === undefined) {
          remove.run(path);
          continue;
        }
        put.run(
          path,
          target.kind,
          target.mtime,
          target.kind === "symlink" ? 0 : target.mode,
          target.kind === "file" ? target.size : 0,
          target.kind === "file" ? digestToBytes(target.digest) : null,
          target.kind === "symlink" ? target.target : null,
        );
      }
    });
  }

  /** Records that what stood at `from`, with all below it, stands at `to` on both sides now. */
  move(from: TreePath, to: TreePath): void {
    const [old, place] = [rangeBelow(from), rangeBelow(to)];
    transaction(this.#db, () => {
      this.#sql("DELETE FROM base WHERE path = ? OR (path >= ? AND path < ?)").run(to, place.low, place.high);
      // substr counts characters, as code points: SQLite measures both sides the same way.
      this.#sql("UPDATE base SET path = ?1 || substr(path, ?2) WHERE path = ?3 OR (path >= ?4 AND path < ?5)")
        .run(to, [...from].length + 1, from, old.low, old.high);
    });
  }

  /** How both sides were when they were last in step; undefined when they are not known to be. */
  get mark(): Mark | undefined {
    const text = this.#meta("mark");
    return text === undefined ? undefined : JSON.parse(text);
  }

  set mark(mark: Mark | undefined) {
    if (mark === undefined) this.#sql("DELETE FROM meta WHERE key = 'mark'").run();
    else this.#setMeta("mark", JSON.stringify(mark));
  }

  /** The directories that were last synced, by what `ReceiverInfo.rootId` says. */
  get roots(): Record<Side, string> | undefined {
    const text = this.#meta("roots");
    return text === undefined ? undefined : JSON.parse(text);
  }

  set roots(roots: Record<Side, string>) {
    this.#setMeta("roots", JSON.stringify(roots));
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close();
    this.#lock?.[Symbol.dispose]();
  }

  /** Whole trees are read by it, so rows come as plain lists. */
  #rows(where: string, value: string): BaseRow[] {
    const text = `${SELECT} ${where}`;
    const isNew = !this.#statements.has(text);
    const statement = this.#sql(text) as unknown as {
      setReturnArrays(on: boolean): void;
      all(value: string): BaseRow[];
    };
    if (isNew) statement.setReturnArrays(true);
    return statement.all(value);
  }

  #meta(key: string): string | undefined {
    return (this.#sql("SELECT value FROM meta WHERE key = ?").get(key) as { value: string } | undefined)
      ?.value;
  }

  #setMeta(key: string, value: string): void {
    this.#sql("INSERT OR REPLACE INTO meta VALUES (?, ?)").run(key, value);
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) this.#statements.set(text, statement = this.#db.prepare(text));
    return statement;
  }
}

function toEntry([path, kind, mtime, mode, size, digest, target]: BaseRow): Entry {
  switch (kind) {
    case "file":
      return { kind, path, size, mtime, mode, digest: digestFromBytes(digest!) };
    case "directory":
      return { kind, path, mtime, mode };
    case "symlink":
      return { kind, path, mtime, target: target! };
  }
}
