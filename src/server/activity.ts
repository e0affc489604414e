/** What happens at the server now: the last changes, and how much came when. @module */
import type { Action } from "../core/action.ts";
import type { Clock } from "../core/clock.ts";
import type { Problem } from "../core/problem.ts";
import type { Batch, BatchResult, HistoryRecord } from "../transport/receiver.ts";
import { type Amounts, RateSeries } from "./rate_series.ts";
import type { Session } from "./sessions.ts";

/** A change that was made, or an action that could not be done. */
export type Arrival = { record: HistoryRecord; client: string } | {
  problem: Problem;
  time: number;
  client: string;
};

/** Arrivals that are remembered. */
const REMEMBERED = 100;

/** What came since the server started, in a constant amount of memory. */
export class Activity {
  /** By the second, for five minutes. */
  readonly seconds: RateSeries = new RateSeries(1_000, 300);
  /** By the quarter of an hour, for a day. */
  readonly quarters: RateSeries = new RateSeries(900_000, 96);
  /** In all. */
  readonly totals: Amounts & { problems: number } = { received: 0, stored: 0, changes: 0, problems: 0 };
  /** When the server started, milliseconds since the epoch. */
  readonly since: number;
  readonly #clock: Clock;
  /** Newest first. */
  #arrivals: Arrival[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.since = clock.now();
  }

  /** The last changes and problems, newest first. */
  get arrivals(): readonly Arrival[] {
    return this.#arrivals;
  }

  /** Counts bytes of a body that was read. */
  received(bytes: number, session: Session | undefined): void {
    if (bytes === 0) return;
    this.#add({ received: bytes });
    if (session !== undefined) session.receivedBytes += bytes;
  }

  /** Counts a batch that was applied, and remembers what it did. */
  applied(batch: Batch, result: BatchResult, session: Session | undefined): void {
    const now = this.#clock.now();
    const came: Arrival[] = [];
    const sum = { stored: 0, changes: 0 };
    const client = session?.client ?? "";
    for (const one of outcomesOf(batch, result, now)) {
      if ("problem" in one) {
        this.totals.problems++;
        came.push({ ...one, time: now, client });
        continue;
      }
      sum.changes++;
      if (one.record.what === "put") sum.stored += one.record.size ?? 0;
      came.push({ ...one, client });
    }
    this.#add(sum);
    if (session !== undefined) session.storedBytes += sum.stored;
    this.#arrivals = [...came.slice(-REMEMBERED).reverse(), ...this.#arrivals].slice(0, REMEMBERED);
  }

  /** Bytes and changes a second, over the last three whole seconds. */
  get rate(): Amounts {
    const last = this.seconds.values(this.#clock.now()).slice(-4, -1);
    const mean = (key: keyof Amounts) => last.reduce((sum, one) => sum + one[key], 0) / last.length;
    return { received: mean("received"), stored: mean("stored"), changes: mean("changes") };
  }

  #add(amounts: Partial<Amounts>): void {
    const now = this.#clock.now();
    this.seconds.add(now, amounts);
    this.quarters.add(now, amounts);
    for (const [key, amount] of Object.entries(amounts)) this.totals[key as keyof Amounts] += amount;
  }
}

/** What became of each action of a batch, in order: a change as the history has it, or a problem. */
export function* outcomesOf(
  { actions }: Batch,
  { before, results }: BatchResult,
  now: number,
): Generator<{ record: HistoryRecord } | { problem: Problem }> {
  let sequence = before;
  for (const [i, action] of actions.entries()) {
    const result = results[i];
    if (result.done) yield { record: recordOf(action, ++sequence, now) };
    else yield { problem: result.problem };
  }
}

function recordOf(action: Action, sequence: number, time: number): HistoryRecord {
  return {
    sequence,
    time,
    what: action.type,
    path: action.path,
    ...(action.type === "move" ? { from: action.from } : {}),
    ...(action.type === "put" ? { size: action.size, digest: action.digest } : {}),
  };
}
