/**
 * Compares what a receiver says it holds with what was last seen in the
 * source, entry by entry, in the order of paths: memory stays flat, however big the
 * trees are.
 *
 * @module
 */
import {
  type Action,
  actionFor,
  dependOnEachOther,
  isPut,
  type MoveAction,
  pathsOf,
} from "../core/action.ts";
import { canReplace, type Entry, type FileEntry, sameContent, sameEntry } from "../core/entry.ts";
import { entryPairs } from "../core/entry_pairs.ts";
import { isWithin, type TreePath } from "../core/path.ts";
import type { QueuedAction } from "../queue/action_queue.ts";
import type { Receiver } from "../transport/receiver.ts";
import type { SourceState } from "./source_state.ts";

/** What a comparison found. */
export interface Comparison {
  /** Actions queued to make the receiver equal. */
  queued: number;
  /** Paths at the receiver that no action of ours put there. */
  foreign: TreePath[];
  /** Entries at the receiver. */
  entries: number;
  /** Differences that were passed over, because something is queued for their paths already. */
  undecided: number;
}

/** Actions queued in one transaction. */
const GROUP = 1_000;

/**
 * Queues whatever the receiver lacks or holds otherwise, and nothing is queued for yet.
 *
 * What is of another kind at the receiver is removed to make room, unless it is a directory that
 * holds something foreign: then the attempt to put ours there shows as a problem.
 */
export async function compareWithReceiver(receiver: Receiver, state: SourceState): Promise<Comparison> {
  const { index, queue } = state;
  const result: Comparison = { queued: 0, foreign: [], entries: 0, undecided: 0 };
  /** Directories at the receiver where something else is to stand. */
  const inTheWay: Entry[] = [];
  /** Where room is made: nothing stands there, or below, once that is done. */
  const cleared = new Set<TreePath>();
  let bases: FileEntry[] = [];
  let actions: { action: Action; fresh: boolean }[] = [];
  const flush = () => {
    queue.add(actions);
    result.queued += actions.length;
    actions = [];
  };
  /** Whatever comes there can be told by it. */
  const rememberBases = () => {
    index.transaction(() => bases.forEach((held) => state.rememberBase(held.path, held)));
    bases = [];
  };
  const makeRoom = (seen: Entry) => {
    // A move to below waits for what cannot be made. Its origin goes, and all is put instead.
    const moves = queue.about(seen.path).filter(({ action }) => action.type === "move");
    queue.done(moves.map(({ id }) => id));
    const paths = [...moves.map(({ action }) => (action as MoveAction).from), seen.path];
    actions.push(...paths.map((path) => ({ action: { type: "remove" as const, path }, fresh: false })));
    actions.push({ action: actionFor(seen), fresh: false });
    if (moves.length > 0) result.undecided++;
    // What waits to be put below goes with the removal, and is found lacking next.
    flush();
    cleared.add(seen.path);
  };
  for await (const [seen, held] of entryPairs(index.entries(), receiver.tree())) {
    if (held !== undefined) result.entries++;
    if (seen !== undefined && held !== undefined && sameEntry(seen, held)) continue;
    if (held?.kind === "file" && (seen === undefined || !sameContent(seen, held))) bases.push(held);
    if (bases.length >= GROUP) rememberBases();
    if (seen === undefined) {
      const known = queue.about(held.path)
        // What waits to be put above has no say in what is below.
        .filter(({ action }) => !isPut(action) || isWithin(action.path, held.path))
        .filter((queued) => !isOvertaken(queued));
      if (known.length === 0) result.foreign.push(held.path);
      else if (known.some(mayPass)) result.undecided++;
      continue;
    }
    const known = queue.about(seen.path).filter(({ action }) =>
      dependOnEachOther(action, actionFor(seen)) && !(action.type === "remove" && cleared.has(action.path))
    );
    if (
      held !== undefined && !canReplace(seen, held) &&
      !known.some(({ action }) => displaces(action, seen.path))
    ) {
      if (held.kind === "directory") inTheWay.push(seen);
      else makeRoom(seen);
    } else if (known.some(mayPass)) {
      if (held !== undefined || !bringsAll(known, seen.path)) result.undecided++;
    } else if (known.length === 0) {
      actions.push(...toEqual(seen, held).map((action) => ({ action, fresh: held === undefined })));
    }
    if (actions.length >= GROUP) flush();
  }
  for (const seen of inTheWay) {
    const isFree = !result.foreign.some((path) => isWithin(path, seen.path));
    if (isFree) {
      makeRoom(seen);
    } else {
      actions.push({ action: actionFor(seen), fresh: false });
      result.undecided++;
    }
  }
  flush();
  rememberBases();
  state.setForeign(result.foreign);
  return result;
}

/** What makes the receiver hold `seen`, when it holds `held` there now. */
export function toEqual(seen: Entry, held: Entry | undefined): Action[] {
  if (held === undefined) return [actionFor(seen)];
  if (sameEntry(seen, held)) return [];
  return canReplace(seen, held) ? [actionFor(seen)] : [{ type: "remove", path: held.path }, actionFor(seen)];
}

/** Whether an action takes away what stands at `path`, or brings something else there. */
function displaces(action: Action, path: TreePath): boolean {
  return !isPut(action) && pathsOf(action).some((other) => isWithin(path, other));
}

/** Whether queued actions bring what lacks at `path`, and do nothing else that could matter there. */
function bringsAll(queued: readonly QueuedAction[], path: TreePath): boolean {
  return queued.every(({ action }) => isPut(action)) &&
    queued.some(({ action, error }) => isPut(action) && action.path === path && !error?.permanent);
}

/** Whether a removal failed for what the receiver did not know then: by now it has looked, and tells of it. */
function isOvertaken({ action, error }: QueuedAction): boolean {
  return action.type === "remove" && error?.permanent === true && error.code === "exists-unknown";
}

/** Whether an action may still be done: it did not fail for good. */
function mayPass({ error }: QueuedAction): boolean {
  return !error?.permanent;
}
