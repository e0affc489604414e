/**
 * What becomes of the queue when one more action joins it: decided here, purely, and
 * done by `action_queue.ts`.
 *
 * All rules rest on one step. An action can *slide* to the end of the order when nothing
 * after it depends on it; there it stands right before the new one, and the two can be
 * replaced by whatever has the same effect as doing one after the other. Nothing that is in
 * flight slides, and what has been tried may already have happened at the receiver, so it
 * never counts as if it had not.
 *
 * @module
 */
import { type Action, dependOnEachOther, type MoveAction, pathsOf } from "../core/action.ts";
import { areRelated, isWithin, rebase, type TreePath } from "../core/path.ts";
import { Claims, isFill } from "./claims.ts";

/** An action of the queue, as far as coalescing looks at it. */
export interface Waiting {
  action: Action;
  /** The receiver had nothing at the action's path before it. */
  fresh: boolean;
  /** It was sent at least once and may have been applied. */
  tried: boolean;
  inFlight: boolean;
}

/** An action on its way into the queue. `after` is the one whose tries it goes on with. */
export interface Joining<W> {
  action: Action;
  fresh: boolean;
  after?: W;
}

/** What to do so that an action joins the queue; in this order. */
export interface Plan<W> {
  /** These leave the queue. */
  drop: W[];
  /** This one's place and tries go to another action. */
  replace?: { row: W; by: Action };
  /** This goes to the end as it is. */
  insert?: Joining<W>;
  /** These go to the end after it, each coalesced in its turn. */
  append: Joining<W>[];
}

/**
 * Decides how `next` joins the queue.
 *
 * @param related Every action of the queue, in order, that touches a path related to one of `next`'s;
 * for a move also those related to the origin of a move that ends where this one begins.
 */
export function coalesce<W extends Waiting>(related: readonly W[], next: Action, fresh: boolean): Plan<W> {
  if (next.type === "move") return coalesceMove(related, next, fresh);
  if (next.type === "remove") return coalesceRemove(related, next.path);

  const twins = slide(
    related,
    ({ action }) => isFill(action) && action.path === next.path && replaces(next, action),
  );
  if (twins.length > 0) {
    return { drop: twins.slice(1), replace: { row: twins[0], by: next }, append: [] };
  }
  return { drop: [], insert: { action: next, fresh: fresh && isClear(related, next.path) }, append: [] };
}

function coalesceRemove<W extends Waiting>(related: readonly W[], path: TreePath): Plan<W> {
  const covered = slide(
    related,
    ({ action }) =>
      isFill(action)
        ? isWithin(action.path, path)
        : action.type === "remove" && action.path !== path && isWithin(action.path, path),
  );
  const rest = without(related, covered);
  const last = rest.at(-1)?.action;
  const gone = last?.type === "remove" && isWithin(path, last.path);
  if (gone || neverArrived(covered, rest, path)) return { drop: covered, append: [] };
  return { drop: covered, insert: { action: { type: "remove", path }, fresh: false }, append: [] };
}

/**
 * What waits to be put where the move begins is put where it ends, after the move: its content
 * is no longer where the queue says. This holds because a rename never lands on a
 * directory that has something in it.
 */
function coalesceMove<W extends Waiting>(related: readonly W[], next: MoveAction, fresh: boolean): Plan<W> {
  const { from, path } = next;
  const slid = slide(
    related,
    (row) =>
      isFill(row.action) ? isWithin(row.action.path, from) : row.action.type === "move" && !row.tried &&
        row.action.path === from && areApart(row.action.from, from, path),
  );
  const carried: Joining<W>[] = slid.filter(({ action }) => isFill(action)).map((row) => ({
    action: { ...row.action, path: rebase(row.action.path, from, path) },
    fresh: fresh && row.fresh && !row.tried,
    after: row,
  }));

  const earlier = slid.find(({ action }) => action.type === "move");
  if (earlier !== undefined) {
    const origin = (earlier.action as MoveAction).from;
    return {
      drop: slid,
      append: [
        // The earlier move would have replaced what stood in between.
        ...(earlier.fresh ? [] : [{ action: { type: "remove" as const, path: from }, fresh: false }]),
        ...(origin === path ? [] : [{ action: { type: "move" as const, path, from: origin }, fresh }]),
        ...carried,
      ],
    };
  }

  const rest = without(related, slid);
  if (neverArrived(slid, rest, from)) return { drop: slid, append: carried };
  return { drop: slid, insert: { action: next, fresh: fresh && isClear(rest, path) }, append: carried };
}

/**
 * What is left to do of an action that failed for good once `next` is queued behind it, or
 * `undefined` when nothing is. A failed removal or move is over as soon as anything it
 * touches is queued again: done later, it would destroy what came after it.
 */
export function remainderOf(failed: Action, next: Action): Action | undefined {
  if (!dependOnEachOther(failed, next)) return failed;
  if (!isFill(failed)) return undefined;
  if (next.type === "move" && isWithin(failed.path, next.from)) {
    return { ...failed, path: rebase(failed.path, next.from, next.path) };
  }
  return isWithin(failed.path, next.path) ? undefined : failed;
}

/** The one of `later`, in order, that makes doing `action` before it pointless. */
export function successorOf<W extends Waiting>(action: Action, later: readonly W[]): W | undefined {
  const row = later.find((row) => dependOnEachOther(action, row.action));
  if (row === undefined || action.type === "move" || !isWithin(action.path, row.action.path)) {
    return undefined;
  }
  if (row.action.type === "remove") return row;
  return isFill(row.action) && isFill(action) && replaces(row.action, action) ? row : undefined;
}

/** The wanted actions that can stand at the end of the order, in order. */
function slide<W extends Waiting>(related: readonly W[], wanted: (row: W) => boolean): W[] {
  const later = new Claims();
  const slid: W[] = [];
  for (const row of related.toReversed()) {
    const slides = !row.inFlight && wanted(row) && !later.blocks(row.action);
    if (slides) slid.push(row);
    // A move that slides still bars what came before it from passing it.
    if (!slides || row.action.type === "move") later.add(row.action);
  }
  return slid.reverse();
}

/** Whether nothing stood at `path` before `slid`, nothing of `slid` was ever sent, and nothing else touches it. */
function neverArrived(slid: readonly Waiting[], rest: readonly Waiting[], path: TreePath): boolean {
  return slid.some(({ action, fresh }) => fresh && action.path === path) &&
    slid.every(({ tried }) => !tried) &&
    !rest.some(({ action }) => pathsOf(action).some((p) => isWithin(p, path)));
}

/**
 * Whether no action of the queue could make something stand at `path` or below it. Only
 * then can the receiver's having nothing there be relied on: it was true when it was said, and an
 * action that comes before must not make it false.
 */
function isClear(related: readonly Waiting[], path: TreePath): boolean {
  return !related.some(({ action }) =>
    pathsOf(action).some((p) => isWithin(p, path) || (action.type === "move" && isWithin(path, p)))
  );
}

/** Whether `next` can take the place of `earlier` at the same path: a directory has content of its own. */
function replaces(next: Action, earlier: Action): boolean {
  return (next.type === "directory") === (earlier.type === "directory");
}

/** Whether the three stops of two moves contain each other nowhere; the last may be the first. */
function areApart(a: TreePath, b: TreePath, c: TreePath): boolean {
  return !areRelated(a, b) && !areRelated(b, c) && (a === c || !areRelated(a, c));
}

function without<W>(rows: readonly W[], left: readonly W[]): W[] {
  const gone = new Set(left);
  return rows.filter((row) => !gone.has(row));
}
