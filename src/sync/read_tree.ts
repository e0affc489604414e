/**
 * Reads a whole directory as it is, without an index: every entry with its digest, in the
 * order of paths.
 *
 * @module
 */
import { digestFile, type FileDigest } from "../chunking/describe.ts";
import type { DescribePool } from "../chunking/describe_pool.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError, PathError, toFilesyncError } from "../core/errors.ts";
import {
  areRelated,
  childFault,
  childOf,
  comesBefore,
  ROOT,
  STATE_DIRECTORY,
  type TreePath,
} from "../core/path.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import { type IgnoreRules, RULE_FILE } from "../files/ignore_rules.ts";
import type { Stat } from "../files/stat.ts";
import type { Anchor, OpenFile, TreeRoot } from "../files/tree_root.ts";

/** What {@linkcode readTree} needs. */
export interface ReadTreeOptions {
  rules: IgnoreRules;
  /** Only what is at, below or above one of these. @default {everything} */
  paths?: readonly TreePath[];
  pool: Pick<DescribePool, "digestMany">;
  /** Told of every path that could not be read; it is left out. */
  onProblem: (problem: Problem) => void;
  /** Told how far it is; the totals are known from the first time on. */
  onProgress?: (progress: ReadProgress) => void;
  signal?: AbortSignal;
}

/** How far {@linkcode readTree} is. */
export interface ReadProgress {
  doneItems: number;
  totalItems: number;
  doneBytes: number;
  totalBytes: number;
}

/** An entry that was read, and how it looked before. */
export interface ReadEntry {
  entry: Entry;
  stat: Stat;
}

/** Files read side by side, and the bytes after which a group ends. */
const GROUP = 256;
const GROUP_BYTES = 256 << 20;

/** A tree of one group and no more bytes is read in this thread: workers would take longer to start. */
const FEW_BYTES = 4 << 20;

/**
 * Yields all that is in `root` and not ignored. A directory that cannot be listed is a problem and
 * has nothing in it.
 *
 * @throws {DOMException} When `signal` aborts.
 */
export async function* readTree(root: TreeRoot, options: ReadTreeOptions): AsyncGenerator<ReadEntry> {
  const { pool, onProblem, onProgress, signal } = options;
  const met = walk(root, options);
  const files = met.filter(({ stat }) => stat.kind === "file");
  const progress = {
    doneItems: 0,
    totalItems: files.length,
    doneBytes: 0,
    totalBytes: files.reduce((sum, { stat }) => sum + stat.size, 0),
  };
  const isSmall = files.length <= GROUP && progress.totalBytes <= FEW_BYTES;
  const digestMany = isSmall ? digestHere : (nativePaths: string[]) => pool.digestMany(nativePaths);
  for (const group of groupsOf(met)) {
    signal?.throwIfAborted();
    onProgress?.({ ...progress });
    using anchor = root.anchor();
    using opened = new DisposableStack();
    const open = new Map<TreePath, OpenFile>();
    for (const { path, stat } of group) {
      if (stat.kind !== "file") continue;
      try {
        open.set(path, opened.use(anchor.openRead(path)));
      } catch (error) {
        onProblem(problemOf(toFilesyncError(`read "${path}"`, error), path));
      }
    }
    const found = await digestMany([...open.values()].map(({ nativePath }) => nativePath));
    const contents = new Map([...open.keys()].map((path, i) => [path, found[i]]));
    for (const { path, stat } of group) {
      const { mtime, mode } = stat;
      if (stat.kind === "directory") {
        yield { entry: { kind: "directory", path, mtime, mode }, stat };
      } else if (stat.kind === "symlink") {
        const target = readLink(anchor, path, onProblem);
        if (target !== undefined) yield { entry: { kind: "symlink", path, mtime, target }, stat };
      } else {
        progress.doneItems++;
        progress.doneBytes += stat.size;
        const content = contents.get(path);
        if (content instanceof FilesyncError) onProblem(problemOf(content, path));
        else if (content !== undefined) {
          yield { entry: { kind: "file", path, mtime, mode, ...content }, stat };
        }
      }
    }
  }
  onProgress?.(progress);
}

function digestHere(nativePaths: string[]): (FileDigest | FilesyncError)[] {
  return nativePaths.map((nativePath) => {
    try {
      return digestFile(nativePath);
    } catch (error) {
      return toFilesyncError(`read "${nativePath}"`, error);
    }
  });
}

/** Everything in the tree, in the order of paths. */
function walk(root: TreeRoot, options: ReadTreeOptions): { path: TreePath; stat: Stat }[] {
  const { rules, onProblem, signal, paths = [ROOT] } = options;
  const met: { path: TreePath; stat: Stat }[] = [];
  const directories: TreePath[] = [ROOT];
  using anchor = root.anchor();
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    signal?.throwIfAborted();
    let listed: ReturnType<Anchor["listWithStats"]>;
    try {
      listed = anchor.listWithStats(directory);
      rules.enter(directory, listed.map(({ name }) => name));
    } catch (error) {
      onProblem(problemOf(toFilesyncError(`list "${directory || root.path}"`, error), directory));
      continue;
    }
    for (const { name, stat } of listed) {
      if (name === STATE_DIRECTORY) continue;
      const path = childOf(directory, name);
      if (!paths.some((wanted) => areRelated(path, wanted))) continue;
      const fault = childFault(directory, name);
      if (fault !== undefined) onProblem(problemOf(new PathError(path, fault), path));
      else if (stat instanceof FilesyncError) onProblem(problemOf(stat, path));
      else if (stat.kind !== "other" && !isIgnored(rules, path, stat, onProblem)) {
        met.push({ path, stat });
        if (stat.kind === "directory") directories.push(path);
      }
    }
  }
  return met.sort((a, b) => comesBefore(a.path, b.path) ? -1 : 1);
}

function isIgnored(
  rules: IgnoreRules,
  path: TreePath,
  stat: Stat,
  onProblem: ReadTreeOptions["onProblem"],
): boolean {
  try {
    return rules.ignores(path, stat.kind === "directory");
  } catch (error) {
    onProblem(problemOf(toFilesyncError(`read the rules in ${RULE_FILE} for "${path}"`, error), path));
    return true;
  }
}

function readLink(
  anchor: Anchor,
  path: TreePath,
  onProblem: ReadTreeOptions["onProblem"],
): string | undefined {
  try {
    return anchor.readLink(path);
  } catch (error) {
    onProblem(problemOf(toFilesyncError(`read the link "${path}"`, error), path));
  }
}

/** Groups of entries of which the files are few enough to be open at once, and not too much to read. */
function* groupsOf(
  met: readonly { path: TreePath; stat: Stat }[],
): Generator<{ path: TreePath; stat: Stat }[]> {
  let group: { path: TreePath; stat: Stat }[] = [];
  let bytes = 0;
  for (const one of met) {
    if (group.length >= GROUP || (bytes > 0 && bytes + one.stat.size > GROUP_BYTES)) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(one);
    if (one.stat.kind === "file") bytes += one.stat.size;
  }
  if (group.length > 0) yield group;
}
