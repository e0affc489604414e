/**
 * Compares what stands in a directory, byte for byte, with what was recorded of it, and tells
 * damage from change: a program that writes a file changes its time; a disk that loses a bit does not.
 *
 * @module
 */
import type { Entry } from "../core/entry.ts";
import { sameContent, sameEntry } from "../core/entry.ts";
import { isWithin, type TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import type { TreeRoot } from "../files/tree_root.ts";
import { entryPairs } from "../core/entry_pairs.ts";
import { readTree, type ReadTreeOptions } from "./read_tree.ts";

/**
 * What became of an entry since it was recorded: `damaged` is other content with the same size and time,
 * `changed` anything else that differs.
 */
export type Verdict = "same" | "damaged" | "changed" | "missing" | "added";

/** What was found at a path. */
export interface Finding {
  path: TreePath;
  verdict: Verdict;
  recorded?: Entry;
  found?: Entry;
}

/** The verdict on an entry that was recorded, found, or both. */
export function judge(recorded: Entry | undefined, found: Entry | undefined): Verdict {
  if (recorded === undefined) return "added";
  if (found === undefined) return "missing";
  if (sameEntry(recorded, found)) return "same";
  return isDamage(recorded, found) ? "damaged" : "changed";
}

/** Whether `found` has other content than `recorded`, and neither size nor time say why. */
export function isDamage(recorded: Entry, found: Entry): boolean {
  return recorded.kind === "file" && found.kind === "file" && !sameContent(recorded, found) &&
    recorded.size === found.size && recorded.mtime === found.mtime;
}

/**
 * Reads all of `root` and yields a finding for every entry that is there or was recorded, in the order
 * of paths. What could not be read is a problem and no finding.
 *
 * @param recorded In the order of paths.
 * @throws {DOMException} When `options.signal` aborts.
 */
export async function* verifyTree(
  root: TreeRoot,
  recorded: Iterable<Entry>,
  options: ReadTreeOptions,
): AsyncGenerator<Finding> {
  const unreadable: TreePath[] = [];
  const onProblem = (problem: Problem) => {
    if (problem.path !== undefined) unreadable.push(problem.path as TreePath);
    options.onProblem(problem);
  };
  const read = async function* () {
    for await (const { entry } of readTree(root, { ...options, onProblem })) yield entry;
  };
  for await (const [before, found] of entryPairs(recorded, read())) {
    const path = (before ?? found!).path;
    if (found === undefined && unreadable.some((top) => isWithin(path, top))) continue;
    yield {
      path,
      verdict: judge(before, found),
      ...(before === undefined ? {} : { recorded: before }),
      ...(found === undefined ? {} : { found }),
    };
  }
}
