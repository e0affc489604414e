/**
 * Brings the tree of a receiver to an older state that it keeps itself: no content travels, and what
 * stands there now is kept before it is replaced, as with every change.
 *
 * @module
 */
import type { Action } from "../core/action.ts";
import { toFilesyncError } from "../core/errors.ts";
import type { Problem } from "../core/problem.ts";
import type { Receiver } from "../transport/receiver.ts";

/** Actions of one batch: an answer comes often enough to show how far it is. */
const BATCH = 500;

/** Who hears of what is done. */
export interface RestoreOntoOptions {
  onDone: (action: Action) => void;
  onProblem: (problem: Problem) => void;
  onProgress?: (progress: { doneItems: number; totalItems: number; current?: string }) => void;
  signal?: AbortSignal;
}

/**
 * Carries out a plan of `restorePlan`. A problem with one path does not stop the others.
 *
 * @throws {FilesyncError} When the receiver cannot be reached any more.
 */
export async function restoreOnto(
  receiver: Receiver,
  plan: readonly Action[],
  { onDone, onProblem, onProgress, signal }: RestoreOntoOptions,
): Promise<void> {
  const { maxBatchItems } = await receiver.open();
  for (let at = 0; at < plan.length;) {
    if (signal?.aborted) return;
    const actions = plan.slice(at, at + Math.min(BATCH, maxBatchItems));
    const { results } = await receiver.apply({ key: crypto.randomUUID(), actions, contents: new Map() })
      .catch((error) => {
        throw toFilesyncError("restore the tree", error);
      });
    results.forEach((result, i) => result.done ? onDone(actions[i]) : onProblem(result.problem));
    at += actions.length;
    onProgress?.({ doneItems: at, totalItems: plan.length, current: actions.at(-1)?.path });
  }
}
