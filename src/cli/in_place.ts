/** Noticing that a directory under sync was removed, unmounted or replaced meanwhile. @module */
import { FilesyncError } from "../core/errors.ts";
import type { TreeRoot } from "../files/tree_root.ts";
import type { Context } from "./command.ts";

/** How often it is looked whether a directory is where it was, milliseconds. */
const LOOK_MS = 1_000;

/**
 * Refuses to go on with a directory that is open but stands at its path no more: what is seen in it looks
 * like an emptied tree.
 *
 * @throws {FilesyncError} `not-found`; opening it again tells more.
 */
export function requireInPlace(roots: readonly TreeRoot[]): void {
  const lost = roots.find((root) => !root.isInPlace());
  if (lost === undefined) return;
  throw new FilesyncError({
    code: "not-found",
    operation: `go on with "${lost.path}"`,
    reason: "it was removed, unmounted or replaced since it was opened",
    hint: "Put it back, or run it again",
  });
}

/**
 * Runs `work`, which ends with the signal of the context that it is given: when the user interrupts, or when one of
 * `roots` is not in place any more.
 *
 * @throws {FilesyncError} As {@linkcode requireInPlace} does, also when `work` failed because of it.
 */
export async function whileInPlace<T>(
  roots: readonly TreeRoot[],
  context: Context,
  work: (context: Context) => Promise<T>,
): Promise<T> {
  const { clock, signal } = context;
  const ended = new AbortController();
  const stopped = AbortSignal.any([signal, ended.signal]);
  const looking = (async () => {
    while (!stopped.aborted && roots.every((root) => root.isInPlace())) await clock.sleep(LOOK_MS, stopped);
    ended.abort();
  })().catch(() => {});
  try {
    return await work({ ...context, signal: stopped });
  } finally {
    ended.abort();
    await looking;
    // Whatever came of it came of that.
    if (!signal.aborted) requireInPlace(roots);
  }
}
