/** Waiting that lets nothing else go on. @module */

/** Stops this thread for so many milliseconds: for the few places that can give nobody else a turn. */
export function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
