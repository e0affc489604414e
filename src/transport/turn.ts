/** Work in pieces, so that others are not kept waiting. @module */

/** Bytes worked on before other work gets a turn. */
export const TURN_BYTES = 8 << 20;

/** Lets other work have a turn. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
