/** What a two-way sync tells while it goes on, and in the end. @module */
import type { Action } from "../../core/action.ts";
import type { Problem } from "../../core/problem.ts";
import type { Conflict } from "./reconcile.ts";
import type { Side } from "./triple.ts";

/** A problem, and the side that it is on; without one it is on neither. */
export interface SidedProblem {
  side?: Side;
  problem: Problem;
}

/** Something that is done, or shall be, on one side. */
export interface SidedAction {
  side: Side;
  action: Action;
}

/** One thing that happened. */
export type TwoWayEvent =
  | { type: "looking" }
  | {
    type: "progress";
    doneItems: number;
    totalItems: number;
    doneBytes: number;
    totalBytes: number;
    sentBytes: number;
    current?: string;
  }
  | { type: "applied"; side: Side; action: Action }
  | { type: "conflict"; conflict: Conflict }
  | { type: "problem"; side?: Side; problem: Problem }
  | { type: "notice"; level: "info" | "warning"; message: string; hint?: string };

/** Told of everything that happens. */
export type OnTwoWayEvent = (event: TwoWayEvent) => void;

/** What was done on one side. */
export interface SideTotals {
  /** Actions done, by type. */
  put: number;
  directory: number;
  symlink: number;
  remove: number;
  move: number;
  /** Bytes of all files put. */
  bytes: number;
  /** Of these, bytes of content that had to be carried there. */
  sentBytes: number;
}

/** Nothing done yet. */
export function noTotals(): SideTotals {
  return { put: 0, directory: 0, symlink: 0, remove: 0, move: 0, bytes: 0, sentBytes: 0 };
}
