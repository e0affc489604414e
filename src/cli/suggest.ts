/** "Did you mean …?" @module */
import { levenshteinDistance } from "@std/text";

/**
 * The word among `known` that `typed` was probably meant to be: the shortest one it
 * abbreviates, else the one with the fewest edits, at most one for every three letters.
 */
export function suggest(typed: string, known: Iterable<string>): string | undefined {
  const word = typed.toLowerCase();
  if (word === "") return undefined;
  const words = [...known];
  const longer = words.filter((other) => word.length > 1 && other.startsWith(word));
  if (longer.length > 0) return longer.reduce((a, b) => b.length < a.length ? b : a);
  let best: string | undefined;
  let fewest = Math.ceil(word.length / 3);
  for (const other of words) {
    const edits = levenshteinDistance(word, other);
    if (edits > fewest || (edits === fewest && best !== undefined)) continue;
    best = other;
    fewest = edits;
  }
  return best;
}

/** `a, b or c`. */
export function anyOf(words: readonly string[]): string {
  return words.join(", ").replace(/, ([^,]*)$/, " or $1");
}

/** {@linkcode suggest} as the beginning of a hint, or nothing. */
export function didYouMean(typed: string, known: Iterable<string>, prefix = ""): string {
  const word = suggest(typed, known);
  return word === undefined ? "" : `Did you mean ${prefix}${word}? `;
}
