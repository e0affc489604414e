/** How the action queue lies in its tables. @module */
import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import type { Action } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import type { TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";

/**
 * The queue's schema, for the migrations of the database that holds it. Actions in order of
 * `id`; `source` is where a move begins. Sums are kept beside them, because counting
 * a long queue takes long.
 */
export const QUEUE_MIGRATION = `
CREATE TABLE queue_actions (
  id INTEGER PRIMARY KEY,
  type TEXT NOT NULL,
  path TEXT NOT NULL,
  source TEXT,
  size INTEGER NOT NULL,
  mtime INTEGER,
  mode INTEGER,
  digest TEXT,
  target TEXT,
  fresh INTEGER NOT NULL,
  tried INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  ready_at INTEGER NOT NULL,
  queued_at INTEGER NOT NULL,
  error TEXT
) STRICT;
CREATE INDEX queue_actions_path ON queue_actions (path);
CREATE INDEX queue_actions_source ON queue_actions (source) WHERE source IS NOT NULL;
CREATE INDEX queue_actions_ready ON queue_actions (ready_at) WHERE tried = 1 AND failed = 0;
CREATE INDEX queue_actions_failed ON queue_actions (id) WHERE failed = 1;
CREATE TABLE queue_totals (
  next_id INTEGER NOT NULL,
  size INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  failed INTEGER NOT NULL
) STRICT;
INSERT INTO queue_totals VALUES (1, 0, 0, 0);
`;

/** An action in the queue. */
export interface QueuedAction {
  /** Names it as long as it is in the queue, and never another. */
  id: number;
  action: Action;
  /** The receiver had nothing at the action's path before it. */
  fresh: boolean;
  /** It was sent at least once, so that it may have been applied whatever came back. */
  tried: boolean;
  /** How many tries were counted; a try that was cut off by a lost connection is not. */
  attempts: number;
  /** Not tried before this time, milliseconds since the epoch. */
  readyAt: number;
  /** When its path was queued first, milliseconds since the epoch. */
  queuedAt: number;
  /** Why the last try failed. */
  error?: Problem;
}

/** The queue's sums; waiting and in flight together. */
export interface Totals {
  nextId: number;
  size: number;
  /** Bytes of content to put. */
  bytes: number;
  failed: number;
}

/** A row of `queue_actions`. */
export type ActionRow = Record<string, SQLOutputValue>;

/** The columns that hold an action, in the order of {@linkcode actionColumns}. */
export const ACTION_COLUMNS = [
  "type",
  "path",
  "source",
  "size",
  "mtime",
  "mode",
  "digest",
  "target",
] as const;

/** The values of {@linkcode ACTION_COLUMNS}. */
export function actionColumns(action: Action): SQLInputValue[] {
  const { type, path } = action;
  switch (type) {
    case "put":
      return [type, path, null, action.size, action.mtime, action.mode, action.digest, null];
    case "directory":
      return [type, path, null, 0, action.mtime, action.mode, null, null];
    case "symlink":
      return [type, path, null, 0, action.mtime, null, null, action.target];
    case "remove":
      return [type, path, null, 0, null, null, null, null];
    case "move":
      return [type, path, action.from, 0, null, null, null, null];
  }
}

/** The queued action that `row` holds. */
export function queuedAction(row: ActionRow): QueuedAction {
  return {
    id: row.id as number,
    action: actionOf(row),
    fresh: row.fresh === 1,
    tried: row.tried === 1,
    attempts: row.attempts as number,
    readyAt: row.ready_at as number,
    queuedAt: row.queued_at as number,
    ...(row.error === null ? {} : { error: JSON.parse(row.error as string) as Problem }),
  };
}

function actionOf(row: ActionRow): Action {
  const type = row.type as Action["type"];
  const path = row.path as TreePath;
  const mtime = row.mtime as number;
  const mode = row.mode as number;
  switch (type) {
    case "put":
      return { type, path, size: row.size as number, mtime, mode, digest: row.digest as Digest };
    case "directory":
      return { type, path, mtime, mode };
    case "symlink":
      return { type, path, mtime, target: row.target as string };
    case "remove":
      return { type, path };
    case "move":
      return { type, path, from: row.source as TreePath };
  }
}
