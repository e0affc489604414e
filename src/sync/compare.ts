/**
 * Compares what a receiver says it holds with what was last seen in the
 * source, entry by entry, in the order of paths: memory stays flat, however big the
 * trees are.
 *
 * @module
 */
import { type Action, actionFor } from "../core/action.ts";
import { type Entry, sameEntry } from "../core/entry.ts";
import { isWithin, type TreePath } from "../core/path.ts";
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

/** Queues whatever the receiver lacks or holds otherwise, and nothing is queued for yet. */
export async function compareWithReceiver(receiver: Receiver, state: SourceState): Promise<Comparison> {
  const { index, queue } = state;
  const result: Comparison = { queued: 0, foreign: [], entries: 0, undecided: 0 };
  let actions: { action: Action; fresh: boolean }[] = [];
  const flush = () => {
    queue.add(actions);
    result.queued += actions.length;
    actions = [];
  };
  for await (const [seen, held] of pairs(index.entries(), receiver.tree())) {
    if (held !== undefined) result.entries++;
    const needed = seen === undefined ? [] : toEqual(seen, held);
    if (seen !== undefined && needed.length === 0) continue;
    if (queue.size > 0 && queue.about((seen ?? held!).path).length > 0) result.undecided++;
    else if (seen === undefined) result.foreign.push(held!.path);
    else actions.push(...needed.map((action) => ({ action, fresh: held === undefined })));
    if (actions.length >= GROUP) flush();
  }
  flush();
  state.setForeign(result.foreign);
  return result;
}

/** What makes the receiver hold `seen`, when it holds `held` there now. */
export function toEqual(seen: Entry, held: Entry | undefined): Action[] {
  if (held === undefined) return [actionFor(seen)];
  if (sameEntry(seen, held)) return [];
  return held.kind === seen.kind ? [actionFor(seen)] : [{ type: "remove", path: held.path }, actionFor(seen)];
}

/** The paths in `foreign` that lie within no other: what to tell a person. */
export function topmost(foreign: readonly TreePath[]): TreePath[] {
  const tops: TreePath[] = [];
  for (const path of foreign) if (tops.length === 0 || !isWithin(path, tops.at(-1)!)) tops.push(path);
  return tops;
}

/** Merges two streams of entries that rise by path; entries of one path come together. */
async function* pairs(
  left: Iterable<Entry>,
  right: AsyncIterable<Entry>,
): AsyncGenerator<[Entry, Entry | undefined] | [undefined, Entry]> {
  const ours = left[Symbol.iterator]();
  let our = ours.next();
  for await (const their of right) {
    while (!our.done && comesBefore(our.value.path, their.path)) {
      yield [our.value, undefined];
      our = ours.next();
    }
    if (!our.done && our.value.path === their.path) {
      yield [our.value, their];
      our = ours.next();
    } else {
      yield [undefined, their];
    }
  }
  for (; !our.done; our = ours.next()) yield [our.value, undefined];
}

/** The order of SQLite: by code point, where JavaScript's own is by UTF-16 unit. */
export function comesBefore(a: string, b: string): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for code points above all others.
    const xIsHigh = x >= 0xd800 && x <= 0xdfff;
    const yIsHigh = y >= 0xd800 && y <= 0xdfff;
    return xIsHigh === yIsHigh ? x < y : yIsHigh;
  }
  return a.length < b.length;
}
