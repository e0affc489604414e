/** When a stat can be trusted to tell that nothing has changed since. @module */

/** Two writes within one tick of the file system's clock leave the same time: Linux stamps by the jiffy, at most 10 ms. */
const FINE_TICK_MS = 50;
/** FAT stamps every two seconds, others by the second: suspected when a time has no fraction. */
const COARSE_TICK_MS = 2_000;

/**
 * Whether a file with modification time `mtime` could have changed after it was read at
 * `lookedAt` without its time showing it; then its content must be read again.
 *
 * Source: the "racy git" rule, git's Documentation/technical/racy-git.txt.
 */
export function isRacy(mtime: number, lookedAt: number): boolean {
  return mtime + (mtime % 1000 === 0 ? COARSE_TICK_MS : FINE_TICK_MS) > lookedAt;
}
