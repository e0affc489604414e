/**
 * Decides when a path that changed stands still. Pure: the time and what stands at the
 * path come in, so that every interleaving can be tested.
 *
 * A file is settled when two looks, {@linkcode SettlerOptions.settleMs} apart, see the same.
 * A path that vanished is held back, so that the other half of a rename, or the second half
 * of a "delete and write anew", comes first.
 *
 * @module
 */
import type { TreePath } from "../core/path.ts";

/**
 * What a look at a path saw: nothing; something that has no content to wait for (a directory,
 * a link, a pipe, an error); or a file, told by everything that changes when it is written.
 */
export type Sighting = "gone" | "whole" | `file ${string}`;

/** Settings of a {@linkcode Settler}, all in milliseconds. */
export interface SettlerOptions {
  /** Between two looks at a file. @default {8} */
  settleMs?: number;
  /** After this long a file that never stands still is reported anyway, and then again. @default {3000} */
  maxUnsettledMs?: number;
  /** How long a path that vanished is held back. @default {150} */
  goneHoldMs?: number;
}

/** Longest gap between two looks at a file that keeps changing, milliseconds. */
const LONGEST_GAP = 50;

interface Unsettled {
  /** When it was noticed, or last reported without having settled. */
  since: number;
  /** When to look next. */
  due: number;
  /** Between the last look and the next. */
  gap: number;
  last?: Sighting;
  /** When it was first seen gone, of an unbroken row of such looks. */
  goneSince: number;
}

/** The paths that have changed and may be changing still. */
export class Settler {
  readonly #settleMs: number;
  readonly #maxUnsettledMs: number;
  readonly #goneHoldMs: number;
  readonly #paths = new Map<TreePath, Unsettled>();

  constructor({ settleMs = 8, maxUnsettledMs = 3000, goneHoldMs = 150 }: SettlerOptions = {}) {
    this.#settleMs = settleMs;
    this.#maxUnsettledMs = maxUnsettledMs;
    this.#goneHoldMs = goneHoldMs;
  }

  /** How many paths are not settled yet. */
  get size(): number {
    return this.#paths.size;
  }

  /** Something may have happened at `path`. */
  hint(path: TreePath, now: number): void {
    const known = this.#paths.get(path);
    if (known === undefined) {
      this.#paths.set(path, { since: now, due: now, gap: this.#settleMs, goneSince: 0 });
    } else if (known.last === "gone") {
      known.due = now; // it may be back
    }
  }

  /** The paths to look at now; each is to be answered by {@linkcode look}. */
  due(now: number): TreePath[] {
    const paths: TreePath[] = [];
    for (const [path, { due }] of this.#paths) if (due <= now) paths.push(path);
    return paths;
  }

  /** When the next path is due; `Infinity` when all have settled. */
  nextDue(): number {
    let next = Infinity;
    for (const { due } of this.#paths.values()) if (due < next) next = due;
    return next;
  }

  /** Takes what stands at `path` now, and answers whether to report the path. */
  look(path: TreePath, seen: Sighting, now: number): boolean {
    const state = this.#paths.get(path);
    if (state === undefined) return false;
    const { last } = state;
    state.last = seen;
    if (seen === "whole" || (seen !== "gone" && seen === last)) return this.#paths.delete(path);
    if (seen === "gone") {
      if (last !== "gone") state.goneSince = now;
      state.due = state.goneSince + this.#goneHoldMs;
      if (now >= state.due) return this.#paths.delete(path);
    } else {
      const changed = last !== undefined && last !== "gone";
      state.gap = changed ? Math.min(state.gap * 2, Math.max(LONGEST_GAP, this.#settleMs)) : this.#settleMs;
      state.due = now + state.gap;
    }
    if (now - state.since < this.#maxUnsettledMs) return false;
    state.since = now;
    return true;
  }

  /** Stops waiting for `path`. */
  forget(path: TreePath): void {
    this.#paths.delete(path);
  }

  /** Stops waiting for every path. */
  clear(): void {
    this.#paths.clear();
  }
}
