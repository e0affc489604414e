/** The answers to batches, remembered so that one that is sent again is answered, and not done again. @module */
import type { Action } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import type { Batch, BatchResult } from "./receiver.ts";

/** Answers to batches are remembered this many milliseconds: a week, longer than any client retries unseen. */
const ANSWERS_KEPT_MS = 7 * 24 * 3600 * 1000;

/** An answer as it is kept; what it is the answer of was not kept at first. */
type RememberedAnswer = BatchResult & { of?: Digest };

/**
 * What was answered to the same batch before.
 *
 * @throws {FilesyncError} `bad-request` when another batch had the key: who is told its answer would take for done
 * what was never done.
 */
export function answerTo(index: TreeIndex, { key, actions }: Batch): BatchResult | undefined {
  const row = index.sql("SELECT answer FROM answers WHERE key = ?").get(key) as
    | { answer: string }
    | undefined;
  if (row === undefined) return undefined;
  const { of, ...answer }: RememberedAnswer = JSON.parse(row.answer);
  if (of === undefined ? answer.results.length === actions.length : of === fingerprint(actions)) {
    return answer;
  }
  throw new FilesyncError({
    code: "bad-request",
    operation: "apply the batch",
    reason: "its key was that of another batch",
    hint: "Give every batch a key of its own",
    permanent: true,
  });
}

/** Remembers what was answered to a batch. */
export function rememberAnswer(
  index: TreeIndex,
  { key, actions }: Batch,
  answer: BatchResult,
  now: number,
): void {
  const remembered: RememberedAnswer = { ...answer, of: fingerprint(actions) };
  index.sql("INSERT OR REPLACE INTO answers (key, answer, time) VALUES (?, ?, ?)")
    .run(key, JSON.stringify(remembered), now);
}

/** Forgets what was answered to a batch: when it comes again, it is done again. */
export function forgetAnswer(index: TreeIndex, { key }: Batch): void {
  index.sql("DELETE FROM answers WHERE key = ?").run(key);
}

/**
 * Forgets what was answered a week ago.
 *
 * @param now Milliseconds since the epoch.
 */
export function forgetOldAnswers(index: TreeIndex, now: number): void {
  index.sql("DELETE FROM answers WHERE time < ?").run(now - ANSWERS_KEPT_MS);
}

/** Tells batches from each other. */
function fingerprint(actions: readonly Action[]): Digest {
  const text = actions.map((action) => `${action.type}\0${action.path}\0${detailOf(action)}\n`).join("");
  return sha256(new TextEncoder().encode(text));
}

function detailOf(action: Action): string {
  switch (action.type) {
    case "put":
      return action.digest;
    case "move":
      return action.from;
    case "symlink":
      return action.target;
    default:
      return "";
  }
}
