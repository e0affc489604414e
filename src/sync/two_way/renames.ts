/**
 * Renames, so that what was renamed on one side and edited on the other ends under the new name with the
 * edit. Trees have no identity but content, so a rename is seen by it: a file of the last common state is
 * gone from its path, and one with the same content and modification time is new at another. A directory was
 * renamed when it is gone, the other one is new, and more than half of the files that were below it are found
 * below the new one at the same place.
 *
 * A rename is done on the other side before anything else, where its name is free, and everything known of
 * the other side and of the last common state is taken to be under the new name from then on. So what was added to a
 * renamed directory goes along, and nothing else has to know of renames. What does not fit is no rename,
 * but something gone and something new, which loses nothing.
 *
 * @module
 */
import type { Entry, FileEntry } from "../../core/entry.ts";
import { areRelated, nameOf, parentOf, rebase, ROOT, type TreePath } from "../../core/path.ts";
import { other, type Side, SIDES, type Triple } from "./triple.ts";

/** What stood at `from` in the last common state is at `path` now, on one side or on both. */
export interface Rename {
  from: TreePath;
  path: TreePath;
  /** Where it remains to be done, and what stands there at `from`. */
  todo?: { side: Side; entry: Entry };
}

/** Renames within renamed directories take a pass for each level; nobody goes deeper at once. */
const MOST_PASSES = 8;

/** Files of one name, content and time that are considered for one that is gone. */
const MOST_TWINS = 16;

/**
 * Finds renames and rewrites `triples` as if they were done everywhere.
 *
 * @returns The renames, in the order in which they must be done.
 */
export function followRenames(triples: Map<TreePath, Triple>): Rename[] {
  const renames: Rename[] = [];
  for (let pass = 0, found = 1; pass < MOST_PASSES && found > 0; pass++) {
    found = 0;
    for (const side of SIDES) {
      const directories = renamedDirectories(triples, side);
      for (const [from, path] of directories) {
        const entry = triples.get(from)![other(side)]!;
        renames.push({ from, path, todo: { side: other(side), entry } });
      }
      rewriteDirectories(triples, directories, other(side));
      found += directories.size;
    }
  }
  // One by one: they may be more than a call can have arguments.
  for (const side of SIDES) for (const rename of followFiles(triples, side)) renames.push(rename);
  return renames;
}

/** Pairs of directories that were renamed on `side` and can be renamed on the other; none is within another. */
function renamedDirectories(triples: Map<TreePath, Triple>, side: Side): Map<TreePath, TreePath> {
  const { gone, fresh } = movedFiles(triples, side);
  const renamed = new Map<TreePath, TreePath>();
  if (gone.length === 0 || fresh.size === 0) return renamed;
  const isGone = (path: TreePath) => {
    const triple = triples.get(path);
    return triple?.base?.kind === "directory" && triple[side] === undefined;
  };
  const isFresh = (path: TreePath) => {
    const triple = triples.get(path);
    return triple?.base === undefined && triple?.[side]?.kind === "directory";
  };

  const files = new Map<TreePath, number>();
  const votes = new Map<TreePath, Map<TreePath, number>>();
  for (const file of gone) {
    for (let at = parentOf(file.path); at !== ROOT && isGone(at); at = parentOf(at)) {
      files.set(at, (files.get(at) ?? 0) + 1);
    }
    const twins = (fresh.get(lookOf(file)) ?? []).filter((path) => nameOf(path) === nameOf(file.path));
    for (const twin of twins.slice(0, MOST_TWINS)) {
      let [from, to] = [parentOf(file.path), parentOf(twin)];
      for (; from !== ROOT && to !== ROOT; from = parentOf(from), to = parentOf(to)) {
        if (!isGone(from) || !isFresh(to)) break;
        const count = votes.get(from) ?? new Map<TreePath, number>();
        votes.set(from, count.set(to, (count.get(to) ?? 0) + 1));
        if (nameOf(from) !== nameOf(to)) break;
      }
    }
  }

  const taken: TreePath[] = [];
  // Parents come before what they hold: the outermost directory that was renamed takes the rest along.
  for (const from of [...votes.keys()].sort()) {
    const [to, count] = [...votes.get(from)!].reduce((best, one) => one[1] > best[1] ? one : best);
    if (2 * count <= files.get(from)! || triples.get(from)![other(side)]?.kind !== "directory") continue;
    if (taken.some((path) => areRelated(path, from) || areRelated(path, to))) continue;
    if (!isFree(triples, to, other(side))) continue;
    renamed.set(from, to);
    taken.push(from, to);
  }
  return renamed;
}

/** Takes what is below renamed directories on `side`, and in the last common state, to be where they are now. */
function rewriteDirectories(
  triples: Map<TreePath, Triple>,
  renamed: ReadonlyMap<TreePath, TreePath>,
  side: Side,
): void {
  if (renamed.size === 0) return;
  for (const [path, triple] of [...triples]) {
    let from: TreePath | undefined = path;
    while (from !== ROOT && !renamed.has(from)) from = parentOf(from);
    const to = renamed.get(from);
    if (to !== undefined) rewrite(triples, triple, rebase(path, from, to), [side]);
  }
}

/** Follows the renames of single files on `side`. */
function followFiles(triples: Map<TreePath, Triple>, side: Side): Rename[] {
  const { gone, fresh } = movedFiles(triples, side);
  const renames: Rename[] = [];
  for (const file of gone) {
    const from = file.path;
    const triple = triples.get(from)!;
    const entry = triple[other(side)];
    const isTarget = (path: TreePath) =>
      entry === undefined
        // Done on both sides: the last sync may have got no further, or two people had the same thought.
        ? triples.get(path)![other(side)]?.kind === "file"
        : isFree(triples, path, other(side));
    const twins = (fresh.get(lookOf(file)) ?? []).filter(isTarget);
    const path = twins.find((twin) => nameOf(twin) === nameOf(from)) ??
      twins.find((twin) => parentOf(twin) === parentOf(from)) ?? twins[0];
    if (path === undefined || (entry !== undefined && entry.kind !== "file")) continue;
    const rest = fresh.get(lookOf(file))!;
    rest.splice(rest.indexOf(path), 1);
    renames.push({ from, path, ...(entry && { todo: { side: other(side), entry } }) });
    rewrite(triples, triple, path, entry === undefined ? [] : [other(side)]);
  }
  return renames;
}

/** Moves the last common state, and `sides`, of a triple to another path. */
function rewrite(triples: Map<TreePath, Triple>, triple: Triple, path: TreePath, sides: Side[]): void {
  const target = triples.get(path) ?? { path };
  for (const part of ["base", ...sides] as const) {
    const entry = triple[part];
    if (entry !== undefined) target[part] = { ...entry, path };
    delete triple[part];
  }
  triples.set(path, target);
  if (triple.a === undefined && triple.b === undefined && triple.base === undefined) {
    triples.delete(triple.path);
  }
}

/** The files that are gone from where they were, and those that are new where they are, by their look. */
function movedFiles(
  triples: ReadonlyMap<TreePath, Triple>,
  side: Side,
): { gone: FileEntry[]; fresh: Map<string, TreePath[]> } {
  const gone: FileEntry[] = [];
  const fresh = new Map<string, TreePath[]>();
  for (const { path, base, [side]: entry } of triples.values()) {
    if (entry === undefined && base?.kind === "file") gone.push(base);
    if (base !== undefined || entry?.kind !== "file") continue;
    const look = lookOf(entry);
    const paths = fresh.get(look);
    if (paths === undefined) fresh.set(look, [path]);
    else paths.push(path);
  }
  return { gone, fresh };
}

function lookOf({ digest, mtime }: FileEntry): string {
  return `${digest} ${mtime}`;
}

/** Whether something can be moved to `path` on `side`. */
function isFree(triples: ReadonlyMap<TreePath, Triple>, path: TreePath, side: Side): boolean {
  if (triples.get(path)?.[side] !== undefined) return false;
  for (let above = parentOf(path); above !== ROOT; above = parentOf(above)) {
    const triple = triples.get(above);
    // What is the same everywhere, and holds something, is a directory.
    if (triple === undefined || triple[side]?.kind === "directory") return true;
    // It would be made on the way; not where it was removed or renamed.
    if (triple[side] !== undefined || triple.base !== undefined) return false;
  }
  return true;
}
