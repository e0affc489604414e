/** Work in pieces, so that others are not kept waiting. @module */
import { setImmediate } from "node:timers";

/** Bytes worked on before other work gets a turn. */
export const TURN_BYTES = 8 << 20;

/**
 * Lets other work have a turn. A timer would wait for 2 ms, however short it is set.
 *
 * @throws The signal's reason, when it has aborted by then.
 */
export async function turn(signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(() => resolve()));
  signal?.throwIfAborted();
}
