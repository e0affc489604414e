/** Waiting that can be ended. @module */

/** Resolves when `promise` does, and no later than `signal` aborts; rejects as `promise` does. */
export async function orAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const over = new AbortController();
  const aborted = new Promise((resolve) =>
    signal.addEventListener("abort", resolve, { once: true, signal: over.signal })
  );
  await Promise.race([promise, aborted]).finally(() => over.abort());
}
