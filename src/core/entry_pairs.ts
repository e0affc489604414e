/** Two trees, entry by entry. @module */
import type { Entry } from "./entry.ts";
import { comesBefore } from "./path.ts";

/** Merges two streams of entries that rise by path, as `comesBefore` tells; entries of one path come together. */
export async function* entryPairs(
  left: Iterable<Entry>,
  right: AsyncIterable<Entry> | Iterable<Entry>,
): AsyncGenerator<[Entry, Entry | undefined] | [undefined, Entry]> {
  const ours = left[Symbol.iterator]();
  let our = ours.next();
  for await (const their of right) {
    while (!our.done && comesBefore(our.value.path, their.path)) {
      yield [our.value, undefined];
      our = ours.next();
    }
    if (!our.done && our.value.path === their.path) {
      yield [our.value, their];
      our = ours.next();
    } else {
      yield [undefined, their];
    }
  }
  for (; !our.done; our = ours.next()) yield [our.value, undefined];
}
