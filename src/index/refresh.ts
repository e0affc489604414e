/**
 * Brings the index of a tree up to date with the disk: what was added, changed
 * or removed behind the program's back is found by size, times and inode, and
 * only that is read.
 *
 * @module
 */
import type { DescribePool } from "../chunking/describe_pool.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { describeBytes, type FileContent, SMALL_FILE_BYTES } from "../chunking/describe.ts";
import type { Clock } from "../core/clock.ts";
import { type Entry, sameContent, sameEntry } from "../core/entry.ts";
import { FilesyncError, PathError, toFilesyncError } from "../core/errors.ts";
import { childFault, childOf, ROOT, STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import { turn } from "../core/turn.ts";
import { showsAs } from "../files/kept_attributes.ts";
import { DEFAULT_MODE, type Stat } from "../files/stat.ts";
import type { Anchor, OpenFile, TreeRoot } from "../files/tree_root.ts";
import type { Look, TreeIndex } from "./tree_index.ts";
import { isUnchanged } from "./unchanged.ts";

/** How far a refresh has come. */
export interface RefreshProgress {
  /** Entries met so far. */
  seen: number;
  /** Files whose content was read, and their bytes. */
  read: number;
  readBytes: number;
}

/** What a refresh found. */
export interface RefreshResult extends RefreshProgress {
  changed: number;
  removed: number;
  /** What could not be read; it is not in the index. */
  problems: Problem[];
}

/** What {@linkcode refresh} needs. */
export interface RefreshOptions {
  clock: Clock;
  pool: DescribePool;
  signal?: AbortSignal;
  onProgress?: (progress: RefreshProgress) => void;
}

/** Files described and recorded in one go. */
const GROUP = 256;

/** Entries that were removed and are recorded in one go. */
const GONE_GROUP = 2_000;

/** Entries that are looked at before others get a turn: some 20 ms. */
const LOOKS = 5_000;

/** So many bytes of small files are read in this thread: fewer are not worth starting workers for. */
const FEW_BYTES = 4 << 20;

/** Where no modes are kept, most often all files look like programs, and all directories are everybody's. */
const SUSPECT_MODE = { file: 0o111, directory: 0o002 };

/** A file to be read, and how it looked just before. */
interface Candidate {
  path: TreePath;
  stat: Stat;
  lookedAt: number;
}

/**
 * Brings `index` up to date with the tree at `root`. A directory that cannot be listed is a
 * problem, and nothing below it is judged removed.
 */
export async function refresh(
  root: TreeRoot,
  index: TreeIndex,
  options: RefreshOptions,
): Promise<RefreshResult> {
  const { clock, signal } = options;
  const first = index.meta("refreshed") === undefined;
  const result: RefreshResult = { seen: 0, read: 0, readBytes: 0, changed: 0, removed: 0, problems: [] };
  const directories: TreePath[] = [ROOT];
  const entries: Candidate[] = [];
  const files: Candidate[] = [];
  const gone: TreePath[] = [];

  const reader = new Reader(options.pool);
  const note = (what: "found" | "found-gone", entry: Pick<Entry, "path"> & Partial<FileContent>) => {
    if (first) return index.skipSequence(1);
    index.record({ time: clock.now(), what, path: entry.path, size: entry.size, digest: entry.digest });
  };

  /** Records what stands there; only what is another entry than before is a change. */
  const take = (found: Entry, look: Look, packedManifest?: Uint8Array) => {
    const before = index.get(found.path);
    const entry = asGiven(found, before, root);
    // What stood there before anybody looked may have stood there for long.
    index.put(entry, look, packedManifest, first ? 0 : look.lookedAt);
    if (before !== undefined && sameEntry(before, entry)) return;
    result.changed++;
    const { path, size, digest } = { size: undefined, digest: undefined, ...entry };
    note("found", { path, size, digest });
  };

  const flush = async () => {
    using anchor = root.anchor();
    const described = await describeAll(anchor, files.splice(0), reader, result.problems);
    const others = entries.splice(0);
    index.transaction(() => {
      for (const path of gone.splice(0)) {
        index.remove(path);
        result.removed++;
        note("found-gone", { path });
      }
      for (const { path, stat, lookedAt } of others) {
        const entry = entryOf(anchor, path, stat, result.problems);
        if (entry !== undefined) take(entry, { ...stat, lookedAt });
      }
      for (const { candidate: { path, stat, lookedAt }, content } of described) {
        const { size, digest, packedManifest } = content;
        const { mtime, mode } = stat;
        take({ kind: "file", path, size, mtime, mode, digest }, { ...stat, lookedAt }, packedManifest);
        result.read++;
        result.readBytes += size;
      }
    });
    options.onProgress?.(result);
    // Lets a server answer while a big tree is read.
    await new Promise((resolve) => setTimeout(resolve, 0));
  };

  // What is recorded meanwhile is recorded of directories that were looked into before.
  const all = index.childrenOfAll();
  let nextTurn = LOOKS;
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    signal?.throwIfAborted();
    if (result.seen >= nextTurn) {
      nextTurn = result.seen + LOOKS;
      options.onProgress?.(result);
      await turn(signal);
    }
    using anchor = root.anchor();
    const lookedAt = clock.now();
    let listed: ReturnType<Anchor["listWithStats"]>;
    try {
      listed = anchor.listWithStats(directory);
    } catch (error) {
      result.problems.push(problemOf(toFilesyncError(`list "${directory}"`, error), directory));
      continue;
    }
    const children = all?.get(directory) ?? (all === undefined ? index.children(directory) : []);
    const known = new Map(children.map((entry) => [entry.path, entry]));
    for (const { name, stat } of listed) {
      if (name === STATE_DIRECTORY) continue;
      const fault = childFault(directory, name);
      const path = childOf(directory, name);
      if (fault !== undefined) {
        result.problems.push(problemOf(new PathError(path, fault), path));
        continue;
      }
      const before = known.get(path);
      if (stat instanceof FilesyncError) {
        known.delete(path);
        result.problems.push(problemOf(stat, path));
        continue;
      }
      if (stat.kind === "other") continue;
      result.seen++;
      known.delete(path);
      if (stat.kind === "directory") directories.push(path);
      if (before !== undefined && isUnchanged(before, stat, root)) continue;
      if (before !== undefined && before.kind !== stat.kind) gone.push(path);
      (stat.kind === "file" ? files : entries).push({ path, stat, lookedAt });
      if (files.length + entries.length >= GROUP) await flush();
    }
    for (const path of known.keys()) {
      gone.push(path);
      if (gone.length >= GONE_GROUP) await flush();
    }
  }
  await flush();
  index.setMeta("refreshed", String(clock.now()));
  return result;
}

/**
 * What stands there as it was given, where the file system does not keep all of that: it is remembered here. A mode
 * that nobody gave is that of most.
 */
function asGiven(found: Entry, before: Entry | undefined, root: TreeRoot): Entry {
  if (before !== undefined && sameContent(before, found) && showsAs(before, found, root)) return before;
  if (found.kind === "symlink") return found;
  if (before?.kind === found.kind) return root.kept.modes ? found : { ...found, mode: before.mode };
  const bits = SUSPECT_MODE[found.kind];
  const isSuspect = (found.mode & bits) === bits && !root.kept.modes;
  return isSuspect ? { ...found, mode: DEFAULT_MODE[found.kind] } : found;
}

function entryOf(anchor: Anchor, path: TreePath, stat: Stat, problems: Problem[]): Entry | undefined {
  const { mtime, mode } = stat;
  if (stat.kind === "directory") return { kind: "directory", path, mtime, mode };
  try {
    return { kind: "symlink", path, mtime, target: anchor.readLink(path) };
  } catch (error) {
    if (!(error instanceof FilesyncError)) throw error;
    // Gone since it was listed: the next refresh judges.
    if (error.code !== "not-found") problems.push(problemOf(error, path));
    return undefined;
  }
}

async function describeAll(
  anchor: Anchor,
  candidates: Candidate[],
  reader: Reader,
  problems: Problem[],
): Promise<{ candidate: Candidate; content: FileContent }[]> {
  using opened = new DisposableStack();
  const readable: { candidate: Candidate; file: OpenFile }[] = [];
  for (const candidate of candidates) {
    try {
      readable.push({ candidate, file: opened.use(anchor.openRead(candidate.path)) });
    } catch (error) {
      problems.push(problemOf(toFilesyncError(`read "${candidate.path}"`, error), candidate.path));
    }
  }
  const contents = await reader.describe(readable.map(({ file }) => file));
  return readable.flatMap(({ candidate }, i) => {
    const content = contents[i];
    if (!(content instanceof FilesyncError)) return [{ candidate, content }];
    problems.push(problemOf(content, candidate.path));
    return [];
  });
}

/** Describes files: the first few small ones by itself, all others in workers. */
class Reader {
  readonly #pool: DescribePool;
  #few = FEW_BYTES;

  constructor(pool: DescribePool) {
    this.#pool = pool;
  }

  /** Gives for each file, in order, what it holds or why it cannot be read. */
  async describe(files: readonly OpenFile[]): Promise<(FileContent | FilesyncError)[]> {
    const here = new Map(
      files.filter(({ stat }) => stat.size <= SMALL_FILE_BYTES && (this.#few -= stat.size) >= 0)
        .map((file) => [file, readHere(file)]),
    );
    const others = files.filter((file) => !here.has(file));
    const described = await this.#pool.describeMany(others.map(({ nativePath }) => nativePath));
    others.forEach((file, i) => here.set(file, described[i]));
    return files.map((file) => here.get(file)!);
  }
}

function readHere(file: OpenFile): FileContent | FilesyncError {
  const data = new Uint8Array(file.stat.size);
  try {
    let filled = 0;
    while (filled < data.length) {
      const read = file.read(data.subarray(filled), filled);
      if (read === 0) break;
      filled += read;
    }
    return describeBytes(data.subarray(0, filled), DEFAULT_CHUNKING);
  } catch (error) {
    return toFilesyncError("read the file", error);
  }
}
