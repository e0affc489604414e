/** Splitting one tree among several scans. @module */

/** One of several parts of a tree. */
export interface Shard {
  /** From 1. */
  index: number;
  count: number;
}

/** The whole tree. */
export const WHOLE: Shard = { index: 1, count: 1 };

/** Levels below the root that every part walks; what is deeper goes with its ancestor on the last of them. */
export const SHARED_LEVELS = 2;

/** How a directory concerns a part: it is `mine`, on the `way` to some that may be, or `foreign` with all below it. */
export type Share = "mine" | "way" | "foreign";

/**
 * How `shard` has to do with the directory at `path`. Every directory is `mine` for exactly one part, by a hash of
 * its path (FNV-1a), so that parts need not talk to each other.
 *
 * @param path Relative to the root of the scan, which is the empty string.
 */
export function shareOf(path: string, shard: Shard): Share {
  if (shard.count === 1) return "mine";
  const names = path === "" ? [] : path.split("/");
  let hash = 0x811c9dc5;
  for (const char of names.slice(0, SHARED_LEVELS).join("/")) {
    hash = Math.imul(hash ^ char.codePointAt(0)!, 0x01000193) >>> 0;
  }
  if (hash % shard.count === shard.index - 1) return "mine";
  return names.length < SHARED_LEVELS ? "way" : "foreign";
}
