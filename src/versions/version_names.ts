/** What people call a snapshot. @module */
import { beginsWithDay, durationIn } from "../core/duration.ts";
import { FilesyncError } from "../core/errors.ts";
import { PARTIAL, REPLACED, type Snapshot } from "./snapshots.ts";

const DAY = /^(\d{4})-(\d{2})-(\d{2})$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$/i;

/** Numbers that an error lists by themselves; of more, the ends. */
const FEW = 12;

/**
 * The snapshots that have names. The latest one is not what a restore took the place of: a restore that is made once
 * more restores the same. The previous one is not what an interrupted sync left.
 *
 * @param snapshots Of one tree, oldest first.
 */
export function namedVersions(snapshots: readonly Snapshot[]): { latest?: Snapshot; previous?: Snapshot } {
  const wanted = snapshots.findLastIndex(({ reason }) => reason !== REPLACED);
  const latest = wanted < 0 ? snapshots.length - 1 : wanted;
  const previous = snapshots.slice(0, Math.max(latest, 0)).findLast(({ reason }) => reason !== PARTIAL);
  return { latest: snapshots[latest], previous };
}

/**
 * The snapshot that `text` names: `latest` or `previous` (see {@linkcode namedVersions}), a number, or a time:
 * `2026-11-20T18:00` (of the local time zone, unless it says another), `2026-11-20` (the end of that day), `2h` or `3d`
 * (so long ago). A time names the state as of then: the last snapshot that is not younger.
 *
 * @param snapshots Of one tree, oldest first.
 * @param now Milliseconds since the epoch.
 * @throws {FilesyncError} `usage` when it is none of these; `not-found` when there is no such snapshot, with those
 * that there are.
 */
export function resolveVersion(text: string, snapshots: readonly Snapshot[], now: number): Snapshot {
  const name = text.trim().toLowerCase();
  const operation = `find the version ${JSON.stringify(text)}`;
  const found = find(name, snapshots, now);
  if (found === undefined) {
    throw new FilesyncError({
      code: "usage",
      operation,
      reason: "it is neither a name, nor a number, nor a time",
      hint: "Write latest, previous, a number, a time such as 2026-11-20T18:00, or an age such as 2h or 3d",
      permanent: true,
    });
  }
  if (found.snapshot !== undefined) return found.snapshot;
  throw new FilesyncError({
    code: "not-found",
    operation,
    reason: snapshots.length === 0 ? "there are no versions yet" : found.reason,
    hint: snapshots.length === 0 ? "One is made whenever something has changed" : existing(snapshots),
    permanent: true,
  });
}

interface Found {
  snapshot: Snapshot | undefined;
  /** Why there is none. */
  reason: string;
}

function find(name: string, snapshots: readonly Snapshot[], now: number): Found | undefined {
  const named = namedVersions(snapshots);
  if (name === "latest") return { snapshot: named.latest, reason: "" };
  if (name === "previous") {
    return { snapshot: named.previous, reason: "there is no version before the latest" };
  }
  if (/^#?\d+$/.test(name)) {
    const number = Number(name.replace("#", ""));
    const snapshot = snapshots.find((snapshot) => snapshot.number === number);
    return { snapshot, reason: "there is no version of that number (any more)" };
  }
  const time = momentIn(name, now);
  if (time === undefined) return undefined;
  const snapshot = snapshots.findLast((snapshot) => snapshot.time <= time);
  return { snapshot, reason: "all versions are younger" };
}

/** The last millisecond that a name of a time or an age means; `undefined` when it is neither. */
export function momentIn(name: string, now: number): number | undefined {
  const age = durationIn(name.replace(/\s+ago$/, ""));
  if (age !== undefined) return now - age;
  const day = DAY.exec(name)?.slice(1).map(Number);
  if (day !== undefined) {
    const [year, month, date] = day;
    return beginsWithDay(name) ? new Date(year, month - 1, date + 1).getTime() - 1 : undefined;
  }
  if (!MOMENT.test(name) || !beginsWithDay(name)) return undefined;
  const time = Date.parse(name.toUpperCase().replace(" ", "T"));
  return Number.isNaN(time) ? undefined : time;
}

function existing(snapshots: readonly Snapshot[]): string {
  const numbers = snapshots.map(({ number }) => number);
  const listed = numbers.length <= FEW
    ? numbers.join(", ")
    : `${numbers.slice(0, 3).join(", ")}, … ${numbers.slice(-3).join(", ")}`;
  const [oldest, newest] = [snapshots[0], snapshots.at(-1)!].map(({ time }) => new Date(time).toISOString());
  return numbers.length === 1
    ? `There is ${listed}, of ${newest}`
    : `There are ${listed}, from ${oldest} to ${newest}`;
}
