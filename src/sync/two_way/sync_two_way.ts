/**
 * One round of two-way sync: both trees are looked at, compared with each other and with the last common
 * state, and brought in step. Whatever cuts it short, the next round goes on from what both sides hold.
 *
 * {@linkcode syncTwoWay} does a round, {@linkcode reconcile} decides, {@linkcode carryOut} acts,
 * {@linkcode TwoWayState} remembers.
 *
 * @module
 */
import type { Clock } from "../../core/clock.ts";
import type { Entry } from "../../core/entry.ts";
import { errorOf, type Problem, problemOf } from "../../core/problem.ts";
import { FilesyncError, toFilesyncError } from "../../core/errors.ts";
import { childOf, parentOf, pathFault, ROOT, type TreePath } from "../../core/path.ts";
import { type IgnoreRules, RULE_FILE } from "../../files/ignore_rules.ts";
import type { Receiver, RefreshedInfo } from "../../transport/receiver.ts";
import { brakeReason } from "../brake.ts";
import { isDamage } from "../verify_tree.ts";
import type { Party } from "./carry_content.ts";
import { actionsOf, carryOut, hasActions } from "./carry_out.ts";
import type { ConflictPolicy } from "./decide.ts";
import { nameClashes } from "./name_clashes.ts";
import { type Conflict, isWithinAny, type Plan, reconcile, withoutRemovals } from "./reconcile.ts";
import { differences, isSame, type Side, SIDES, type Triple } from "./triple.ts";
import {
  noTotals,
  type OnTwoWayEvent,
  type SidedAction,
  type SidedProblem,
  type SideTotals,
  type TwoWayEvent,
} from "./two_way_event.ts";
import type { Mark, Settled, TwoWayState } from "./two_way_state.ts";

/** One of the two trees. */
export interface TwoWaySide {
  receiver: Receiver;
  /** How it is called in messages: `the source`. */
  name: string;
  /** Where it is, in the names of conflict copies: a host's name. */
  host: string;
  /** Whether the receiver keeps a version of every content that is replaced; else losers of conflicts become copies. */
  keepsLosers: boolean;
}

/** Settings of {@linkcode syncTwoWay}. */
export interface TwoWayOptions {
  /** The source. */
  a: TwoWaySide;
  /** The backup. */
  b: TwoWaySide;
  state: TwoWayState;
  conflict: ConflictPolicy;
  /** What is left out on both sides; read again for each round. */
  rules?: IgnoreRules[];
  /** Names the settings by which paths are left out, besides rule files in the trees. @default {""} */
  ruleSettings?: string;
  /** Leave alone what changed while neither size nor time of the file did: it is damaged. @default {false} */
  suspectDamage?: boolean;
  /** Plan only. @default {false} */
  dryRun?: boolean;
  /** Carry out removals however many they are. @default {false} */
  allowMassDelete?: boolean;
  clock: Clock;
  random: () => number;
  /** Ends the round after what is under way. */
  signal: AbortSignal;
  onEvent: OnTwoWayEvent;
}

/** What a round did, or would do. */
export interface TwoWayResult {
  totals: Record<Side, SideTotals>;
  conflicts: Conflict[];
  problems: SidedProblem[];
  /** Why nothing was removed, when something was held back. */
  brake?: string;
  /** What is to be done, in order; only of a dry run. */
  plan?: SidedAction[];
  /** Whether it was ended by its signal. */
  interrupted: boolean;
  /** Whether both trees are in step now. */
  inStep: boolean;
}

/** Entries recorded in one transaction. */
const GROUP = 1_000;

/** What changed while it was being synced is looked at again so often in all. */
const ROUNDS = 3;

/**
 * Brings both trees in step. Where something was changed between being looked at and being synced, by others or by
 * what was done elsewhere, both are looked at once more.
 *
 * @throws {FilesyncError} When a side is out of reach, refuses everything, or cannot be looked at at all.
 */
export async function syncTwoWay(options: TwoWayOptions): Promise<TwoWayResult> {
  const told = new Set<string>();
  const tell = (event: TwoWayEvent) => {
    const text = event.type === "problem" ? JSON.stringify(event) : "";
    if (!told.has(text)) options.onEvent(event);
    if (text !== "") told.add(text);
  };
  for (let number = 1, before: TwoWayResult | undefined;; number++) {
    const overtaken: TwoWayEvent[] = [];
    const result = joined(before, await syncOnce({ ...options, onEvent: tell }, overtaken));
    if (overtaken.length === 0 || number === ROUNDS || result.interrupted) {
      overtaken.forEach(tell);
      return result;
    }
    before = result;
  }
}

/** Whether a problem is that what was looked at is not there any more. */
function isOvertaken({ problem }: SidedProblem): boolean {
  return problem.code === "conflict" && !problem.permanent;
}

/** What two rounds came to, one after the other: problems are those that are left. */
function joined(before: TwoWayResult | undefined, result: TwoWayResult): TwoWayResult {
  if (before === undefined) return result;
  const totals = { a: sumOf(before.totals.a, result.totals.a), b: sumOf(before.totals.b, result.totals.b) };
  return { ...result, totals, conflicts: [...before.conflicts, ...result.conflicts] };
}

function sumOf(a: SideTotals, b: SideTotals): SideTotals {
  const sum = { ...a };
  for (const key of Object.keys(sum) as (keyof SideTotals)[]) sum[key] += b[key];
  return sum;
}

/**
 * Does one round.
 *
 * @param overtaken Takes what would be told of changes that came in between.
 */
async function syncOnce(options: TwoWayOptions, overtaken: TwoWayEvent[]): Promise<TwoWayResult> {
  const { state, dryRun = false, signal, onEvent } = options;
  const result: TwoWayResult = {
    totals: { a: noTotals(), b: noTotals() },
    conflicts: [],
    problems: [],
    interrupted: false,
    inStep: false,
  };
  onEvent({ type: "looking" });
  const infos = await lookAtBoth(options);
  if (typeof infos === "string") return { ...result, brake: infos };
  const mark = markOf(infos, settingsOf(options));
  if (JSON.stringify(mark) === JSON.stringify(state.mark)) {
    return { ...result, inStep: true, ...(dryRun && { plan: [] }) };
  }
  if (!dryRun) state.mark = undefined;

  const comparison = await compare(infos, options);
  if (signal.aborted) return { ...result, interrupted: true };
  let plan = await planFor(comparison, infos, options);
  result.problems.push(...comparison.problems, ...plan.problems.map((problem) => ({ problem })));
  const brake = brakeOn(plan, comparison, infos, options);
  if (brake !== undefined) {
    result.brake = brake.reason;
    plan = brake.stopsAll ? NOTHING : withoutRemovals(plan);
  }
  result.conflicts = plan.conflicts;
  for (const { side, problem } of result.problems) onEvent({ type: "problem", side, problem });
  for (const conflict of plan.conflicts) onEvent({ type: "conflict", conflict });
  const hasWork = hasActions(plan);
  if (dryRun) return { ...result, plan: actionsOf(plan) };
  if (brake?.stopsAll) return result;

  const parties: Record<Side, Party> = {
    a: { receiver: options.a.receiver, info: infos.a },
    b: { receiver: options.b.receiver, info: infos.b },
  };
  const onAct: OnTwoWayEvent = (event) =>
    event.type === "problem" && isOvertaken(event) ? void overtaken.push(event) : onEvent(event);
  const done = await carryOut(plan, { ...options, parties, onEvent: onAct });
  state.roots = { a: infos.a.rootId, b: infos.b.rootId };
  result.totals = done.totals;
  result.problems.push(...done.problems);
  result.interrupted = signal.aborted;
  result.inStep = result.problems.length === 0 && brake === undefined && !signal.aborted;
  // What was done is looked at once more before it is believed: others may have changed something meanwhile.
  if (result.inStep && !hasWork) state.mark = mark;
  return result;
}

const NOTHING: Plan = {
  renames: [],
  copies: [],
  items: [],
  conflicts: [],
  problems: [],
  gone: { a: 0, b: 0 },
};

/** Looks at both trees. Gives a reason when one is not where it was. */
async function lookAtBoth(options: TwoWayOptions): Promise<Record<Side, RefreshedInfo> | string> {
  try {
    for (const rules of options.rules ?? []) rules.reload();
    const [a, b] = await Promise.all(SIDES.map((side) => options[side].receiver.refresh()));
    for (const { problems } of [a, b]) {
      const ofAll = problems.find(({ path }) => path === undefined || path === ROOT);
      if (ofAll !== undefined) throw errorOf(ofAll);
    }
    return { a, b };
  } catch (error) {
    if (error instanceof FilesyncError && error.code === "brake") return error.message;
    throw error;
  }
}

function settingsOf({ conflict, ruleSettings = "" }: TwoWayOptions): string {
  return JSON.stringify([conflict, ruleSettings]);
}

function markOf({ a, b }: Record<Side, RefreshedInfo>, settings: string): Mark {
  return {
    indexIds: { a: a.indexId, b: b.indexId },
    sequences: { a: a.sequence, b: b.sequence },
    settings,
  };
}

/** What differs, and what is not to be judged. */
interface Comparison {
  triples: Triple[];
  problems: SidedProblem[];
  /** Directories that hold something that is left out or could not be looked at. */
  holders: Record<Side, Set<TreePath>>;
  /** Whether a side has nothing in it at all. */
  isEmpty: Record<Side, boolean>;
}

/** Compares both trees with the last common state; records on the way what is the same on both sides. */
async function compare(infos: Record<Side, RefreshedInfo>, options: TwoWayOptions): Promise<Comparison> {
  const { state, rules = [], suspectDamage = false, dryRun = false, signal } = options;
  const comparison: Comparison = {
    triples: [],
    problems: [],
    holders: { a: new Set(), b: new Set() },
    isEmpty: { a: true, b: true },
  };
  const unknown = new Set<TreePath>();
  const holdAbove = (side: Side, path: TreePath) => {
    const holders = comparison.holders[side];
    for (let at = parentOf(path); at !== ROOT && !holders.has(at); at = parentOf(at)) holders.add(at);
  };
  for (const side of SIDES) {
    for (const problem of infos[side].problems) {
      comparison.problems.push({ side, problem });
      const path = problem.path as TreePath;
      if (pathFault(path) === undefined) unknown.add(path);
      holdAbove(side, path);
    }
  }
  const isLeftOut = ({ path, kind }: Entry) => {
    try {
      return rules.some((some) => some.ignores(path, kind === "directory"));
    } catch (error) {
      // Parents come first, so that these are the rules of the directory that it stands in.
      const directory = parentOf(path);
      if (directory === ROOT) throw error;
      const file = childOf(directory, RULE_FILE);
      comparison.problems.push({ problem: problemOf(toFilesyncError(`read "${file}"`, error), file) });
      unknown.add(directory);
      for (const side of SIDES) holdAbove(side, path);
      return undefined;
    }
  };

  let settled: Settled[] = [];
  const flush = () => {
    if (!dryRun) state.settle(settled);
    settled = [];
  };
  const isVisible = (entry: Entry, from: Side | "base") => {
    if (from !== "base") comparison.isEmpty[from] = false;
    // Where nothing can be looked at, rules cannot be read either.
    if (isWithinAny(entry.path, unknown)) return false;
    const leftOut = isLeftOut(entry);
    if (!leftOut) return leftOut === false;
    // Left out from now on: neither carried nor removed, and should it come back, it is merged.
    if (from === "base") settled.push({ path: entry.path });
    else holdAbove(from, entry.path);
    return false;
  };

  const [a, b] = SIDES.map((side) => options[side].receiver.tree());
  for await (const triple of differences(state.entries(), a, b, isVisible)) {
    if (signal.aborted) break;
    const { path, a, b } = triple;
    const damaged = suspectDamage && triple.base !== undefined
      ? SIDES.filter((side) => triple[side] !== undefined && isDamage(triple.base!, triple[side]))
      : [];
    for (const side of damaged) {
      comparison.problems.push({ side, problem: damageAt(path, options[side].name) });
    }
    if (damaged.length > 0) continue;
    if (a !== undefined && b !== undefined && isSame(a, b)) settled.push({ path, target: a });
    else comparison.triples.push(triple);
    if (settled.length >= GROUP) flush();
  }
  flush();
  return comparison;
}

function damageAt(path: TreePath, name: string): Problem {
  return problemOf(
    new FilesyncError({
      code: "digest-mismatch",
      operation: `carry "${path}" over`,
      reason:
        `on ${name} its content changed, but neither its size nor its time did: it is damaged, not edited`,
      hint:
        "Bring its good content back with filesync verify --repair; if the change is meant, run touch on it",
      permanent: true,
    }),
    path,
  );
}

/** Plans, without the names that a side cannot tell from others. */
async function planFor(
  { triples, problems, holders }: Comparison,
  infos: Record<Side, RefreshedInfo>,
  options: TwoWayOptions,
): Promise<Plan> {
  const { state, conflict } = options;
  const planOf = (some: Triple[]) =>
    reconcile(some, {
      policy: conflict,
      hosts: { a: options.a.host, b: options.b.host },
      keepsLosers: { a: options.a.keepsLosers, b: options.b.keepsLosers },
      holds: (side, directory) => holders[side].has(directory),
      standing: (path) => state.get(path),
    });
  let plan = planOf(triples);
  const refused = new Set<TreePath>();
  for (const side of SIDES) {
    if (!infos[side].foldsNames) continue;
    for (const problem of await nameClashes(plan, side, options[side].receiver.tree())) {
      problems.push({ side, problem });
      refused.add(problem.path as TreePath);
    }
  }
  if (refused.size > 0) plan = planOf(triples.filter(({ path }) => !isWithinAny(path, refused)));
  return plan;
}

/** Why removals are held back, and whether nothing else may be done either. */
function brakeOn(
  plan: Plan,
  { isEmpty }: Comparison,
  infos: Record<Side, RefreshedInfo>,
  { state, allowMassDelete = false, ...options }: TwoWayOptions,
): { reason: string; stopsAll: boolean } | undefined {
  if (allowMassDelete) return undefined;
  const { count: known, roots } = state;
  const brakes = SIDES.flatMap((side) => {
    const replaced = roots !== undefined && roots[side] !== infos[side].rootId;
    const { name } = options[side];
    const reason = brakeReason({ known, gone: plan.gone[side], empty: isEmpty[side], replaced, name });
    // Where another directory stands, or one that is empty, nothing may be written either: it may be the
    // place where a disk is to be mounted.
    return reason === undefined ? [] : [{ reason, stopsAll: isEmpty[side] || replaced }];
  });
  return brakes.find(({ stopsAll }) => stopsAll) ?? brakes.at(0);
}
