/** What shall stand at one path, when each side has its own idea of it. @module */
import { type Entry, sameContent } from "../../core/entry.ts";
import { other, type Side, type Triple } from "./triple.ts";

/** Who wins when both sides changed a content: the newer one, or always the same side, or both are kept. */
export type ConflictPolicy = "newer" | "source" | "backup" | "both";

/** What shall stand at a path. */
export interface Decision {
  /** Nothing, when it is missing. */
  target?: Entry;
  /** Which side's content it is not, though that side changed it too. */
  loser?: Side;
}

/**
 * Decides for one path, as if nothing stood above and below it. Only contents can be in conflict: mode and time are
 * those of the side that changed them, and of the newer entry when both did. They are no edit either: what is
 * removed on one side is removed on the other, even if its mode was changed there.
 */
export function decide({ base, a, b }: Omit<Triple, "path">, policy: ConflictPolicy): Decision {
  if (a === undefined && b === undefined) return {};
  if (a !== undefined && b !== undefined && sameContent(a, b)) {
    const [older, newer] = byAge(a, b);
    return { target: withAttributes(newer, base, older) };
  }
  if (hasContentOf(base, a)) return b === undefined ? {} : { target: withMode(b, base, a) };
  if (hasContentOf(base, b)) return a === undefined ? {} : { target: withMode(a, base, b) };
  // Removed against edited: the edit stays.
  if (a === undefined || b === undefined) return { target: a ?? b };
  const winner = winnerOf(a, b, policy);
  return { target: winner === "a" ? a : b, loser: other(winner) };
}

function winnerOf(a: Entry, b: Entry, policy: ConflictPolicy): Side {
  // What is in a directory could not be kept beside it under another name as simply as a file can.
  if (a.kind === "directory") return "a";
  if (b.kind === "directory") return "b";
  if (policy === "source") return "a";
  if (policy === "backup") return "b";
  return byAge(a, b)[1] === a ? "a" : "b";
}

/** The older and the newer of two entries; of the same time, by what they are, so that all replicas agree. */
function byAge(a: Entry, b: Entry): [older: Entry, newer: Entry] {
  const isNewer = a.mtime !== b.mtime ? a.mtime > b.mtime : rankOf(a) > rankOf(b);
  return isNewer ? [b, a] : [a, b];
}

function rankOf(entry: Entry): string {
  switch (entry.kind) {
    case "file":
      return `file ${entry.digest} ${entry.mode}`;
    case "symlink":
      return `link ${entry.target}`;
    case "directory":
      return `directory ${entry.mode}`;
  }
}

function hasContentOf(base: Entry | undefined, entry: Entry | undefined): boolean {
  return base === undefined || entry === undefined ? base === entry : sameContent(base, entry);
}

/** `entry`, with mode and time of the side that changed them; both did: those of `entry`, which is the newer. */
function withAttributes(entry: Entry, base: Entry | undefined, older: Entry): Entry {
  const mtime = base !== undefined && base.kind === entry.kind && entry.mtime === base.mtime
    ? older.mtime
    : entry.mtime;
  return { ...withMode(entry, base, older), mtime };
}

/** `entry`, with the mode of `rival` when only that side changed it. */
function withMode(entry: Entry, base: Entry | undefined, rival: Entry | undefined): Entry {
  if (entry.kind === "symlink" || base?.kind !== entry.kind || rival?.kind !== entry.kind) return entry;
  const [was, theirs] = [modeOf(base), modeOf(rival)];
  return entry.mode === was ? { ...entry, mode: theirs } : entry;
}

function modeOf(entry: Entry): number {
  return entry.kind === "symlink" ? 0 : entry.mode;
}
