/** What a push tells while it goes on. @module */
import type { Action } from "../core/action.ts";
import type { Problem } from "../core/problem.ts";
import type { LookProgress } from "./inspector.ts";

/** One thing that happened. */
export type PushEvent =
  | { type: "looking"; progress: LookProgress }
  | {
    type: "progress";
    doneItems: number;
    totalItems: number;
    doneBytes: number;
    totalBytes: number;
    sentBytes: number;
    current?: string;
  }
  | { type: "applied"; action: Action; sentBytes: number }
  | { type: "problem"; problem: Problem; retryAt?: number }
  | { type: "notice"; level: "info" | "warning"; message: string; hint?: string }
  | { type: "connection"; state: "online" | "offline" | "indexing"; detail?: string; retryAt?: number };

/** Told of everything that happens. */
export type OnPushEvent = (event: PushEvent) => void;

/** What a push has done. */
export interface PushTotals {
  /** Actions done, by type. */
  put: number;
  directory: number;
  symlink: number;
  remove: number;
  move: number;
  /** Bytes of all files put. */
  bytes: number;
  /** Of these, bytes of content that had to be sent. */
  sentBytes: number;
  /** Paths that have a problem now. */
  problems: number;
  /** Actions that still wait. */
  waiting: number;
}
