/**
 * What an attack is: something that goes on against the program for as long as it is told to, and
 * counts. `deno task torture <seconds> [names]` runs them for long, `torture_test.ts` for a moment.
 *
 * @module
 */

/** What an attack is given. */
export interface AttackJob {
  /** Aborts when the time is up. */
  signal: AbortSignal;
  /** The time until then, for attacks whose size depends on it. */
  seconds: number;
  /** Where the randomness starts, so that a run can be repeated as far as the machine allows. */
  seed: number;
}

/** What came of it. */
export interface Figures {
  /** Things that were tried. */
  runs: number;
  /** What went wrong, in words; none is what is wanted. */
  faults: string[];
  /** Whatever else was counted or measured. */
  measured: Record<string, number>;
}

/** An attack. */
export interface Attack {
  /** One line. */
  summary: string;
  /** Why it cannot run here, if it cannot. */
  unable?: () => string | undefined;
  /** A moment is enough for more runs than this. @default {10} */
  leastRuns?: number;
  run(job: AttackJob): Promise<Figures>;
}

/** Numbers that look random and are the same for the same seed: mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

/** Picks from lists with `random`. */
export function picker(random: () => number) {
  return {
    random,
    below: (most: number) => Math.floor(random() * most),
    one: <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)],
    chance: (probability: number) => random() < probability,
  };
}

/** Bytes of memory that this process has in use. */
export function residentBytes(): number {
  return Deno.memoryUsage().rss;
}
