/**
 * Carries out a plan: renames first, then copies of what loses a conflict, then what makes way for something of
 * another kind, then all that is added or changed, and what is removed last. Both sides work at the same time
 * within each of these. What both sides hold is recorded as soon as both have said so.
 *
 * @module
 */
import { pooledMap } from "@std/async";
import type { Action, PutAction } from "../../core/action.ts";
import { backoffDelay } from "../../core/backoff.ts";
import type { Clock } from "../../core/clock.ts";
import { FilesyncError } from "../../core/errors.ts";
import type { TreePath } from "../../core/path.ts";
import { expectationOf } from "../../core/expectation.ts";
import { type Problem, problemOf } from "../../core/problem.ts";
import type { Batch, BatchResult } from "../../transport/receiver.ts";
import { carryContent, INLINE_BYTES, type Party } from "./carry_content.ts";
import { isWithinAny, type Item, type Plan, type Steps, stepsOf } from "./reconcile.ts";
import type { Rename } from "./renames.ts";
import { other, type Side, SIDES } from "./triple.ts";
import {
  noTotals,
  type OnTwoWayEvent,
  type SidedAction,
  type SidedProblem,
  type SideTotals,
} from "./two_way_event.ts";
import type { Settled, TwoWayState } from "./two_way_state.ts";

/** What {@linkcode carryOut} needs. */
export interface CarryOutOptions {
  parties: Record<Side, Party>;
  state: TwoWayState;
  clock: Clock;
  random: () => number;
  /** Ends it after the batches that are under way. */
  signal: AbortSignal;
  onEvent: OnTwoWayEvent;
}

/** What became of a plan. */
export interface CarriedOut {
  totals: Record<Side, SideTotals>;
  problems: SidedProblem[];
}

/** Most actions in one batch, and bytes of content that is not sent along with it. */
const BATCH = { items: 500, bytes: 64 << 20 };

/** Batches under way on one side at the same time, of actions that do not depend on each other. */
const IN_FLIGHT = 3;

/** How often a batch is sent before the sync gives up. */
const TRIES = 4;

/** The steps of items, in order; renames come before all of them. */
const PHASES = ["copy", "clear", "fill", "remove"] as const;
type Phase = typeof PHASES[number];

/** One action and what it is for. */
interface Task {
  item: Item;
  action: Action;
}

/** Whether anything is to be done on either side. */
export function hasActions({ renames, copies, items }: Plan): boolean {
  return copies.length > 0 || renames.some(({ todo }) => todo !== undefined) ||
    items.some((item) => SIDES.some((side) => stepsOf(item, side).action !== undefined));
}

/** Every action of a plan in the order of {@linkcode carryOut}, for those who only want to see it. */
export function actionsOf(plan: Plan): SidedAction[] {
  const renames = plan.renames.flatMap((rename) => rename.todo === undefined ? [] : [moveOf(rename)]);
  const rest = PHASES.flatMap((phase) =>
    SIDES.flatMap((side) => [...tasksOf(plan, phase, side)].map(({ action }) => ({ side, action })))
  );
  return [...renames, ...rest];
}

/**
 * Carries out `plan`. A problem with one path does not stop the others.
 *
 * @throws {FilesyncError} When a side refuses everything, or is out of reach; what was done by then is recorded.
 */
export async function carryOut(plan: Plan, options: CarryOutOptions): Promise<CarriedOut> {
  const work = new PlanWork(plan, options);
  await work.rename();
  work.settleWhatIsInStep();
  for (const phase of PHASES) {
    // When one side fails, what the other is doing is finished first.
    const ended = await Promise.allSettled(SIDES.map((side) => work.run(phase, side)));
    for (const result of ended) if (result.status === "rejected") throw result.reason;
  }
  return work.outcome();
}

function moveOf({ from, path, todo }: Rename): SidedAction {
  const { side, entry } = todo!;
  return { side, action: { type: "move", from, path, expected: expectationOf(entry) } };
}

/** The tasks of one phase on one side, in order. */
function* tasksOf(plan: Plan, phase: Phase, side: Side): Generator<Task> {
  if (phase === "copy" || phase === "fill") {
    for (const item of phase === "copy" ? plan.copies : plan.items) {
      const { action } = stepsOf(item, side);
      if (action !== undefined && action.type !== "remove") yield { item, action };
    }
    return;
  }
  const makesWay = new Set<TreePath>();
  for (const item of plan.items) if (stepsOf(item, side).clear !== undefined) makesWay.add(item.path);
  if (phase === "clear" && makesWay.size === 0) return;
  // What is in a directory goes before it.
  for (const item of plan.items.toReversed()) {
    const { clear, action }: Steps = stepsOf(item, side);
    const removal = clear ?? (action?.type === "remove" ? action : undefined);
    if (removal !== undefined && (phase === "clear") === isWithinAny(item.path, makesWay)) {
      yield { item, action: removal };
    }
  }
}

class PlanWork {
  readonly #plan: Plan;
  readonly #options: CarryOutOptions;
  readonly #totals = { a: noTotals(), b: noTotals() };
  readonly #problems: SidedProblem[] = [];
  /** How many tasks of an item are not done; an item that is not here has all of them before it. */
  readonly #left = new Map<Item, number>();
  /** Paths of items of which something failed. */
  readonly #failed = new Set<TreePath>();
  /** Where a rename failed: nothing is known of what stands there. */
  readonly #blocked = new Set<TreePath>();
  readonly #total = { items: 0, bytes: 0 };
  readonly #done = { items: 0, bytes: 0 };

  constructor(plan: Plan, options: CarryOutOptions) {
    this.#plan = plan;
    this.#options = options;
    for (const phase of PHASES) {
      for (const side of SIDES) {
        for (const { action } of tasksOf(plan, phase, side)) this.#count(this.#total, action);
      }
    }
    this.#total.items += plan.renames.filter(({ todo }) => todo !== undefined).length;
  }

  outcome(): CarriedOut {
    return { totals: this.#totals, problems: this.#problems };
  }

  /** Does the renames, one after the other: later ones start from where earlier ones led. */
  async rename(): Promise<void> {
    const { state, signal } = this.#options;
    let group: Rename[] = [];
    const flush = async () => {
      if (group.length === 0) return;
      const renames = group;
      group = [];
      const { side } = renames[0].todo!;
      const actions = renames.map((rename) => moveOf(rename).action);
      const { results } = await this.#apply(side, actions, new Map());
      for (const [i, { from, path }] of renames.entries()) {
        const result = results[i];
        if (result.done) {
          state.move(from, path);
          this.#applied(side, actions[i]);
        } else {
          this.#blocked.add(from).add(path);
          this.#problem(side, result.problem);
        }
      }
    };
    for (const rename of this.#plan.renames) {
      const { from, path, todo } = rename;
      if (todo === undefined || group[0]?.todo?.side !== todo.side || group.length >= BATCH.items) {
        await flush();
      }
      if (signal.aborted) this.#blocked.add(from).add(path);
      else if (todo === undefined) state.move(from, path);
      else group.push(rename);
    }
    await flush();
  }

  /** Records what both sides hold without anything having to be done. */
  settleWhatIsInStep(): void {
    const settled: Settled[] = [];
    for (const item of [...this.#plan.copies, ...this.#plan.items]) {
      const tasks = SIDES.flatMap((side) => Object.values(stepsOf(item, side)));
      if (tasks.length > 0) this.#left.set(item, tasks.length);
      else if (!isWithinAny(item.path, this.#blocked)) settled.push(item);
    }
    this.#options.state.settle(settled);
  }

  /** Does what one phase has to do on one side. */
  async run(phase: Phase, side: Side): Promise<void> {
    const inFlight = phase === "clear" || phase === "remove" ? 1 : IN_FLIGHT;
    try {
      const windows = this.#windows(tasksOf(this.#plan, phase, side));
      for await (const _ of pooledMap(inFlight, windows, (tasks) => this.#do(side, tasks)));
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error;
    }
  }

  /** Tasks that go into one batch together; those that have become pointless are left out. */
  *#windows(tasks: Iterable<Task>): Generator<Task[]> {
    const { parties, signal } = this.#options;
    const inline = Math.min(...SIDES.map((side) => parties[side].info.maxBatchBytes));
    const items = Math.min(BATCH.items, ...SIDES.map((side) => parties[side].info.maxBatchItems));
    let window: Task[] = [];
    let [small, big] = [0, 0];
    for (const task of tasks) {
      if (signal.aborted) return;
      const { item: { path, requires }, action } = task;
      if (this.#failed.has(path) || isWithinAny(path, this.#blocked)) continue;
      if (requires !== undefined && this.#failed.has(requires)) continue;
      const size = action.type === "put" ? action.size : 0;
      const isSmall = size <= INLINE_BYTES;
      if (window.length >= items || (isSmall && small + size > inline) || big > BATCH.bytes) {
        yield window;
        window = [];
        [small, big] = [0, 0];
      }
      window.push(task);
      if (isSmall) small += size;
      else big += size;
    }
    if (window.length > 0) yield window;
  }

  async #do(side: Side, tasks: Task[], isAgain = false): Promise<void> {
    const { parties, state } = this.#options;
    const puts = tasks.flatMap(({ item, action }) => needsContent(action, item, side) ? [action] : []);
    const { contents, failed, bytes } = await carryContent(puts, parties[other(side)], parties[side]);
    this.#totals[side].sentBytes += bytes;
    const ready = tasks.filter(({ item, action }) => {
      const error = action.type === "put" && failed.get(action.digest);
      if (!error) return true;
      this.#fail(side, item, problemOf(error, action.path));
      return false;
    });
    if (ready.length === 0) return;
    const { results } = await this.#apply(side, ready.map(({ action }) => action), contents);
    const settled: Settled[] = [];
    const overtaken: Task[] = [];
    for (const [i, { item, action }] of ready.entries()) {
      const result = results[i];
      if (!result.done) {
        // It was there when it was asked for: another action has replaced it since.
        if (!isAgain && result.problem.code === "content-missing") overtaken.push(ready[i]);
        else this.#fail(side, item, result.problem);
        continue;
      }
      this.#applied(side, action);
      const left = this.#left.get(item)! - 1;
      this.#left.set(item, left);
      if (left === 0) settled.push(item);
    }
    state.settle(settled);
    if (overtaken.length > 0) await this.#do(side, overtaken, true);
  }

  /** Sends a batch, again when the answer is lost: its key keeps it from being done twice. */
  async #apply(side: Side, actions: Action[], contents: Batch["contents"]): Promise<BatchResult> {
    const { parties, clock, random } = this.#options;
    const batch: Batch = { key: crypto.randomUUID(), actions, contents };
    for (let tries = 1;; tries++) {
      try {
        return await parties[side].receiver.apply(batch);
      } catch (error) {
        const mayPass = error instanceof FilesyncError && !error.permanent;
        if (!mayPass || tries === TRIES) throw error;
        await clock.sleep(backoffDelay(tries, error.retryAfter, { random }));
      }
    }
  }

  #applied(side: Side, action: Action): void {
    const totals = this.#totals[side];
    totals[action.type]++;
    if (action.type === "put") totals.bytes += action.size;
    this.#count(this.#done, action);
    const { onEvent } = this.#options;
    onEvent({ type: "applied", side, action });
    onEvent({
      type: "progress",
      doneItems: this.#done.items,
      totalItems: this.#total.items,
      doneBytes: this.#done.bytes,
      totalBytes: this.#total.bytes,
      sentBytes: this.#totals.a.sentBytes + this.#totals.b.sentBytes,
      current: action.path,
    });
  }

  #count(sum: { items: number; bytes: number }, action: Action): void {
    sum.items++;
    if (action.type === "put") sum.bytes += action.size;
  }

  #fail(side: Side, item: Item, problem: Problem): void {
    this.#failed.add(item.path);
    this.#problem(side, problem);
  }

  #problem(side: Side, problem: Problem): void {
    this.#problems.push({ side, problem });
    this.#options.onEvent({ type: "problem", side, problem });
  }
}

/** Whether a put brings another content than what stands there. */
function needsContent(action: Action, item: Item, side: Side): action is PutAction {
  const held = item[side];
  return action.type === "put" && !(held?.kind === "file" && held.digest === action.digest);
}
