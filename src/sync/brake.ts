/** The safety brake: removals that look like an accident wait for a word from the user. @module */

/** What a whole look at a source found. */
export interface Removals {
  /** Entries that were known before. */
  known: number;
  /** Of these, how many are gone; what was renamed is not among them. */
  gone: number;
  /** Whether the source has nothing in it now. */
  empty: boolean;
}

/** Fewer removals than this are never an accident worth stopping for, unless nothing is left. */
const FEW = 10;

/** More than this part of everything known, gone at once, is taken for an accident. */
const TOO_LARGE_A_PART = 0.5;

/** Why `removals` must not be carried out unasked, or `undefined` when they may. */
export function brakeReason({ known, gone, empty }: Removals): string | undefined {
  if (gone === 0) return undefined;
  if (empty && known > 1) return `the source is empty, and ${known} entries were known in it`;
  if (gone >= FEW && gone > known * TOO_LARGE_A_PART) return `${gone} of ${known} entries are gone at once`;
}
