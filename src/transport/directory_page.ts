/**
 * What stands, or stood, directly in one directory, a page at a time: by jumps through an index, so that it takes
 * as long as the page is, not as what lies below.
 *
 * @module
 */
import type { Entry } from "../core/entry.ts";
import { comesBefore, parentOf, rangeBelow, ROOT, type TreePath } from "../core/path.ts";
import { bareEntry, type TreeIndex } from "../index/tree_index.ts";
import type { KeptFiles } from "../versions/kept_files.ts";

/** Which entries are wanted. */
export interface DirectoryQuery {
  directory: TreePath;
  /** As of when, milliseconds since the epoch. @default {now} */
  at?: number;
  /** Those after this path. */
  after?: TreePath;
  /** @default {200} */
  limit?: number;
}

/** A page of a directory. */
export interface DirectoryPage {
  /** In the order of their paths. */
  entries: Entry[];
  /** After what the next page begins; `undefined` when this was the last. It may be empty and not the last. */
  after?: TreePath;
}

/** Where it is looked up. */
export interface DirectorySource {
  index: TreeIndex;
  /** What was replaced and removed; without it only the present can be told. */
  kept?: KeptFiles;
}

/** Jumps that one page takes at most, so that nobody waits long for it. */
const MOST_JUMPS = 4_000;

/** A blob sorts after all text. */
const BEYOND_ALL_PATHS = new Uint8Array([0xff]);

/** A page of what stands in a directory, or stood there. */
export function directoryPage(source: DirectorySource, query: DirectoryQuery): DirectoryPage {
  const { directory, at, after, limit = 200 } = query;
  const { low, high } = directory === ROOT ? { low: "", high: BEYOND_ALL_PATHS } : rangeBelow(directory);
  const entries: Entry[] = [];
  let from: string = after ?? low;
  for (let inclusive = false, jumps = 0;; jumps++) {
    const path = firstPath(source, from, high, inclusive, at !== undefined);
    if (path === undefined) return { entries };
    if (parentOf(path) !== directory) {
      // It lies deeper: on to what does not. Names such as "a-b" and "a.c" stand between "a" and "a/…".
      const child = path.slice(0, path.indexOf("/", low.length));
      from = rangeBelow(child as TreePath).high;
      inclusive = true;
      if (jumps >= MOST_JUMPS) return { entries, after: path };
      continue;
    }
    const entry = entryAt(source, path, at);
    if (entry !== undefined) entries.push(entry);
    if (entries.length === limit || jumps >= MOST_JUMPS) return { entries, after: path };
    from = path;
    inclusive = false;
  }
}

/** What stands at a path, or stood there at `at`, milliseconds since the epoch. Where clocks went wrong, what came last holds. */
export function entryAt({ index, kept }: DirectorySource, path: TreePath, at?: number): Entry | undefined {
  const standing = index.standing(path);
  if (at === undefined) return standing && bareEntry(standing.entry);
  const now = standing !== undefined && standing.since <= at ? standing : undefined;
  const gone = kept?.standingThere(path, at);
  const met = gone !== undefined && (now === undefined || now.since < gone.since) ? gone : now;
  return met && bareEntry(met.entry);
}

function firstPath(
  { index, kept }: DirectorySource,
  from: string,
  end: string | Uint8Array,
  inclusive: boolean,
  withKept: boolean,
): TreePath | undefined {
  const standing = index.firstPath(from, end, inclusive);
  const gone = withKept ? kept?.firstPath(from, end, inclusive) : undefined;
  if (standing === undefined || gone === undefined) return standing ?? gone;
  return comesBefore(gone, standing) ? gone : standing;
}
