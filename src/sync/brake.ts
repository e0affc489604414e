/** The safety brake: removals that look like an accident wait for a word from the user. @module */

/** What a whole look at a tree found. */
export interface Removals {
  /** Entries that were known before. */
  known: number;
  /** Of these, how many are gone; what was renamed is not among them. */
  gone: number;
  /** Whether the tree has nothing in it now. */
  empty: boolean;
  /** Whether another directory than before stands at its place. @default {false} */
  replaced?: boolean;
  /** How the tree is called. @default {"the source"} */
  name?: string;
  /** The part of everything known that may be gone at once. @default {SYNC_SHARE} */
  share?: number;
}

/** Fewer removals than this are never an accident worth stopping for, unless nothing is left, or another directory is there. */
const FEW = 10;

/** More than this part of everything known, gone at once, is taken for an accident. */
export const SYNC_SHARE = 0.3;

/** The same where changes are followed as they are made, and nothing but them was asked for. */
export const PUSH_SHARE = 0.5;

/** Why `removals` must not be carried out unasked, or `undefined` when they may. */
export function brakeReason(
  { known, gone, empty, replaced = false, name = "the source", share = SYNC_SHARE }: Removals,
): string | undefined {
  if (gone === 0) return undefined;
  if (empty && known > 1) return `${name} is empty, and ${known} entries were known in it`;
  if (gone <= known * share) return undefined;
  if (replaced) return `another directory stands in place of ${name}, without ${gone} of ${known} entries`;
  if (gone >= FEW) return `${gone} of ${known} entries are gone at once`;
}
