/**
 * Looks at the source, compares it with what was last seen there, and queues
 * what must be done at the receiver.
 *
 * Invariants: what is seen and what is queued for it are recorded in one
 * transaction; nothing is judged gone on the strength of a directory that could not be
 * listed; removals come last, when all moves are known.
 *
 * @module
 */
import { type FileContent, SMALL_FILE_BYTES } from "../chunking/describe.ts";
import type { DescribePool } from "../chunking/describe_pool.ts";
import { type Action, actionFor } from "../core/action.ts";
import { type Clock, steadyClock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { canReplace, type Entry, type FileEntry, sameContent, sameEntry } from "../core/entry.ts";
import { isRacy } from "../core/racy.ts";
import { FilesyncError, PathError, toFilesyncError } from "../core/errors.ts";
import {
  childFault,
  childOf,
  isWithin,
  nameOf,
  outermost,
  parentOf,
  ROOT,
  STATE_DIRECTORY,
  type TreePath,
} from "../core/path.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import { IgnoreRules, RULE_FILE } from "../files/ignore_rules.ts";
import type { Stat } from "../files/stat.ts";
import type { Anchor, OpenFile, TreeRoot } from "../files/tree_root.ts";
import type { IndexedEntry, SeenEntry } from "../index/tree_index.ts";
import { isUnchanged } from "../index/unchanged.ts";
import { brakeReason, PUSH_SHARE } from "./brake.ts";
import type { FreshContents } from "./fresh_contents.ts";
import type { SourceState } from "./source_state.ts";
import { isDamage } from "./verify_tree.ts";

/** A path to look at. */
export interface Look {
  path: TreePath;
  /** Whether everything below is to be looked at too. */
  deep: boolean;
  /** Whether a file is read even if nothing seems to have happened to it. @default {false} */
  read?: boolean;
}

/** What a look found. */
export interface Findings {
  /** Actions queued. */
  queued: number;
  /** Directories that appeared: what is put into them may come without an event for a moment. */
  appeared: TreePath[];
  /** Files that changed while they were read: to be looked at again soon. */
  unstable: TreePath[];
  /** Of these, files that never stand still, and were taken as they are. */
  restless: TreePath[];
  /** Problems that are news. */
  problems: Problem[];
  /** Why removals were held back, when they were. */
  brake?: string;
}

/** How far a look at the whole source has come. */
export interface LookProgress {
  files: number;
  directories: number;
  bytes: number;
}

/** What an {@linkcode Inspector} needs. */
export interface InspectorOptions {
  root: TreeRoot;
  state: SourceState;
  rules: IgnoreRules;
  pool: Pick<DescribePool, "describe" | "describeMany" | "digestMany">;
  /** Reads small files, and keeps them to be sent. Without it the pool reads them all. */
  fresh?: FreshContents;
  clock: Clock;
  /** Carry out removals however many they are. @default {false} */
  allowMassDelete?: boolean;
  /** The part of everything known that may be gone at once without {@linkcode allowMassDelete}. @default {PUSH_SHARE} */
  brakeShare?: number;
  /**
   * Whether a content is known to be good at a path. When given, content that changed while neither size nor
   * time of the file did is held back unless it is: it is damaged.
   */
  isGood?: (path: TreePath, content: Digest) => boolean;
  onProgress?: (progress: LookProgress) => void;
}

/** Changes recorded in one transaction. */
const GROUP = 512;

/** Files open at once while they are read. */
const OPEN_FILES = 256;

/** Files up to so many bytes are read in this thread: a message to a worker and back would take as long. */
const LITTLE_BYTES = 64 << 10;

/** Bigger ones as well, up to so many bytes in a group: fewer are not worth starting workers for. */
const FEW_BYTES = 4 << 20;

/** A file that never stands still is taken as it is after so many tries. */
const PATIENCE = 3;

/** Longest time without giving other work a turn, milliseconds. */
const TURN_MS = 15;

/** Directories on the way stay open for at most this long, milliseconds. */
const ANCHOR_MS = 10;

/** A file to be read, and how it looked just before. */
interface Candidate {
  path: TreePath;
  stat: Stat;
  lookedAt: number;
  /** Where the same inode was seen, and is no more. */
  origin: IndexedEntry | undefined;
}

/** A candidate that is open. */
interface Opened {
  candidate: Candidate;
  file: OpenFile;
}

/** What was seen at a path, and when the look began. */
interface Sight {
  stat: Stat | FilesyncError | undefined;
  lookedAt: number;
}

/** A change that is known and not recorded yet. */
interface Change {
  entry: Entry;
  stat: Stat;
  lookedAt: number;
  /** Whether the receiver must hear of it. */
  tell: boolean;
  fresh: boolean;
  packedManifest?: Uint8Array;
  /** The file that was seen there with other content. */
  base?: FileEntry;
}

/** Looks at a source. One look at a time. */
export class Inspector {
  readonly #options: InspectorOptions;
  /** How often a path was found changing while it was read. */
  readonly #restless = new Map<TreePath, number>();

  constructor(options: InspectorOptions) {
    this.#options = options;
  }

  /** Looks at some paths. */
  async look(looks: readonly Look[], signal?: AbortSignal): Promise<Findings> {
    const ruled = looks.map(({ path }) => path).filter((path) => nameOf(path) === RULE_FILE).map(parentOf);
    for (const directory of ruled) this.#options.rules.forget(directory);
    const pass = new Pass(this.#options, this.#restless, signal);
    // Of a tree that appeared all directories are looked into again: with the topmost of them all are.
    const tops = new Set(outermost(looks.filter(({ deep }) => deep).map(({ path }) => path)));
    // Parents first, so that a directory that appeared or moved is met before what is in it.
    for (const look of [...looks].sort((a, b) => a.path < b.path ? -1 : 1)) {
      await pass.look({ ...look, deep: tops.has(look.path) });
    }
    // What was left out before may not be now.
    for (const directory of ruled) await pass.look({ path: directory, deep: true });
    return await pass.finish();
  }

  /** Looks at the whole source. */
  async lookAtAll(signal?: AbortSignal): Promise<Findings> {
    this.#options.rules.forget(ROOT);
    const pass = new Pass(this.#options, this.#restless, signal);
    await pass.lookAtAll();
    return await pass.finish();
  }
}

/** One look, from the first path to the removals. */
class Pass {
  readonly #options: InspectorOptions;
  readonly #restless: Map<TreePath, number>;
  readonly #signal: AbortSignal | undefined;
  readonly #findings: Findings = { queued: 0, appeared: [], unstable: [], restless: [], problems: [] };
  readonly #progress: LookProgress = { files: 0, directories: 0, bytes: 0 };
  /** Every path that had a problem, news or not. */
  readonly #troubled = new Set<string>();
  readonly #gone = new Set<TreePath>();
  /** Files to be read, whatever they look like. */
  readonly #distrusted = new Set<TreePath>();
  /** Where something else stands now; judged when all moves are known. */
  readonly #replaced = new Set<TreePath>();
  #candidates: Candidate[] = [];
  #changes: Change[] = [];
  /** Whether nothing had been seen before: then nothing can have been moved. */
  readonly #isFirst: boolean;
  /** All that was seen before, by directory; `undefined` when it must be looked up, because it is too much or was moved. */
  #inMemory: Map<TreePath, SeenEntry[]> | undefined;
  /** Whether everything is looked at. */
  #isOfAll = false;
  /** Entries that were removed because something of another kind stands there now. */
  #displaced = 0;
  /** Directories in `#changes`: not recorded, but not missing either. */
  readonly #announced = new Set<TreePath>();
  readonly #steady: Clock;
  #lastTurn: number;

  constructor(options: InspectorOptions, restless: Map<TreePath, number>, signal?: AbortSignal) {
    this.#options = options;
    this.#restless = restless;
    this.#signal = signal;
    this.#steady = steadyClock(options.clock);
    this.#lastTurn = this.#steady.now();
    this.#isFirst = options.state.index.isEmpty;
  }

  /** Looks at `path`, or at the highest directory above it that is not known yet. */
  async look({ path, deep, read = false }: Look): Promise<void> {
    if (path === ROOT) return deep ? await this.lookInto(ROOT) : undefined;
    if (read) this.#distrusted.add(path);
    const unknown = this.#highestUnknown(path);
    const target = unknown ?? path;
    const intoIt = this.#withAnchor((anchor) =>
      this.#judge(anchor, target, this.#options.state.index.get(target))
    );
    if (intoIt === "appeared" || (deep && intoIt === "known")) await this.lookInto(target);
    await this.#flushIfFull();
  }

  /** Looks at everything. */
  async lookAtAll(): Promise<void> {
    this.#isOfAll = true;
    this.#inMemory = this.#options.state.index.childrenOfAll();
    await this.lookInto(ROOT);
    this.#inMemory = undefined;
  }

  /** Looks at everything below `top`. */
  async lookInto(top: TreePath): Promise<void> {
    const directories = [top];
    let listing: Generator<void, TreePath[], Anchor> | undefined;
    while (directories.length > 0 || listing !== undefined) {
      this.#signal?.throwIfAborted();
      // What is open stays open for a moment only: somebody may rename it.
      this.#withAnchor((anchor) => {
        const until = this.#steady.now() + ANCHOR_MS;
        do {
          listing ??= this.#list(anchor, directories.pop()!);
          const { done, value } = listing.next(anchor);
          if (!done) continue;
          listing = undefined;
          // One by one: they may be more than a call can have arguments.
          for (const directory of value) directories.push(directory);
        } while (directories.length > 0 && !this.#isFull && this.#steady.now() < until);
      });
      await this.#flushIfFull();
      if (this.#steady.now() - this.#lastTurn > TURN_MS) await this.#turn();
    }
  }

  /**
   * Judges what is in a directory; returns the directories to look into next, the last one first. In between it
   * rests when there is enough to record, so that memory does not grow with the directory; but only as long as
   * nothing can have been moved, which is told by all changes of a directory together. It goes on with another anchor.
   */
  *#list(anchor: Anchor, directory: TreePath): Generator<void, TreePath[], Anchor> {
    const { state, rules, clock } = this.#options;
    this.#progress.directories++;
    const lookedAt = clock.now();
    let listed: ReturnType<Anchor["listWithStats"]>;
    try {
      listed = anchor.listWithStats(directory);
    } catch (error) {
      const failure = toFilesyncError(`list "${directory}"`, error);
      // Removed since it was met: whoever listed its parent sees to that.
      if (failure.code !== "not-found") this.#report(failure, directory);
      return [];
    }
    try {
      rules.enter(directory, listed.map(({ name }) => name));
    } catch (error) {
      const path = childOf(directory, RULE_FILE);
      this.#report(toFilesyncError(`read the ignore rules in "${path}"`, error), path);
      return [];
    }
    const known = new Map(this.#childrenOf(directory).map((entry) => [entry.path, entry]));
    const enter: TreePath[] = [];
    for (const { name, stat } of listed) {
      if (this.#isFirst && this.#isFull) anchor = yield;
      if (name === STATE_DIRECTORY) continue;
      const fault = childFault(directory, name);
      const path = childOf(directory, name);
      if (fault !== undefined) {
        this.#report(new PathError(path, fault), path);
        continue;
      }
      const seen = known.get(path);
      known.delete(path);
      const judged = seen !== undefined && this.#isStill(path, seen, stat)
        ? this.#pass(path, stat as Stat)
        : this.#judge(anchor, path, seen && state.index.get(path), { stat, lookedAt });
      if (judged !== undefined) enter.push(path);
    }
    for (const entry of known.values()) {
      if (!this.#isIgnored(entry.path, entry.kind === "directory")) this.#gone.add(entry.path);
    }
    return enter.reverse();
  }

  /** Whether nothing at all happened to an entry, and it is not to be left out by now. */
  #isStill(path: TreePath, seen: SeenEntry, stat: Stat | FilesyncError): boolean {
    return !(stat instanceof FilesyncError) && isUnchanged(seen, stat) &&
      !this.#isIgnored(path, seen.kind === "directory");
  }

  /** Passes by an entry to which nothing happened. */
  #pass(path: TreePath, { kind, size }: Stat): "known" | undefined {
    this.#options.state.dropProblem(path);
    if (kind === "directory") return "known";
    if (kind === "file") {
      this.#progress.files++;
      this.#progress.bytes += size;
    }
  }

  #childrenOf(directory: TreePath): SeenEntry[] {
    if (this.#inMemory === undefined) return this.#options.state.index.children(directory);
    return this.#inMemory.get(directory) ?? [];
  }

  /** Records what is left, then replacements, then removals. */
  async finish(): Promise<Findings> {
    await this.#flush();
    // The set may grow meanwhile; what is added is visited too.
    for (const path of this.#replaced) await this.#replace(path);
    this.#removeGone();
    if (this.#isOfAll) this.#options.state.keepProblems(this.#troubled);
    this.#options.onProgress?.(this.#progress);
    return this.#findings;
  }

  /**
   * Compares what stands at `path` with what was seen there.
   *
   * @returns For a directory that can be looked into, whether it appeared or was known.
   */
  #judge(
    anchor: Anchor,
    path: TreePath,
    before: IndexedEntry | undefined,
    { stat, lookedAt }: Sight = lookAt(anchor, path, this.#options.clock),
  ): "appeared" | "known" | undefined {
    if (stat instanceof FilesyncError) {
      this.#report(stat, path);
      return undefined;
    }
    if (this.#isIgnored(path, (stat?.kind ?? before?.kind) === "directory")) return undefined;
    if (stat === undefined || stat.kind === "other") {
      if (before !== undefined) this.#gone.add(path);
      // What comes there next is another file, and known for nothing.
      this.#restless.delete(path);
      if (stat === undefined) this.#options.state.dropProblem(path);
      else this.#report(unsupportedKind(path), path);
      return undefined;
    }
    if (
      before !== undefined &&
      (before.kind !== stat.kind || (stat.kind === "directory" && before.ino !== stat.ino))
    ) {
      this.#replaced.add(path);
      return undefined;
    }
    return this.#judgeStanding(anchor, path, stat, lookedAt, before);
  }

  /** Compares what stands at `path` with what was seen there and makes way for it in one step. */
  #judgeStanding(
    anchor: Anchor,
    path: TreePath,
    stat: Stat,
    lookedAt: number,
    before: IndexedEntry | undefined,
  ): "appeared" | "known" | undefined {
    switch (stat.kind) {
      case "directory":
        return this.#judgeDirectory(anchor, path, stat, lookedAt, before);
      case "symlink":
        return this.#judgeSymlink(anchor, path, stat, lookedAt, before);
      case "file": {
        this.#progress.files++;
        this.#progress.bytes += stat.size;
        if (before !== undefined && isUnchanged(before, stat) && !this.#distrusted.has(path)) {
          this.#options.state.dropProblem(path);
        } else {
          this.#candidates.push({ path, stat, lookedAt, origin: this.#originOf(anchor, path, stat) });
        }
      }
    }
  }

  #judgeDirectory(
    anchor: Anchor,
    path: TreePath,
    stat: Stat,
    lookedAt: number,
    before: IndexedEntry | undefined,
  ): "appeared" | "known" {
    const { mtime, mode } = stat;
    const entry: Entry = { kind: "directory", path, mtime, mode };
    const isNew = before === undefined;
    if (isNew) {
      const origin = this.#originOf(anchor, path, stat);
      this.#findings.appeared.push(path);
      if (origin !== undefined && !isWithin(path, origin.path)) {
        this.#recordNow();
        this.#move(origin.path, path);
        before = this.#options.state.index.get(path);
      }
      this.#announced.add(path);
    }
    if (before === undefined || !sameEntry(before, entry)) {
      this.#note({ entry, stat, lookedAt, tell: true }, before);
    }
    return isNew ? "appeared" : "known";
  }

  #judgeSymlink(
    anchor: Anchor,
    path: TreePath,
    stat: Stat,
    lookedAt: number,
    before: IndexedEntry | undefined,
  ): undefined {
    if (before !== undefined && isUnchanged(before, stat)) return;
    try {
      const entry: Entry = { kind: "symlink", path, mtime: stat.mtime, target: anchor.readLink(path) };
      this.#note({ entry, stat, lookedAt, tell: before === undefined || !sameEntry(before, entry) }, before);
    } catch (error) {
      const failure = toFilesyncError(`read the link "${path}"`, error);
      if (failure.code === "not-found" || failure.code === "conflict") this.#findings.unstable.push(path);
      else this.#report(failure, path);
    }
  }

  /** A path whose rules cannot be read counts as ignored: better late than sent by mistake. */
  #isIgnored(path: TreePath, isDirectory: boolean): boolean {
    try {
      return this.#options.rules.ignores(path, isDirectory);
    } catch (error) {
      this.#report(toFilesyncError(`read the ignore rules for "${path}"`, error), path);
      return true;
    }
  }

  /**
   * Where the inode of `path` was seen before, when it is not there any more: then it was moved. A directory that
   * holds something foreign at the receiver is none: moved there, nothing would tell any more that that is not ours.
   */
  #originOf(anchor: Anchor, path: TreePath, stat: Stat): IndexedEntry | undefined {
    if (this.#isFirst) return undefined;
    const { state } = this.#options;
    return state.index.byInode(stat).find((entry) => {
      if (entry.kind !== stat.kind || entry.path === path) return false;
      if (state.foreignWithin(entry.path).length > 0) return false;
      const there = standingAt(anchor, entry.path);
      // Still there, or who knows: a hard link, not a move.
      if (there instanceof FilesyncError) return false;
      return there === undefined || there.ino !== stat.ino || there.dev !== stat.dev;
    });
  }

  #note(change: Omit<Change, "fresh" | "base">, before: IndexedEntry | undefined): void {
    const { state } = this.#options;
    const { entry } = change;
    const fresh = before === undefined && state.foreignWithin(entry.path).length === 0;
    const base = before?.kind === "file" && !sameContent(before, entry) ? before : undefined;
    this.#changes.push({ ...change, fresh, base });
    state.dropProblem(entry.path);
  }

  get #isFull(): boolean {
    return this.#candidates.length + this.#changes.length >= GROUP;
  }

  async #flushIfFull(): Promise<void> {
    if (this.#isFull) await this.#flush();
  }

  /** Reads candidates and records everything known. */
  async #flush(): Promise<void> {
    const candidates = this.#candidates;
    this.#candidates = [];
    // Moves first: what now stands where a file was moved from must not hide where it went. It may have been moved
    // there itself, so that those to new names are the very first.
    const { index } = this.#options.state;
    const rank = ({ origin, path }: Candidate) =>
      origin === undefined ? 2 : index.get(path) === undefined ? 0 : 1;
    const ranks = new Map(candidates.map((candidate) => [candidate, rank(candidate)]));
    candidates.sort((a, b) => ranks.get(a)! - ranks.get(b)!);
    for (let at = 0; at < candidates.length; at += OPEN_FILES) {
      const described = await this.#describe(candidates.slice(at, at + OPEN_FILES));
      for (const { candidate, content } of described) this.#judgeContent(candidate, content);
      this.#recordNow();
      this.#options.onProgress?.(this.#progress);
    }
    this.#recordNow();
    await this.#turn();
  }

  async #describe(candidates: Candidate[]): Promise<{ candidate: Candidate; content: FileContent }[]> {
    using anchor = this.#options.root.anchor();
    using opened = new DisposableStack();
    const readable: Opened[] = [];
    for (const candidate of candidates) {
      const { path } = candidate;
      try {
        readable.push({ candidate, file: opened.use(anchor.openRead(path)) });
      } catch (error) {
        const failure = toFilesyncError(`read "${path}"`, error);
        if (failure.code === "not-found" || failure.code === "conflict") this.#findings.unstable.push(path);
        else this.#report(failure, path);
      }
    }
    const contents = await this.#contentsOf(readable);
    this.#signal?.throwIfAborted();
    return readable.flatMap((opened) => {
      const { candidate } = opened;
      const content = contents.get(opened)!;
      if (content instanceof FilesyncError) {
        this.#report(
          new FilesyncError({ ...content, operation: `read "${candidate.path}"`, reason: content.reason }),
          candidate.path,
        );
        return [];
      }
      const now = standingAt(anchor, candidate.path);
      return this.#stoodStill(candidate, content, now instanceof FilesyncError ? undefined : now)
        ? [{ candidate, content }]
        : [];
    });
  }

  /** Describes open files; of big ones that may be copies of something known, only the digest is needed then. */
  async #contentsOf(files: Opened[]): Promise<Map<Opened, FileContent | FilesyncError>> {
    const { pool, state: { index } } = this.#options;
    const contents = this.#readHere(files);
    files = files.filter((file) => !contents.has(file));
    const sizes = new Map<number, number>();
    for (const { candidate: { stat } } of files) sizes.set(stat.size, (sizes.get(stat.size) ?? 0) + 1);
    const mayBeCopy = ({ size }: Stat) =>
      size > SMALL_FILE_BYTES && (sizes.get(size)! > 1 || index.hasContentOfSize(size));
    const copies = files.filter(({ candidate }) => mayBeCopy(candidate.stat));
    const others = files.filter(({ candidate }) => !mayBeCopy(candidate.stat));
    const [described, digests] = await Promise.all([
      pool.describeMany(others.map(({ file }) => file.nativePath)),
      pool.digestMany(copies.map(({ file }) => file.nativePath)),
    ]);
    const cut = new Map<Digest, Promise<FileContent | FilesyncError>>();
    others.forEach((file, i) => contents.set(file, described[i]));
    await Promise.all(copies.map(async (copy, i) => {
      const found = digests[i];
      if (found instanceof FilesyncError) return contents.set(copy, found);
      const packedManifest = index.manifestOf(found.digest);
      if (packedManifest !== undefined) return contents.set(copy, { ...found, packedManifest });
      let content = cut.get(found.digest);
      if (content === undefined) {
        content = pool.describe(copy.file.nativePath, found).catch((error: FilesyncError) => error);
        cut.set(found.digest, content);
      }
      contents.set(copy, await content);
    }));
    return contents;
  }

  /** Describes those of `files` that are not worth a worker's while. */
  #readHere(files: Opened[]): Map<Opened, FileContent | FilesyncError> {
    const { fresh } = this.#options;
    const contents = new Map<Opened, FileContent | FilesyncError>();
    if (fresh === undefined) return contents;
    let few = FEW_BYTES;
    for (const opened of files) {
      const { size } = opened.file.stat;
      if (size > LITTLE_BYTES) {
        if (size > few) continue;
        few -= size;
      }
      try {
        contents.set(opened, fresh.describe(opened.file));
      } catch (error) {
        contents.set(opened, toFilesyncError(`read "${opened.candidate.path}"`, error));
      }
    }
    return contents;
  }

  /** Whether a file was the same before and after it was read, or has been restless for too long to wait. */
  #stoodStill({ path, stat }: Candidate, { size }: FileContent, now: Stat | undefined): boolean {
    const still = now !== undefined && now.ino === stat.ino && now.size === stat.size &&
      now.mtime === stat.mtime &&
      size === stat.size;
    if (still) {
      this.#restless.delete(path);
      return true;
    }
    this.#findings.unstable.push(path);
    const tries = (this.#restless.get(path) ?? 0) + 1;
    this.#restless.set(path, tries);
    if (tries < PATIENCE || now?.kind !== "file") return false;
    this.#restless.delete(path);
    this.#findings.restless.push(path);
    return true;
  }

  #judgeContent({ path, stat, lookedAt, origin }: Candidate, content: FileContent): void {
    const { size, digest, packedManifest } = content;
    // What was known when the file was met may have been moved elsewhere since.
    let before = this.#isFirst ? undefined : this.#options.state.index.get(path);
    const { mtime, mode } = stat;
    const entry: Entry = { kind: "file", path, size, mtime, mode, digest };
    if (before === undefined && origin?.kind === "file" && origin.digest === digest) {
      this.#recordNow();
      const { index } = this.#options.state;
      // Not when another new name of the same inode has taken it already, nor when what stands there now is recorded.
      if (index.get(origin.path)?.ino === origin.ino) {
        this.#move(origin.path, path);
        before = index.get(path);
      }
    }
    if (
      before !== undefined && isDamage(before, entry) && !isRacy(before.mtime, before.lookedAt) &&
      this.#options.isGood?.(path, digest) === false
    ) {
      return this.#report(damaged(path), path);
    }
    const tell = before === undefined || !sameEntry(before, entry);
    this.#note({ entry, stat, lookedAt, tell, packedManifest }, before);
  }

  /** Records the changes that are known, and queues what the receiver must hear of. */
  #recordNow(): void {
    if (this.#changes.length === 0) return;
    const { state } = this.#options;
    const { index, queue } = state;
    const changes = this.#changes;
    this.#changes = [];
    this.#announced.clear();
    index.transaction(() => {
      for (const { entry, stat, lookedAt, packedManifest, base } of changes) {
        if (base !== undefined) state.rememberBase(entry.path, base);
        index.put(entry, { ...stat, lookedAt }, packedManifest);
        state.claim(entry.path);
      }
      const told = changes.filter(({ tell }) => tell);
      queue.add(told.map(({ entry, fresh }) => ({ action: actionFor(entry), fresh })));
      this.#findings.queued += told.length;
    });
  }

  #move(from: TreePath, path: TreePath): void {
    const { state } = this.#options;
    this.#inMemory = undefined;
    const fresh = state.foreignWithin(path).length === 0;
    this.#record([{ type: "move", path, from }], () => state.index.move(from, path), fresh);
    this.#gone.delete(from);
  }

  /** Something of another kind, or another directory, stands where something was seen. */
  async #replace(path: TreePath): Promise<void> {
    const { state, clock } = this.#options;
    const before = state.index.get(path);
    const judged = this.#withAnchor((anchor) => {
      const stat = standingAt(anchor, path);
      if (before === undefined || stat === undefined || stat instanceof FilesyncError) {
        return this.#judge(anchor, path, before);
      }
      if (before.kind !== stat.kind) {
        const lookedAt = clock.now();
        // A file takes the place of a link, and a link that of a file: there is no moment without either.
        if (stat.kind !== "other" && canReplace(stat, before)) {
          return this.#judgeStanding(anchor, path, stat, lookedAt, before);
        }
        const lost = state.index.countWithin(path);
        if (this.#mustBrake(lost)) return undefined;
        this.#remove(path);
        this.#displaced += lost;
        return this.#judge(anchor, path, undefined);
      }
      // Another directory under the same name: only its content needs to be compared.
      state.index.put(before, { ...before, ino: stat.ino, dev: stat.dev });
      return this.#judge(anchor, path, state.index.get(path));
    });
    if (judged !== undefined) await this.lookInto(path);
    await this.#flush();
  }

  #removeGone(): void {
    const { state: { index }, root } = this.#options;
    const gone = this.#withAnchor((anchor) =>
      [...this.#gone].sort().filter((path) => {
        if (index.get(path) === undefined) return false;
        const stat = standingAt(anchor, path);
        return stat === undefined || (!(stat instanceof FilesyncError) && stat.kind === "other");
      })
    );
    const tops = outermost(gone);
    if (tops.length === 0) return;
    if (!root.isInPlace()) {
      this.#findings.brake = "the source was removed or replaced meanwhile";
      return;
    }
    const lost = tops.reduce((sum, path) => sum + index.countWithin(path), 0);
    const empty = this.#withAnchor((anchor) => anchor.list(ROOT).every((name) => name === STATE_DIRECTORY));
    if (this.#mustBrake(lost, empty)) return;
    for (const path of tops) this.#remove(path);
  }

  /** Whether so many entries more must not be removed unasked; notes why. */
  #mustBrake(lost: number, empty = false): boolean {
    const { state: { index }, allowMassDelete, brakeShare: share = PUSH_SHARE } = this.#options;
    if (allowMassDelete || (!this.#isOfAll && !empty)) return false;
    const known = index.count().entries + this.#displaced;
    const reason = brakeReason({ known, gone: lost + this.#displaced, empty, share });
    if (reason === undefined) return false;
    this.#findings.brake = reason;
    return true;
  }

  #remove(path: TreePath): void {
    const { state } = this.#options;
    this.#inMemory = undefined;
    const foreign = state.foreignWithin(path);
    const ours: TreePath[] = foreign.length === 0 ? [path] : state.index.pathsWithin(path)
      // Deepest first; what holds something that is not ours must stay.
      .filter((known) => !foreign.some((other) => isWithin(other, known))).reverse();
    this.#record(ours.map((known) => ({ type: "remove", path: known })), () => state.index.remove(path));
    state.dropProblem(path);
  }

  #record(actions: Action[], change: () => void, fresh = false): void {
    const { index, queue } = this.#options.state;
    index.transaction(() => {
      change();
      queue.add(actions.map((action) => ({ action, fresh })));
    });
    this.#findings.queued += actions.length;
  }

  /** The highest directory above `path` that is neither recorded nor about to be. */
  #highestUnknown(path: TreePath): TreePath | undefined {
    let unknown: TreePath | undefined;
    for (let above = parentOf(path); above !== ROOT; above = parentOf(above)) {
      if (this.#announced.has(above) || this.#options.state.index.get(above)?.kind === "directory") break;
      unknown = above;
    }
    return unknown;
  }

  #report(error: FilesyncError, path: TreePath): void {
    const problem = { ...problemOf(error, path), path };
    this.#troubled.add(path);
    if (this.#options.state.addProblem(problem, this.#options.clock.now())) {
      this.#findings.problems.push(problem);
    }
  }

  #withAnchor<T>(work: (anchor: Anchor) => T): T {
    using anchor = this.#options.root.anchor();
    return work(anchor);
  }

  async #turn(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#lastTurn = this.#steady.now();
  }
}

function lookAt(anchor: Anchor, path: TreePath, clock: Clock): Sight {
  const lookedAt = clock.now();
  return { stat: standingAt(anchor, path), lookedAt };
}

/** What stands at `path`, or why that cannot be told. */
function standingAt(anchor: Anchor, path: TreePath): Stat | FilesyncError | undefined {
  try {
    return anchor.lstat(path);
  } catch (error) {
    return toFilesyncError(`look at "${path}"`, error);
  }
}

function damaged(path: TreePath): FilesyncError {
  return new FilesyncError({
    code: "digest-mismatch",
    operation: `push "${path}"`,
    reason: "its content changed, but neither its size nor its time did: it is damaged, not edited",
    hint:
      "Bring its good content back with filesync verify --repair; if the change is meant, run touch on it",
    permanent: true,
  });
}

function unsupportedKind(path: TreePath): FilesyncError {
  return new FilesyncError({
    code: "unsupported",
    operation: `keep "${path}" in step`,
    reason: "it is a pipe, a socket or a device",
    hint: "Only files, directories and symbolic links are kept in step; exclude it in .filesyncignore",
    permanent: true,
  });
}
