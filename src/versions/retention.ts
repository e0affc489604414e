/**
 * Which versions are kept, and for how long. Decided here, done by `VersionStore.prune`.
 *
 * @module
 */

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** What is kept: all that any of its rules keeps. */
export interface Retention {
  /** So many of the newest. A snapshot counts as one also while it is the latest. */
  count?: number;
  /** What was in place at any time within so many milliseconds before now. */
  age?: number;
  /** What {@linkcode STAGES} leave. @default {false} */
  staggered?: boolean;
}

/** The latest snapshot and the previous one; of kept files, the last two of each path. */
export const DEFAULT_RETENTION: Retention = { count: 2 };

/**
 * How old versions are thinned out: all of the last hour, then the last of every hour for a day, of every
 * day for 30 days, of every week for a year. Hours, days and weeks are those of UTC, weeks begin on Thursday.
 *
 * Source: the staggered versioning of Syncthing, whose stages these are.
 */
export const STAGES: readonly { until: number; every: number }[] = [
  { until: HOUR, every: 0 },
  { until: DAY, every: HOUR },
  { until: 30 * DAY, every: DAY },
  { until: 365 * DAY, every: 7 * DAY },
];

/** One of a sequence of versions. */
export interface Aging {
  /** When it came, milliseconds since the epoch. */
  time: number;
  /** When something else took its place; absent of what is still in place, which never expires. */
  until?: number;
  /** Whether it is what work that was broken off left: nobody counts it, and it goes with what came before it. @default {false} */
  partial?: boolean;
}

/**
 * The versions that `retention` does not keep any more.
 *
 * It does not matter how often one asks and removes what is given: in the end the same is left.
 *
 * @param versions Of one tree, or of one path, oldest first.
 * @param now Milliseconds since the epoch.
 */
export function expired<V extends Aging>(versions: readonly V[], retention: Retention, now: number): V[] {
  const { count = 0, age = 0, staggered = false } = retention;
  let younger = versions.filter(({ partial }) => !partial).length;
  return versions.filter((version, i) => {
    if (!version.partial) younger--;
    if (version.until === undefined || younger < count) return false;
    if (age > 0 && now - version.until <= age) return false;
    return !staggered || isThinned(version.time, versions[i + 1]?.time, now);
  });
}

/** Whether the stages leave the version of `time` out, when the next one is of `next`. */
function isThinned(time: number, next: number | undefined, now: number): boolean {
  const stage = STAGES.find(({ until }) => now - time <= until);
  if (stage === undefined) return true;
  const { every } = stage;
  // The next one counts even in a stage of its own: it is what will be left of the period.
  return every > 0 && next !== undefined && Math.floor(time / every) === Math.floor(next / every);
}
