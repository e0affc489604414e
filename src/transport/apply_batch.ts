/** Applies a batch of actions to a local tree. The recipe is told in `local_receiver.ts`. @module */
import type { DescribePool } from "../chunking/describe_pool.ts";
import {
  type Action,
  isPut,
  type MoveAction,
  pathsOf,
  type PutAction,
  type RemoveAction,
} from "../core/action.ts";
import type { Clock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { type Entry, permissionBits, sameEntry } from "../core/entry.ts";
import { type ErrorCode, FilesyncError, toFilesyncError } from "../core/errors.ts";
import {
  areRelated,
  childOf,
  foldPath,
  isWithin,
  nameFault,
  parentOf,
  rebase,
  ROOT,
  type TreePath,
} from "../core/path.ts";
import type { Mutex } from "../core/mutex.ts";
import { problemOf } from "../core/problem.ts";
import { showsAs } from "../files/kept_attributes.ts";
import type { Anchor, Stat, TreeRoot } from "../files/tree_root.ts";
import type { GrowingContents } from "../index/growing_contents.ts";
import type { Staging } from "../index/staging.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { isUnchanged } from "../index/unchanged.ts";
import { buildContent, type BuiltContent } from "./build_content.ts";
import { answerTo, forgetAnswer, rememberAnswer } from "./batch_answers.ts";
import type { BatchKeeper } from "./batch_keeper.ts";
import type { Durability } from "./durability.ts";
import { isRespelled, requireExpected, type Verified, verifyExpected } from "./expectation.ts";
import type { Keeper } from "./keeper.ts";
import type { ActionResult, Batch, BatchResult } from "./receiver.ts";
import { removeAhead } from "./remove_ahead.ts";
import { overtaken, refuseTooDeep, standsInTheWay } from "./refusals.ts";

/** What a batch is applied to. */
export interface BatchTarget {
  root: TreeRoot;
  index: TreeIndex;
  staging: Staging;
  growing: GrowingContents;
  durability: Durability;
  pool: DescribePool;
  /** Held by whoever changes the tree. */
  writing: Mutex;
  clock: Clock;
  /** Keeps what is replaced and removed, if anybody does. */
  keeper?: Keeper;
  /**
   * Told of paths where something else stands than the index says.
   *
   * @param content What was to be there when it was looked for; it may have been replaced since.
   */
  onStale: (path: TreePath, content?: Digest) => void;
  /** Told that the tree was changed, perhaps, and that this could not be recorded. */
  onUnrecorded: () => void;
}

/**
 * Applies `batch`. Several may be under way at once: content is prepared and made durable side by
 * side, and the tree is changed by one after the other.
 */
export async function applyBatch(batch: Batch, target: BatchTarget): Promise<BatchResult> {
  const { index, durability, growing } = target;
  const since = durability.failures;
  const known = answerTo(index, batch);
  if (known !== undefined) return await whenDurable(known, batch, index, durability.syncAll(since));
  using anchor = target.root.anchor();
  using keeping = target.keeper?.batch(anchor);
  const together = durability.together(batch.actions.length);
  const prepared: Prepared[] = [];
  try {
    await allEnded([prepare(batch, prepared, anchor, target, together), keeping?.add(batch.actions)]);
    const kept = keeping?.commit(together);
    await (together ? durability.syncAll(since) : syncContents(batch, prepared)).finally(() => kept);
    const verified = await verifyExpected(batch.actions, anchor, index, target.clock);
    const retouched = new Set<TreePath>();
    const answer = await target.writing.run(async () => {
      // The same batch may have been sent twice, and the other one have been faster.
      const known = answerTo(index, batch);
      if (known !== undefined) return known;
      const work = new BatchWork(anchor, target, { verified, keeping, retouched });
      await work.removeAhead(batch.actions);
      return carryOut(batch, { prepared, work, keeping }, anchor, target, together);
    });
    const durable = together ? durability.syncAll(since) : syncAttributes(retouched, anchor);
    return await whenDurable(answer, batch, index, durable);
  } catch (error) {
    // What was written before the disk failed may be lost, however good it looks in memory.
    if (durability.failures !== since) {
      for (const content of builtAmong(prepared)) content.discard();
      growing.clear();
    }
    throw error;
  } finally {
    for (const content of builtAmong(prepared)) content.release();
  }
}

/** Resolves when all of `work` has ended, also when some of it failed: then with the first that did. */
async function allEnded(work: (Promise<unknown> | undefined)[]): Promise<void> {
  for (const ended of await Promise.allSettled(work)) if (ended.status === "rejected") throw ended.reason;
}

/** Gives `answer` when everything it speaks of is on the disk, as `durable` tells. */
async function whenDurable(
  answer: BatchResult,
  batch: Batch,
  index: TreeIndex,
  durable: Promise<void>,
): Promise<BatchResult> {
  try {
    await durable;
    return answer;
  } catch (error) {
    // Nobody may be told that it is done: it is tried again, and found done or not.
    forgetAnswer(index, batch);
    throw error;
  }
}

/** Why a file need not be, or cannot be, synced by itself: it is gone, something else stands there, it may not be read. */
const NOT_SYNCED = new Set<ErrorCode>(["conflict", "not-found", "permission"]);

/** Resolves when the modes and times of `files`, which nothing else was done to, are on the disk. */
async function syncAttributes(files: ReadonlySet<TreePath>, anchor: Anchor): Promise<void> {
  await Promise.all(Array.from(files, async (path) => {
    try {
      await anchor.syncFile(path);
    } catch (error) {
      if (!(error instanceof FilesyncError && NOT_SYNCED.has(error.code))) throw error;
    }
  }));
}

/** What was made ready for an action: content for a put, a reason why it cannot be, or nothing. */
type Prepared = BuiltContent | FilesyncError | undefined;

function builtAmong(prepared: readonly Prepared[]): BuiltContent[] {
  return prepared.filter((one): one is BuiltContent => one !== undefined && !(one instanceof FilesyncError));
}

/**
 * Writes the content of every put that needs some, before anything in the tree is touched.
 *
 * @param prepared Takes what was made ready for each action: also when that ends early, it has to be released.
 * @param together Whether all of it is synced at once afterwards.
 */
async function prepare(
  batch: Batch,
  prepared: Prepared[],
  anchor: Anchor,
  target: BatchTarget,
  together: boolean,
): Promise<void> {
  const built = new Map<Digest, BuiltContent>();
  const shuffles = batch.actions.flatMap((action, at) =>
    action.type === "remove" || action.type === "move" ? [{ at, paths: pathsOf(action) }] : []
  );
  const met = new Set<TreePath>();
  const known = target.index.knownAmong(batch.actions.map(({ path }) => path));
  for (const [at, action] of batch.actions.entries()) {
    const metBefore = met.has(action.path);
    met.add(action.path);
    if (action.type !== "put") {
      prepared.push(undefined);
      continue;
    }
    // What an earlier action may change cannot be judged by what stands there now.
    const changes = metBefore ||
      shuffles.some((s) => s.at < at && s.paths.some((path) => areRelated(path, action.path)));
    if (!changes && known.has(action.path) && holdsAlready(action, anchor, target.index)) {
      prepared.push(undefined);
      continue;
    }
    let content: BuiltContent | undefined;
    try {
      content = await buildContent(action, {
        anchor,
        index: target.index,
        staging: target.staging,
        growing: target.growing,
        pool: target.pool,
        durability: target.durability,
        contents: batch.contents,
        deltas: batch.deltas,
        kept: target.keeper,
        built,
        onStale: target.onStale,
      });
      content.temp.setAttributes({ mode: permissionBits("file", action.mode), mtime: action.mtime });
      // Thousands may be under way, and open files are few.
      if (together) content.temp.close();
      built.set(action.digest, content);
      prepared.push(content);
    } catch (error) {
      content?.release();
      prepared.push(toFilesyncError(`write "${action.path}"`, error));
    }
  }
}

/** Makes prepared content durable, file by file; what cannot be is prepared no more. */
async function syncContents(batch: Batch, prepared: Prepared[]): Promise<void> {
  // Side by side, so that the file system's journal can take many in one go.
  await Promise.all(prepared.map(async (content, at) => {
    if (content === undefined || content instanceof FilesyncError) return;
    try {
      await content.temp.sync();
      content.temp.close();
    } catch (error) {
      content.discard();
      prepared[at] = toFilesyncError(`write "${(batch.actions[at] as PutAction).path}"`, error);
    }
  }));
}

/** Whether the file at the path has the content already, and so needs at most other attributes. */
function holdsAlready(put: PutAction, anchor: Anchor, index: TreeIndex): boolean {
  const entry = index.get(put.path);
  if (entry?.kind !== "file" || entry.digest !== put.digest || entry.size !== put.size) return false;
  try {
    const stat = anchor.lstat(put.path);
    return stat !== undefined && isUnchanged(entry, stat, anchor);
  } catch (error) {
    // Its directory may be one that has to be unlocked first.
    if (error instanceof FilesyncError) return false;
    throw error;
  }
}

/** Errors that can come of a tree that was changed behind the index's back. */
const TREE_DIFFERS = new Set<ErrorCode>(["conflict", "exists-unknown", "not-found"]);

/** What is ready when the tree is changed. */
interface Ready {
  prepared: Prepared[];
  work: BatchWork;
  keeping: BatchKeeper | undefined;
}

/**
 * Makes the changes, records them, and answers; synchronous, so that nothing sees a state in between.
 *
 * @param syncedLater Whether names and records are made durable afterwards, with everything else.
 */
function carryOut(
  batch: Batch,
  { prepared, work, keeping }: Ready,
  anchor: Anchor,
  target: BatchTarget,
  syncedLater: boolean,
): BatchResult {
  const { index, staging, growing } = target;
  // Another batch, or somebody else, may have moved the directories in which content was looked for.
  anchor.letGo();
  // Whatever comes of it, what went is kept.
  using settling = new DisposableStack();
  settling.defer(() => keeping?.settle());
  using recording = new DisposableStack();
  recording.defer(() => target.onUnrecorded());
  const answer = index.transaction(() => {
    const before = index.sequence;
    const results = batch.actions.map((action, at): ActionResult => {
      try {
        const content = prepared[at];
        if (content instanceof FilesyncError) throw content;
        work.do(action, content);
        return { done: true };
      } catch (error) {
        // A full disk ends a transaction of SQLite: each record after it would stand alone.
        if (!index.db.isTransaction) throw error;
        const failure = toFilesyncError(`${action.type} "${action.path}"`, error);
        if (TREE_DIFFERS.has(failure.code)) work.findStale(action);
        return { done: false, problem: problemOf(failure, action.path) };
      }
    });
    const { touched, failed } = work.finish();
    batch.actions.forEach(({ type, path }, at) => {
      const failure = failed.get(path);
      if (failure === undefined || type !== "directory" || !results[at].done) return;
      results[at] = { done: false, problem: problemOf(failure, path) };
    });
    if (!syncedLater) { for (const directory of touched) anchor.syncDirectory(directory); }
    const answer: BatchResult = { before, after: index.sequence, results };
    // What failed for now shall be tried again, not answered from memory.
    if (results.every((result) => result.done)) {
      rememberAnswer(index, batch, answer, target.clock.now());
    }
    return answer;
  }, { syncedLater });
  recording.move();
  const isFull = answer.results.some((result) => !result.done && result.problem.code === "disk-full");
  if (isFull) {
    staging.clear();
    growing.clear();
  }
  const placed = batch.actions.flatMap((action, at) =>
    action.type === "put" && answer.results[at].done ? [action.digest] : []
  );
  growing.release(placed);
  staging.release(placed);
  return answer;
}

/** All permissions of an owner. */
const OWNER_ALL = 0o700;

/** The changes of one batch, and the directories they touched. */
class BatchWork {
  readonly #anchor: Anchor;
  readonly #index: TreeIndex;
  /** All that a batch does, it does at one moment. */
  readonly #now: number;
  readonly #verified: Verified;
  readonly #keeping: BatchKeeper | undefined;
  readonly #onStale: (path: TreePath) => void;
  readonly #onUnrecorded: () => void;
  readonly #touched = new Set<TreePath>();
  /** Directories whose names mean no others. */
  readonly #ownNames = new Set<TreePath>([ROOT]);
  /** Files that only got another mode or time. */
  readonly #retouched: Set<TreePath>;
  /** Directories made writable for a moment, with the mode they had. */
  readonly #unlocked = new Map<TreePath, number>();

  constructor(
    anchor: Anchor,
    { index, clock, onStale, onUnrecorded }: BatchTarget,
    { verified, keeping, retouched }: {
      verified: Verified;
      keeping: BatchKeeper | undefined;
      retouched: Set<TreePath>;
    },
  ) {
    this.#anchor = anchor;
    this.#index = index;
    this.#now = clock.now();
    this.#verified = verified;
    this.#keeping = keeping;
    this.#retouched = retouched;
    this.#onStale = onStale;
    this.#onUnrecorded = onUnrecorded;
  }

  /** Begins with what is much to remove, in pieces: before {@linkcode do}, and while nothing else changes the tree. */
  removeAhead(actions: readonly Action[]): Promise<void> {
    return removeAhead(actions, {
      anchor: this.#anchor,
      index: this.#index,
      keeping: this.#keeping,
      now: this.#now,
      unlock: (directory) => void this.#unlock(directory),
      onUnrecorded: this.#onUnrecorded,
    });
  }

  /** Carries out `action`, if need be in directories that their own mode makes read-only. */
  do(action: Action, content: BuiltContent | undefined): void {
    try {
      this.#carryOut(action, content);
    } catch (error) {
      if (!(error instanceof FilesyncError) || error.code !== "permission") throw error;
      const unlocked = pathsOf(action).map((path) => this.#unlock(parentOf(path)));
      if (!unlocked.includes(true)) throw error;
      this.#carryOut(action, content);
    }
  }

  #carryOut(action: Action, content: BuiltContent | undefined): void {
    requireExpected(action, this.#anchor, this.#index, this.#verified);
    if (isPut(action)) this.#refuseClash(action.path);
    switch (action.type) {
      case "put":
        return this.#put(action, content);
      case "directory":
        return this.#directory({
          kind: "directory",
          path: action.path,
          mtime: action.mtime,
          mode: action.mode,
        });
      case "symlink":
        return this.#symlink({
          kind: "symlink",
          path: action.path,
          mtime: action.mtime,
          target: action.target,
        });
      case "remove":
        return this.#remove(action);
      case "move":
        return this.#move(action);
    }
  }

  /**
   * Refuses a path that means another entry here, because the file system takes two names for one: the one
   * would replace the other.
   */
  #refuseClash(path: TreePath): void {
    const above = parentOf(path);
    if (!this.#ownNames.has(above)) {
      this.#refuseClash(above);
      this.#ownNames.add(above);
    }
    if (this.#index.get(path) !== undefined) return;
    const stat = this.#anchor.lstat(path);
    if (stat === undefined) return;
    const folded = foldPath(path);
    const other = this.#index.children(above).find((one) =>
      foldPath(one.path) === folded && this.#anchor.lstat(one.path)?.ino === stat.ino
    );
    if (other === undefined) return;
    throw new FilesyncError({
      code: "bad-path",
      operation: `write "${path}"`,
      reason: `here it is the same name as "${other.path}"`,
      hint: "Rename one of the two, or exclude it in .filesyncignore",
    });
  }

  /** Tells of the paths at and above those of `action` where something else stands than the index says. */
  findStale(action: Action): void {
    for (let path of pathsOf(action)) {
      for (; path !== ROOT; path = parentOf(path)) {
        if (this.#anchor.lstat(path)?.kind !== this.#index.get(path)?.kind) this.#onStale(path);
      }
    }
  }

  /**
   * Gives touched directories back the modes and times they were declared with. One that may be written but
   * belongs to somebody else keeps its time, and stops nothing.
   *
   * @returns Those that are there, and why some could not be given theirs.
   */
  finish(): { touched: TreePath[]; failed: Map<TreePath, FilesyncError> } {
    const failed = new Map<TreePath, FilesyncError>();
    const give = (directory: TreePath, attributes: { mode?: number; mtime?: number }) => {
      try {
        this.#anchor.setAttributes(directory, attributes);
      } catch (error) {
        failed.set(directory, toFilesyncError(`set mode and time of "${directory}"`, error));
      }
    };
    for (const [directory, mode] of this.#unlocked) {
      if (this.#anchor.lstat(directory)?.kind === "directory") give(directory, { mode });
    }
    const touched = [...this.#touched].filter((directory) => {
      const stat = this.#anchor.lstat(directory);
      if (stat?.kind !== "directory") return false;
      const entry = directory === ROOT ? undefined : this.#index.get(directory);
      if (entry?.kind === "directory" && !showsAs({ mtime: entry.mtime }, stat, this.#anchor)) {
        give(directory, { mtime: entry.mtime });
      }
      return true;
    });
    return { touched, failed };
  }

  #put(action: PutAction, content: BuiltContent | undefined): void {
    const { path, size, mtime, digest } = action;
    const mode = permissionBits("file", action.mode);
    const entry: Entry = { kind: "file", path, size, mtime, mode, digest };
    if (content === undefined) {
      const known = this.#index.get(path);
      const stat = this.#anchor.lstat(path);
      // It had the content when this batch was prepared; another batch, or somebody else, came between.
      const isStill = known?.kind === "file" && known.digest === digest && stat !== undefined &&
        isUnchanged(known, stat, this.#anchor);
      if (!isStill) throw overtaken(path);
      this.#confirm(path);
      if (sameEntry(known, entry)) return;
      this.#anchor.setAttributes(path, { mode, mtime });
      this.#retouched.add(path);
    } else {
      this.#makeParents(path);
      const gone = this.#keeping?.leaving(path, "replaced", this.#now, action);
      try {
        this.#anchor.place(content.temp, path);
      } catch (error) {
        this.#refuseDirectory(path);
        throw error;
      }
      this.#keeping?.made(path, gone);
      this.#touched.add(parentOf(path));
    }
    this.#record("put", entry, content?.packedManifest);
  }

  #directory(entry: Entry & { kind: "directory" }): void {
    const { path } = entry;
    const mode = permissionBits("directory", entry.mode);
    const stat = this.#anchor.lstat(path);
    const known = stat && this.#index.get(path);
    if (stat !== undefined && stat.kind !== "directory") throw standsInTheWay(path, stat.kind);
    if (stat === undefined) {
      this.#makeParents(path);
      this.#anchor.makeDirectory(path, mode);
      this.#keeping?.made(path);
      this.#touched.add(parentOf(path));
    } else if (
      known !== undefined && sameEntry(known, { ...entry, mode }) &&
      showsAs({ ...stat, mode }, stat, this.#anchor)
    ) {
      // Its time may have moved because of what was done inside; `finish` sees to that.
      this.#confirm(path);
      return void this.#touched.add(path);
    } else {
      this.#anchor.setAttributes(path, { mode });
    }
    // Not before the end of the batch is its time final: more may be put into it.
    this.#touched.add(path);
    this.#record("directory", { ...entry, mode });
  }

  #symlink(entry: Entry & { kind: "symlink" }): void {
    const { path, target, mtime } = entry;
    const known = this.#index.get(path);
    const stat = this.#anchor.lstat(path);
    if (
      stat?.kind === "symlink" && known !== undefined && sameEntry(known, entry) &&
      isUnchanged(known, stat, this.#anchor)
    ) return this.#confirm(path);
    this.#makeParents(path);
    this.#refuseDirectory(path);
    if (stat?.kind !== "symlink" || this.#anchor.readLink(path) !== target) {
      const gone = this.#keeping?.leaving(path, "replaced", this.#now);
      this.#anchor.makeSymlink(target, path);
      this.#keeping?.made(path, gone);
    }
    this.#anchor.setAttributes(path, { mtime });
    this.#touched.add(parentOf(path));
    this.#record("symlink", entry);
  }

  #remove({ path }: RemoveAction): void {
    const stat = this.#anchor.lstat(path);
    if (stat === undefined) {
      this.#confirm(path);
      if (this.#index.get(path) === undefined) return;
    } else {
      const left = this.#removeKnown(path, stat.kind);
      this.#touched.add(parentOf(path));
      if (left !== undefined) {
        this.#onStale(left);
        throw new FilesyncError({
          code: "exists-unknown",
          operation: `remove "${path}"`,
          reason: left === path
            ? "it was not put there by filesync"
            : `"${left}" was not put there by filesync`,
          hint: "Move it away, or restart the receiver so that it takes it into its index",
          permanent: true,
        });
      }
    }
    this.#index.remove(path);
    this.#index.record({ time: this.#now, what: "remove", path });
  }

  /**
   * Removes what the index knows at and below `path`. Returns the first path that was left alone, because the index
   * does not know it, or knows something of another kind there.
   */
  #removeKnown(path: TreePath, kind: Stat["kind"]): TreePath | undefined {
    if (this.#index.get(path)?.kind !== kind) return path;
    if (kind !== "directory") {
      const gone = this.#keeping?.leaving(path, "removed", this.#now);
      this.#anchor.removeFile(path);
      this.#keeping?.went(gone);
      return undefined;
    }
    let left: TreePath | undefined;
    this.#unlock(path);
    for (const name of this.#anchor.list(path)) {
      const child = childOf(path, name);
      const stat = nameFault(name) === undefined ? this.#anchor.lstat(child) : undefined;
      const leftThere = stat === undefined ? child : this.#removeKnown(child, stat.kind);
      if (leftThere === undefined) this.#index.remove(child);
      left ??= leftThere;
    }
    if (left !== undefined) this.#touched.add(path);
    else {
      const gone = this.#keeping?.leaving(path, "removed", this.#now);
      this.#anchor.removeDirectory(path);
      this.#keeping?.went(gone);
    }
    return left;
  }

  /** Has the name at `path` made durable, though nothing was to be done there: who did it may not be that far yet. */
  #confirm(path: TreePath): void {
    this.#touched.add(parentOf(path));
  }

  #move(action: MoveAction): void {
    const { from, path } = action;
    const stat = this.#anchor.lstat(from);
    const entry = this.#index.get(from);
    if (stat === undefined || entry === undefined) {
      throw new FilesyncError({
        code: "not-found",
        operation: `move "${from}" to "${path}"`,
        reason: `"${from}" does not exist`,
        hint: "Compare the trees again",
      });
    }
    if (path === from) return;
    if (isWithin(path, from)) {
      throw new FilesyncError({
        code: "conflict",
        operation: `move "${from}" to "${path}"`,
        reason: "a directory cannot be moved into itself",
        permanent: true,
      });
    }
    refuseTooDeep(action, this.#index);
    this.#makeParents(path);
    const there = this.#anchor.lstat(path);
    if (
      there?.kind === "directory" && !isRespelled(action, stat, there) && this.#anchor.list(path).length > 0
    ) {
      throw standsInTheWay(path, "directory");
    }
    const isReplaced = there !== undefined && !isRespelled(action, stat, there);
    const replaced = isReplaced ? this.#keeping?.leaving(path, "replaced", this.#now) : undefined;
    const left = this.#keeping?.moving(from, this.#now);
    this.#anchor.rename(from, path);
    this.#keeping?.went(replaced);
    this.#keeping?.moved(from, path, this.#now, left);
    this.#index.move(from, path, this.#now);
    for (const touched of this.#touched) {
      if (isWithin(touched, from)) this.#touched.add(rebase(touched, from, path));
    }
    this.#touched.add(parentOf(from)).add(parentOf(path));
    const moved = this.#anchor.lstat(path);
    // Moving changes how it looks; what somebody else changed before must go on looking changed.
    const wasTouched = entry.kind !== "directory" && (entry.ctime !== stat.ctime || entry.ino !== stat.ino);
    if (moved !== undefined) {
      this.#index.put({ ...entry, path }, wasTouched ? entry : { ...moved, lookedAt: entry.lookedAt });
    }
    this.#index.record({ time: this.#now, what: "move", path, from });
  }

  /** Lets the owner write into a directory until the end of the batch. Says whether that changed anything. */
  #unlock(directory: TreePath): boolean {
    const stat = this.#anchor.lstat(directory);
    if (directory === ROOT || stat?.kind !== "directory" || (stat.mode & OWNER_ALL) === OWNER_ALL) {
      return false;
    }
    this.#anchor.setAttributes(directory, { mode: stat.mode | OWNER_ALL });
    if (!this.#unlocked.has(directory)) this.#unlocked.set(directory, stat.mode);
    return true;
  }

  #makeParents(path: TreePath): void {
    for (const directory of this.#anchor.makeParents(path)) {
      this.#keeping?.made(directory);
      const stat = this.#madeAt(directory, "directory");
      const { mtime, mode } = stat;
      this.#index.put({ kind: "directory", path: directory, mtime, mode }, {
        ...stat,
        lookedAt: this.#now,
      });
      this.#touched.add(directory).add(parentOf(directory));
    }
  }

  /** How looks what was just made; somebody else may have removed or replaced it since. */
  #madeAt(path: TreePath, kind: Entry["kind"]): Stat {
    const stat = this.#anchor.lstat(path);
    if (stat?.kind === kind) return stat;
    throw new FilesyncError({
      code: "conflict",
      operation: `make the ${kind} "${path}"`,
      reason: stat === undefined ? "it vanished again" : `it was replaced by a ${stat.kind}`,
      hint: "Somebody else changes the tree; it will be tried again",
    });
  }

  #refuseDirectory(path: TreePath): void {
    if (this.#anchor.lstat(path)?.kind === "directory") throw standsInTheWay(path, "directory");
  }

  #record(what: Action["type"], entry: Entry, packedManifest?: Uint8Array): void {
    const stat = this.#madeAt(entry.path, entry.kind);
    this.#index.put(entry, { ...stat, lookedAt: this.#now }, packedManifest);
    const file = entry.kind === "file" ? { size: entry.size, digest: entry.digest } : {};
    this.#index.record({ time: this.#now, what, path: entry.path, ...file });
  }
}
