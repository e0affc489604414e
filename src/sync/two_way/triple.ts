/** What stands at a path on two sides, and what stood there on both when they were last in step. @module */
import { type Entry, sameEntry } from "../../core/entry.ts";
import { comesBefore, type TreePath } from "../../core/path.ts";

/** One of the two trees. */
export type Side = "a" | "b";

/** Both sides. */
export const SIDES: readonly Side[] = ["a", "b"];

/** The side that is not `side`. */
export function other(side: Side): Side {
  return side === "a" ? "b" : "a";
}

/** One path on both sides and in the last common state; what is missing does not stand there. */
export interface Triple {
  path: TreePath;
  base?: Entry;
  a?: Entry;
  b?: Entry;
}

/** Whether two entries, or absences, are the same in everything that is kept in step. */
export function isSame(a: Entry | undefined, b: Entry | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameEntry(a, b);
}

/**
 * Merges three streams that rise by path. Gives every path that is not the same in all three; memory stays
 * flat however big the trees are.
 */
export async function* differences(
  base: Iterable<Entry>,
  a: AsyncIterable<Entry>,
  b: AsyncIterable<Entry>,
): AsyncGenerator<Triple> {
  const bases = base[Symbol.iterator]();
  const as = a[Symbol.asyncIterator]();
  const bs = b[Symbol.asyncIterator]();
  try {
    let [o, x, y] = [next(bases.next()), next(await as.next()), next(await bs.next())];
    for (;;) {
      let path = o?.path ?? x?.path ?? y?.path;
      if (path === undefined) return;
      if (x !== undefined && comesBefore(x.path, path)) path = x.path;
      if (y !== undefined && comesBefore(y.path, path)) path = y.path;
      const triple: Triple = { path };
      if (o?.path === path) [triple.base, o] = [o, next(bases.next())];
      if (x?.path === path) [triple.a, x] = [x, next(await as.next())];
      if (y?.path === path) [triple.b, y] = [y, next(await bs.next())];
      if (!isSame(triple.a, triple.b) || !isSame(triple.a, triple.base)) yield triple;
    }
  } finally {
    bases.return?.();
    await Promise.all([as.return?.(), bs.return?.()]);
  }
}

function next(result: IteratorResult<Entry>): Entry | undefined {
  return result.done ? undefined : result.value;
}
