/** Work in pieces, so that others are not kept waiting. @module */

/** Bytes worked on before other work gets a turn. */
export const TURN_BYTES = 8 << 20;

/**
 * Lets other work have a turn.
 *
 * @throws The signal's reason, when it has aborted by then.
 */
export async function turn(signal?: AbortSignal): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  signal?.throwIfAborted();
}
