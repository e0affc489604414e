/**
 * The durable action queue: what is still to be done to a receiver, in SQLite. {@linkcode ActionQueue}
 * hands out {@linkcode QueuedAction}s whose order does not matter among each other, and keeps each
 * until it is {@linkcode ActionQueue.done}. Rules for joining actions are in `coalesce.ts`,
 * the question who waits for whom in `claims.ts`, the tables in `rows.ts`.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type Action, pathsOf } from "../core/action.ts";
import { backoffDelay, type BackoffOptions, LONGEST_DELAY_MS } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { rangeBelow, type TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import { transaction } from "../database/open.ts";
import { ancestorsOf, Claims, isFill } from "./claims.ts";
import { coalesce, type Joining, remainderOf, successorOf } from "./coalesce.ts";
import {
  ACTION_COLUMNS,
  actionColumns,
  type ActionRow,
  QUEUE_MIGRATION,
  type QueuedAction,
  queuedAction,
  type Totals,
} from "./rows.ts";

export { QUEUE_MIGRATION, type QueuedAction };

/** Settings of {@linkcode ActionQueue}. */
export interface QueueOptions {
  clock: Clock;
  /** A number in [0, 1), for the backoff's jitter. @default {Math.random} */
  random?: () => number;
  backoff?: BackoffOptions;
}

/** An action of the queue with what only this process knows of it. */
type Row = QueuedAction & { inFlight: boolean };

/** Rows read at a time while looking for what is ready. */
const PAGE = 512;

/**
 * The queue of actions in a database that has {@linkcode QUEUE_MIGRATION}.
 *
 * Methods that change it run in a transaction, or within the caller's, so that the caller
 * can change tables of its own along with it; when that is rolled back, what was in flight waits
 * again. One process changes a queue; any other may look at it through a database opened read-only.
 */
export class ActionQueue {
  readonly #db: DatabaseSync;
  readonly #clock: Clock;
  readonly #backoff: BackoffOptions;
  readonly #statements = new Map<string, StatementSync>();
  readonly #inFlight = new Map<number, Action>();
  /** What is in flight, for the question of what it keeps waiting. */
  readonly #claims = new Claims();
  readonly #waiters = new Set<() => void>();
  /** Every row up to this one is in flight or failed: there is nothing to take. */
  #floor = 0;

  constructor(db: DatabaseSync, { clock, random, backoff }: QueueOptions) {
    this.#db = db;
    this.#clock = clock;
    this.#backoff = { ...backoff, ...(random === undefined ? {} : { random }) };
  }

  /** Actions that are waiting or in flight. */
  get size(): number {
    return this.#totals().size;
  }

  /** Bytes of content that those actions put. */
  get bytes(): number {
    return this.#totals().bytes;
  }

  /** Actions that failed for good. */
  get failedCount(): number {
    return this.#totals().failed;
  }

  /**
   * Adds actions in order, coalescing them with what waits. What failed for good at the same path,
   * or below a removed one, is forgotten: it has been overtaken.
   *
   * @param actions `fresh`: the receiver had nothing at the path before this action, so that
   * putting and removing it leaves nothing to do. For a move, `path` is meant.
   */
  add(actions: readonly { action: Action; fresh?: boolean }[]): void {
    if (actions.length === 0) return;
    this.#change((totals) => {
      const alone = this.#aloneAmong(actions.map(({ action }) => action), totals);
      for (const { action, fresh = false } of actions) this.#join({ action, fresh }, totals, alone);
    });
    this.#notify();
  }

  /**
   * The next actions that are ready and depend on nothing earlier that is still in the queue, in
   * order. They are in flight until they are given to `done`, `retry`, `release` or `fail`; a restart
   * makes them wait again. The try is counted durably before they are returned, therefore
   * not within a transaction of the caller's.
   *
   * @param limits Most actions, and most bytes of content; one action is returned even if it is bigger.
   */
  take(limits: { items: number; bytes: number }): QueuedAction[] {
    if (this.#db.isTransaction) throw new Error("Cannot take from the queue within a transaction");
    const taken = this.#ready(limits);
    if (taken.length === 0) return taken;
    transaction(this.#db, () => {
      this.#sql(
        "UPDATE queue_actions SET attempts = attempts + 1, tried = 1 WHERE id IN (SELECT value FROM json_each(?))",
      ).run(JSON.stringify(taken.map(({ id }) => id)));
    });
    for (const row of taken) {
      row.attempts++;
      row.tried = true;
      this.#inFlight.set(row.id, row.action);
      this.#claims.add(row.action);
    }
    return taken;
  }

  /** Forgets actions that were done. */
  done(ids: readonly number[]): void {
    this.#change((totals) => this.#deleteAll(ids, totals), ids);
  }

  /**
   * Puts back actions that were tried and failed for now. They wait with exponential backoff, and
   * never shorter than the problem says; one that a later action has made pointless is dropped, and
   * that one waits in its stead.
   */
  retry(ids: readonly number[], problem: Problem): void {
    const now = this.#clock.now();
    this.#change((totals) => {
      const delay = this.#sql(
        "UPDATE queue_actions SET attempts = ?, ready_at = ?, error = ?, tried = 1 WHERE id = ?",
      );
      for (const row of this.#rows(ids)) {
        const readyAt = now + backoffDelay(Math.max(row.attempts, 1), problem.retryAfter, this.#backoff);
        const successor = this.#succeed(row, totals);
        delay.run(row.attempts, readyAt, JSON.stringify(problem), successor?.id ?? row.id);
      }
    }, ids);
  }

  /** Puts actions back at once and takes back the counted try: it was not they that failed. */
  release(ids: readonly number[]): void {
    this.#change((totals) => {
      const uncount = this.#sql("UPDATE queue_actions SET attempts = max(attempts - 1, 0) WHERE id = ?");
      for (const row of this.#rows(ids)) {
        if (this.#succeed(row, totals) === undefined) uncount.run(row.id);
      }
    }, ids);
  }

  /**
   * Moves an action that failed for good to the failed ones, where it blocks nothing, until its path
   * is queued again or {@linkcode retryFailed}. One that later actions have overtaken is not
   * kept; what a removal or a move then left undone is for the next full comparison to find.
   */
  fail(id: number, problem: Problem): void {
    this.#change((totals) => {
      for (const row of this.#rows([id])) {
        let left: Action | undefined = row.action;
        for (const { action } of this.#later(row)) left = left && remainderOf(left, action);
        this.#delete(id, totals);
        if (left !== undefined) this.#insert({ action: left, fresh: false, after: row }, totals, problem);
      }
    }, [id]);
  }

  /**
   * Queues what failed for good anew, as if it had never been tried.
   *
   * @param path Only what failed there and below.
   * @returns How many there were.
   */
  retryFailed(path?: TreePath): number {
    const rows = path === undefined
      ? this.failed()
      : this.#related(path, true).filter(({ action }) =>
        action.path === path || action.path.startsWith(rangeBelow(path).low)
      );
    if (rows.length === 0) return 0;
    this.#change((totals) => {
      for (const { id, action } of rows) {
        this.#delete(id, totals);
        this.#join({ action, fresh: false }, totals);
      }
    });
    this.#notify();
    return rows.length;
  }

  /** Lets what waits for another try be taken at once, as if it were the first. */
  retryNow(): void {
    this.#change(() => {
      this.#sql(
        "UPDATE queue_actions SET attempts = 0, ready_at = min(ready_at, ?) WHERE tried = 1 AND failed = 0",
      ).run(this.#clock.now());
    });
    this.#notify();
  }

  /** What failed for good. */
  failed(limit = -1): QueuedAction[] {
    return this.#sql("SELECT * FROM queue_actions WHERE failed = 1 ORDER BY id LIMIT ?").all(limit)
      .map(queuedAction);
  }

  /** What failed for now and waits for another try. */
  retrying(limit = -1): QueuedAction[] {
    return this.#sql(`
      SELECT * FROM queue_actions WHERE tried = 1 AND failed = 0 AND error IS NOT NULL ORDER BY ready_at LIMIT ?`)
      .all(limit).map(queuedAction);
  }

  /** Whether anything waits for another try after fewer than `tries` failed ones. */
  isRetrying(tries: number): boolean {
    return this.#sql(
      "SELECT 1 FROM queue_actions WHERE tried = 1 AND failed = 0 AND error IS NOT NULL AND attempts < ? LIMIT 1",
    )
      .get(tries) !== undefined;
  }

  /** What is waiting or in flight, in order. */
  pending(limit = -1): QueuedAction[] {
    return this.#sql("SELECT * FROM queue_actions WHERE failed = 0 ORDER BY id LIMIT ?").all(limit)
      .map(queuedAction);
  }

  /** Everything in the queue, failed or not, that touches `path`, what is above it or what is below it. */
  about(path: TreePath): QueuedAction[] {
    return [...this.#related(path, false), ...this.#related(path, true)].map(({ inFlight: _, ...row }) =>
      row
    );
  }

  /**
   * When the earliest action that is not in flight can be taken, milliseconds since the epoch:
   * now, if some can; else the end of the next backoff. `undefined` when none waits for time to
   * pass, only for what is in flight.
   */
  nextReadyAt(): number | undefined {
    const [first] = this.#ready({ items: 1, bytes: 0 });
    if (first !== undefined) return Math.min(first.readyAt, this.#clock.now());
    const row = this.#sql(
      "SELECT min(ready_at) AS at FROM queue_actions WHERE tried = 1 AND failed = 0 AND ready_at > ?",
    ).get(this.#clock.now())!;
    return row.at === null ? undefined : row.at as number;
  }

  /**
   * Resolves when, after this call, anything was added or came back from flight in whatever way,
   * so that there may be more to take.
   *
   * @throws The signal's reason, when it aborts first.
   */
  changed(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const wake = () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      const abort = () => {
        this.#waiters.delete(wake);
        reject(signal!.reason);
      };
      this.#waiters.add(wake);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  #notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  /** Ends the flight of actions. */
  #land(ids: readonly number[]): void {
    for (const id of ids) {
      const action = this.#inFlight.get(id);
      if (action === undefined) continue;
      this.#inFlight.delete(id);
      this.#claims.delete(action);
      this.#floor = Math.min(this.#floor, id - 1);
    }
    this.#notify();
  }

  /**
   * What could be taken. Whatever is in flight blocks what depends on it, wherever it is in the order:
   * were it later, it would have been blocked itself.
   */
  #ready({ items, bytes }: { items: number; bytes: number }): QueuedAction[] {
    const now = this.#clock.now();
    const earlier = new Claims();
    const found: QueuedAction[] = [];
    const page = this.#sql("SELECT * FROM queue_actions WHERE id > ? AND failed = 0 ORDER BY id LIMIT ?");
    let room = bytes;
    let isPrefix = true;
    for (let after = this.#floor; found.length < items;) {
      const rows = page.all(after, Math.min(PAGE, items + 1));
      for (const row of rows) {
        const id = row.id as number;
        if (this.#inFlight.has(id)) {
          if (isPrefix) this.#floor = id;
          continue;
        }
        isPrefix = false;
        const queued = queuedAction(row);
        const { action, tried, readyAt } = queued;
        // The clock may have been set back since: what was never tried waits for no time, all else not that long.
        const isDue = !tried || readyAt <= now || readyAt > now + LONGEST_DELAY_MS;
        if (isDue && !this.#claims.blocks(action) && !earlier.blocks(action)) {
          room -= row.size as number;
          if (found.length === items || (room < 0 && found.length > 0)) return found;
          found.push(queued);
        }
        earlier.add(action);
      }
      if (rows.length < Math.min(PAGE, items + 1)) break;
      after = rows.at(-1)!.id as number;
    }
    return found;
  }

  /**
   * Adds one action.
   *
   * @param alone Paths to which nothing in the queue matters; those that were used are taken out.
   */
  #join(
    { action, fresh, after }: Joining<Row>,
    totals: Totals,
    alone: Set<TreePath> = new Set(),
  ): void {
    if (totals.failed > 0) {
      for (const row of this.#relatedTo(action, true)) {
        // It was tried, and may be at the receiver after all.
        fresh = false;
        this.#overtake(row, action, totals);
      }
    }
    if (isFill(action) && alone.delete(action.path)) return this.#insert({ action, fresh, after }, totals);

    const { drop, replace, insert, append } = coalesce(this.#relatedTo(action, false), action, fresh);
    for (const { id } of drop) this.#delete(id, totals);
    if (replace !== undefined) this.#replace(replace.row, replace.by, totals);
    if (insert !== undefined) this.#insert({ ...insert, after }, totals);
    for (const joining of append) this.#join(joining, totals);
  }

  /** Leaves of an action that failed for good what is still to be done once `next` is queued. */
  #overtake(row: Row, next: Action, totals: Totals): void {
    const left = remainderOf(row.action, next);
    if (left === undefined) this.#delete(row.id, totals);
    else if (left !== row.action) this.#replace(row, left, totals);
  }

  /** Drops `row` if a later action makes it pointless, and returns that one. */
  #succeed(row: Row, totals: Totals): Row | undefined {
    const successor = successorOf(row.action, this.#later(row));
    if (successor !== undefined) this.#delete(row.id, totals);
    return successor;
  }

  /**
   * The paths where one of `actions` puts something to which nothing in the queue matters, nor any
   * of `actions` before it; some may be left out.
   */
  #aloneAmong(actions: readonly Action[], totals: Totals): Set<TreePath> {
    const met = new Set<TreePath>();
    const free: TreePath[] = [];
    for (const action of actions) {
      if (action.type === "move") return new Set();
      if (isFill(action) && !met.has(action.path)) free.push(action.path);
      met.add(action.path);
      for (const ancestor of ancestorsOf(action.path)) met.add(ancestor);
    }
    if (totals.size + totals.failed === 0) return new Set(free);
    // Names that begin with the path's and go on with a character below "0" are in the range too.
    const rows = this.#sql(
      "SELECT value FROM json_each(?)" +
        " WHERE NOT EXISTS (SELECT 1 FROM queue_actions WHERE path >= value AND path < value || '0')" +
        " AND NOT EXISTS (SELECT 1 FROM queue_actions WHERE source IS NOT NULL)",
    ).all(JSON.stringify(free));
    return new Set(rows.map(({ value }) => value as TreePath));
  }

  /** What comes after `row` and touches what it touches. */
  #later(row: Row): Row[] {
    return this.#relatedTo(row.action, false).filter(({ id }) => id > row.id);
  }

  /** What `coalesce` asks for. */
  #relatedTo(action: Action, failed: boolean): Row[] {
    const rows = pathsOf(action).flatMap((path) => this.#related(path, failed));
    if (action.type !== "move") return rows;
    const origins = rows.flatMap(({ action: other }) =>
      other.type === "move" && other.path === action.from ? this.#related(other.from, failed) : []
    );
    return inOrder([...rows, ...origins]);
  }

  /** Actions that touch `path`, its ancestors or what is below it, in order. */
  #related(path: TreePath, failed: boolean): Row[] {
    const lineage = JSON.stringify([path, ...ancestorsOf(path)]);
    const { low, high } = rangeBelow(path);
    const found = this.#sql(
      "SELECT * FROM queue_actions WHERE path IN (SELECT value FROM json_each(:lineage))" +
        " UNION ALL SELECT * FROM queue_actions WHERE path >= :low AND path < :high" +
        " UNION ALL SELECT * FROM queue_actions WHERE source IN (SELECT value FROM json_each(:lineage))" +
        " UNION ALL SELECT * FROM queue_actions WHERE source >= :low AND source < :high",
    ).all({ lineage, low, high });
    return inOrder(found.filter((row) => row.failed === (failed ? 1 : 0)).map((row) => this.#row(row)));
  }

  #rows(ids: readonly number[]): Row[] {
    const find = this.#sql("SELECT * FROM queue_actions WHERE id = ? AND failed = 0");
    return ids.map((id) => find.get(id)).filter((row) => row !== undefined).map((row) => this.#row(row));
  }

  #row(row: ActionRow): Row {
    return { ...queuedAction(row), inFlight: this.#inFlight.has(row.id as number) };
  }

  /** Adds a row at the end; with a `problem`, to what failed for good. */
  #insert({ action, fresh, after }: Joining<Row>, totals: Totals, problem?: Problem): void {
    const now = this.#clock.now();
    const error = problem ?? after?.error;
    this.#sql(
      `INSERT INTO queue_actions (${ACTION_COLUMNS}, id, fresh, tried, failed, attempts, ready_at, queued_at, error)` +
        ` VALUES (${"?, ".repeat(ACTION_COLUMNS.length)} ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      ...actionColumns(action),
      totals.nextId++,
      fresh ? 1 : 0,
      after?.tried ? 1 : 0,
      problem === undefined ? 0 : 1,
      after?.attempts ?? 0,
      after?.readyAt ?? now,
      after?.queuedAt ?? now,
      error === undefined ? null : JSON.stringify(error),
    );
    if (problem !== undefined) {
      totals.failed++;
    } else {
      totals.size++;
      totals.bytes += sizeOf(action);
    }
  }

  /** Gives the place of `row`, and its tries, to another action. */
  #replace({ id, action }: Row, by: Action, totals: Totals): void {
    this.#sql(`UPDATE queue_actions SET (${ACTION_COLUMNS}) = (?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?`)
      .run(...actionColumns(by), id);
    totals.bytes += sizeOf(by) - sizeOf(action);
  }

  #delete(id: number, totals: Totals): void {
    this.#deleteAll([id], totals);
  }

  #deleteAll(ids: readonly number[], totals: Totals): void {
    const rows = this.#sql(
      "DELETE FROM queue_actions WHERE id IN (SELECT value FROM json_each(?)) RETURNING size, failed",
    ).all(JSON.stringify(ids));
    for (const { size, failed } of rows) {
      if (failed === 1) {
        totals.failed--;
      } else {
        totals.size--;
        totals.bytes -= size as number;
      }
    }
  }

  /**
   * Runs `fn` in a transaction, and stores the sums it changed.
   *
   * @param landing These are in flight no more, even if that cannot be recorded because the disk is full.
   */
  #change(fn: (totals: Totals) => void, landing: readonly number[] = []): void {
    try {
      transaction(this.#db, () => {
        const totals = this.#totals();
        fn(totals);
        this.#sql("UPDATE queue_totals SET next_id = ?, size = ?, bytes = ?, failed = ?")
          .run(totals.nextId, totals.size, totals.bytes, totals.failed);
      });
    } finally {
      if (landing.length > 0) this.#land(landing);
    }
  }

  #totals(): Totals {
    const row = this.#sql("SELECT * FROM queue_totals").get()!;
    return {
      nextId: row.next_id as number,
      size: row.size as number,
      bytes: row.bytes as number,
      failed: row.failed as number,
    };
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) this.#statements.set(text, statement = this.#db.prepare(text));
    return statement;
  }
}

/** Bytes of content that an action carries. */
function sizeOf(action: Action): number {
  return action.type === "put" ? action.size : 0;
}

/** The rows in order, each once. */
function inOrder(rows: readonly Row[]): Row[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return [...byId.values()].sort((a, b) => a.id - b.id);
}
