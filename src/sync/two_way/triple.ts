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
 *
 * @param isVisible Whether an entry is to be judged; any other counts as missing.
 */
export async function* differences(
  base: Iterable<Entry>,
  a: AsyncIterable<Entry>,
  b: AsyncIterable<Entry>,
  isVisible: (entry: Entry, from: Side | "base") => boolean = () => true,
): AsyncGenerator<Triple> {
  const bases = base[Symbol.iterator]();
  const streams = { a: a[Symbol.asyncIterator](), b: b[Symbol.asyncIterator]() };
  const nextBase = () => {
    for (;;) {
      const { done, value } = bases.next();
      if (done || isVisible(value, "base")) return done ? undefined : value;
    }
  };
  const next = async (side: Side) => {
    for (;;) {
      const { done, value } = await streams[side].next();
      if (done || isVisible(value, side)) return done ? undefined : value;
    }
  };
  try {
    let [o, x, y] = [nextBase(), await next("a"), await next("b")];
    for (;;) {
      let path = o?.path ?? x?.path ?? y?.path;
      if (path === undefined) return;
      if (x !== undefined && comesBefore(x.path, path)) path = x.path;
      if (y !== undefined && comesBefore(y.path, path)) path = y.path;
      const triple: Triple = { path };
      if (o?.path === path) [triple.base, o] = [o, nextBase()];
      if (x?.path === path) [triple.a, x] = [x, await next("a")];
      if (y?.path === path) [triple.b, y] = [y, await next("b")];
      if (!isSame(triple.a, triple.b) || !isSame(triple.a, triple.base)) yield triple;
    }
  } finally {
    bases.return?.();
    await Promise.all([streams.a.return?.(), streams.b.return?.()]);
  }
}
