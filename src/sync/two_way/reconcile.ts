/**
 * Decides what a two-way sync does: a pure function of what differs between both sides and the last common
 * state. ARCHITECTURE.md has the table of its decisions.
 *
 * @module
 */
import { type Action, actionFor } from "../../core/action.ts";
import { canReplace, type Entry, sameContent } from "../../core/entry.ts";
import { expectationOf } from "../../core/expectation.ts";
import { parentOf, ROOT, type TreePath } from "../../core/path.ts";
import type { Problem } from "../../core/problem.ts";
import { conflictPath } from "./conflict_name.ts";
import { type ConflictPolicy, decide, type Decision } from "./decide.ts";
import { followRenames, type Rename } from "./renames.ts";
import { isSame, other, type Side, SIDES, type Triple } from "./triple.ts";

/** What {@linkcode reconcile} has to know besides what differs. */
export interface ReconcileOptions {
  policy: ConflictPolicy;
  /** How each side is called in the names of conflict copies. */
  hosts: Record<Side, string>;
  /** Whether a side keeps a version of what is replaced there; else losers of conflicts become copies. */
  keepsLosers: Record<Side, boolean>;
  /** Whether a directory of a side holds something that is left out, and so must stay. */
  holds(side: Side, directory: TreePath): boolean;
  /** What stands at a path that does not differ. */
  standing(path: TreePath): Entry | undefined;
}

/** What shall stand at a path, and what stands there now. */
export interface Item extends Triple {
  /** Nothing, when it is missing. */
  target?: Entry;
  /** A copy that must be there before anything is replaced here. */
  requires?: TreePath;
}

/** Two contents of which only one can have the path. */
export interface Conflict {
  path: TreePath;
  winner: Side;
  /** What did not win, and where that is kept: as a copy at this path, or as a version. */
  loser: { side: Side; entry: Entry };
  copy?: TreePath;
}

/** What is to be done, in this order: renames, copies, then the rest. */
export interface Plan {
  renames: Rename[];
  /** Losers of conflicts under their new names. */
  copies: Item[];
  /** Parents before what they hold. Those without an action are in step, which is to be recorded. */
  items: Item[];
  conflicts: Conflict[];
  problems: Problem[];
  /** How many entries of the last common state are gone from each side and not from the other; no renames. */
  gone: Record<Side, number>;
}

/** Plans how both sides come to hold the same. `triples` are all paths that are not the same everywhere. */
export function reconcile(triples: Iterable<Triple>, options: ReconcileOptions): Plan {
  const byPath = new Map<TreePath, Triple>();
  for (const triple of triples) byPath.set(triple.path, { ...triple });
  const renames = followRenames(byPath);
  const plan: Plan = { renames, copies: [], items: [], conflicts: [], problems: [], gone: { a: 0, b: 0 } };
  const decided = new Map<TreePath, Item>();
  const lost: [item: Item, side: Side][] = [];
  const needed = new Set<TreePath>();
  // From the leaves, because what stays below makes a directory stay.
  for (const path of [...byPath.keys()].sort().reverse()) {
    const triple = byPath.get(path)!;
    for (const side of SIDES) {
      if (triple.base && !triple[side] && triple[other(side)]) plan.gone[side]++;
    }
    const { target, loser } = decideInTree(triple, needed.has(path), options.policy);
    const item: Item = { ...triple, ...(target && { target }) };
    if (target?.kind !== "directory" && isHeld(item, options)) {
      if (target !== undefined) plan.problems.push(heldProblem(path));
      continue;
    }
    if (target !== undefined) needed.add(parentOf(path));
    decided.set(path, item);
    if (loser !== undefined) lost.push([item, loser]);
  }
  const copies = new Map<TreePath, Item>();
  for (const [item, side] of lost.reverse()) {
    plan.conflicts.push(keepLoser(item, side, { byPath, decided, copies }, options));
  }
  plan.items = [...decided.values()].reverse();
  plan.copies = [...copies.values()];
  return plan;
}

/** Decides for one path, when it is known whether anything stays below it. */
function decideInTree(triple: Triple, isNeeded: boolean, policy: ConflictPolicy): Decision {
  const decision = decide(triple, policy);
  if (!isNeeded || decision.target?.kind === "directory") return decision;
  const side = triple.a?.kind === "directory" ? "a" : "b";
  // What was removed on one side holds something that was edited on the other, or stands where that side has a file.
  return { target: triple[side], ...(decision.target && { loser: other(side) }) };
}

/** Whether an item has a directory on some side that must stay for what is in it. */
function isHeld(item: Item, { holds }: ReconcileOptions): boolean {
  return SIDES.some((side) => item[side]?.kind === "directory" && holds(side, item.path));
}

/** What {@linkcode keepLoser} looks into, and adds copies to. */
interface Names {
  byPath: ReadonlyMap<TreePath, Triple>;
  decided: Map<TreePath, Item>;
  copies: Map<TreePath, Item>;
}

/** Sees to it that the loser of a conflict is not lost. */
function keepLoser(
  item: Item,
  side: Side,
  { byPath, decided, copies }: Names,
  { policy, hosts, keepsLosers, standing }: ReconcileOptions,
): Conflict {
  const entry = item[side]!;
  const conflict: Conflict = { path: item.path, winner: other(side), loser: { side, entry } };
  if (policy !== "both" && keepsLosers[side]) return conflict;
  for (let attempt = 1;; attempt++) {
    const path = conflictPath(entry, hosts[side], attempt);
    const there = decided.get(path);
    // What has to stay as it is cannot be counted on.
    if (there === undefined && byPath.has(path)) continue;
    const taken = [
      there?.a,
      there?.b,
      there?.target,
      copies.get(path)?.target,
      there ? undefined : standing(path),
    ]
      .filter((one) => one !== undefined);
    if (!taken.every((one) => sameContent(one, entry))) continue;
    // An earlier sync made it, and it stays.
    if (taken.length > 0 && (there === undefined || there.target !== undefined)) {
      return { ...conflict, copy: path };
    }
    // Or it was removed on one side since: it is wanted again.
    decided.delete(path);
    copies.set(path, { path, ...there, target: { ...entry, path } });
    item.requires = path;
    return { ...conflict, copy: path };
  }
}

function heldProblem(path: TreePath): Problem {
  return {
    code: "conflict",
    path,
    message: `Cannot replace the directory "${path}": it holds what is left out, or could not be looked at`,
    hint: "Move that away, or rename what stands there on the other side",
    permanent: false,
  };
}

/** What must be done on `side` for an item. */
export interface Steps {
  /** Makes way for something of another kind. */
  clear?: Action;
  action?: Action;
}

/** The actions on `side` that bring an item to its target. */
export function stepsOf(item: Item, side: Side): Steps {
  const { path, target, [side]: entry } = item;
  if (isSame(target, entry)) return {};
  const expected = expectationOf(entry);
  if (target === undefined) return { action: { type: "remove", path, expected } };
  const makesWay = entry !== undefined && !canReplace(target, entry);
  if (!makesWay) return { action: { ...actionFor(target), expected } };
  return {
    clear: { type: "remove", path, expected },
    action: { ...actionFor(target), expected: { kind: "nothing" } },
  };
}

/**
 * The plan without anything that removes: what is gone on one side stays on the other, and what stands in
 * the way stays there, with all that would come below it. Nothing of that counts as in step, so that the next
 * sync finds it again.
 */
export function withoutRemovals(plan: Plan): Plan {
  const blocked = new Set<TreePath>();
  const items = plan.items.filter((item) => {
    const isBelow = isWithinAny(item.path, blocked);
    const steps = SIDES.map((side) => stepsOf(item, side));
    const removes = steps.some(({ clear, action }) => clear !== undefined || action?.type === "remove");
    if (removes) blocked.add(item.path);
    return !removes && !isBelow;
  });
  return { ...plan, items };
}

/** Whether `path`, or a directory above it, is one of `paths`. */
export function isWithinAny(path: TreePath, paths: ReadonlySet<TreePath>): boolean {
  if (paths.size === 0) return false;
  for (let at = path; at !== ROOT; at = parentOf(at)) if (paths.has(at)) return true;
  return false;
}
