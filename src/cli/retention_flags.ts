/** How long versions are kept, as users say it. @module */
import { DEFAULT_RETENTION, type Retention } from "../versions/retention.ts";
import type { Flag, Invocation } from "./command.ts";
import { parseDuration } from "./sizes.ts";
import { usageError } from "./usage_error.ts";

/** The flags. */
export const RETENTION_FLAGS: readonly Flag[] = [
  {
    name: "keep",
    short: "k",
    value: "N",
    env: "FILESYNC_KEEP",
    description: "Keep the last N versions, or staggered: all of an hour, one an hour for a day, " +
      "one a day for 30 days, one a week for a year; or none",
  },
  {
    name: "keep-for",
    value: "TIME",
    env: "FILESYNC_KEEP_FOR",
    description: "Keep what was in place within TIME before now, such as 30d; besides what --keep keeps",
  },
];

/**
 * What the flags say, when nothing is kept unless they do.
 *
 * @throws {FilesyncError} `usage`.
 */
export function givenRetention(invocation: Invocation): Retention | undefined {
  const isGiven = RETENTION_FLAGS.some(({ name }) => invocation.flag(name) !== undefined);
  return isGiven ? retentionOf(invocation) : undefined;
}

/**
 * What the flags say; `undefined` when nothing is to be kept.
 *
 * @param standard When no flag is given.
 * @throws {FilesyncError} `usage`.
 */
export function retentionOf(
  invocation: Invocation,
  standard: Retention | undefined = DEFAULT_RETENTION,
): Retention | undefined {
  const keep = invocation.flag("keep")?.trim().toLowerCase();
  const keepFor = invocation.flag("keep-for");
  if (keep === undefined && keepFor === undefined) return standard;
  if (keep === "none" && keepFor === undefined) return undefined;
  const age = keepFor === undefined ? {} : { age: parseDuration(keepFor, "--keep-for") };
  switch (keep) {
    case undefined:
    case "none":
      return age;
    case "staggered":
      return { staggered: true, ...age };
    default:
      if (/^\d{1,9}$/.test(keep) && Number(keep) > 0) return { count: Number(keep), ...age };
      throw usageError(
        `use ${JSON.stringify(keep)} for --keep`,
        "it is no number of versions",
        "Write a whole number from 1, staggered or none",
      );
  }
}
