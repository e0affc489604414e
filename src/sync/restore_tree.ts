/**
 * Brings a directory to a state that is recorded elsewhere: a snapshot, or a part of one. What is to
 * be replaced must still be what was seen, and kept, before; content is verified before it gets its name.
 *
 * @module
 */
import { type Action, actionFor, type DirectoryAction, type PutAction } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { entryPairs } from "../core/entry_pairs.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { childOf, comesBefore, isWithin, parentOf, STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import { LOCK_FILE } from "../database/lock.ts";
import { type Anchor, cleanTemp, removeEmptyTemp, type TempFile, type TreeRoot } from "../files/tree_root.ts";
import { Durability } from "../transport/durability.ts";
import { toEqual } from "./compare.ts";
import type { ReadEntry } from "./read_tree.ts";

/** What {@linkcode restoreTree} needs. */
export interface RestoreOptions {
  /** Writes a content to `sink`, and fails when it is not whole. */
  writeTo(sink: Pick<TempFile, "write" | "truncate">, digest: Digest): Promise<void>;
  /** What was seen in the directory, in the order of paths. */
  current: readonly ReadEntry[];
  onDone: (action: Action) => void;
  onProblem: (problem: Problem) => void;
  onProgress?: (progress: RestoreProgress) => void;
  signal?: AbortSignal;
}

/** How far a restore is. */
export interface RestoreProgress {
  doneItems: number;
  totalItems: number;
  doneBytes: number;
  totalBytes: number;
  current?: string;
}

/**
 * Files written before they are put in place together, and the bytes after which a group ends: each is one wait for
 * the disk.
 */
const GROUP = 2_048;
const GROUP_BYTES = 256 << 20;

/** Bytes after which what was written of a file is sent on its way to the disk. */
const WRITE_OUT_BYTES = 8 << 20;

/**
 * What makes `current` equal to `wanted`, in an order in which it can be done: room is made first, then
 * everything from the top down, removals from the bottom up. Both rise by path.
 *
 * @param deleteExtra Whether what is not wanted goes; it does anyway where it is in the way.
 */
export async function restorePlan(
  wanted: Iterable<Entry> | AsyncIterable<Entry>,
  current: Iterable<Entry>,
  deleteExtra: boolean,
): Promise<Action[]> {
  const room: Action[] = [];
  const fill: Action[] = [];
  const extra: Action[] = [];
  /** Directories that make way for something else. */
  const cleared: TreePath[] = [];
  for await (const [is, want] of entryPairs(current, wanted)) {
    const path = (is ?? want!).path;
    if (want === undefined) {
      const isInTheWay = cleared.some((top) => isWithin(path, top));
      if (isInTheWay) room.push({ type: "remove", path });
      else if (deleteExtra) extra.push({ type: "remove", path });
      continue;
    }
    if (is?.kind === "directory" && want.kind !== "directory") cleared.push(path);
    for (const action of toEqual(want, is)) (action.type === "remove" ? room : fill).push(action);
  }
  return [...room.reverse(), ...fill, ...extra.reverse()];
}

/**
 * Carries out a plan of {@linkcode restorePlan}. A problem with one path does not stop the others.
 *
 * @throws {DOMException} When `signal` aborts; what is in place by then stays, whole.
 */
export async function restoreTree(
  root: TreeRoot,
  plan: readonly Action[],
  options: RestoreOptions,
): Promise<void> {
  const { signal } = options;
  removeLeftovers(root);
  const work = new Restore(root, plan, options);
  try {
    for (const step of stepsOf(plan)) {
      signal?.throwIfAborted();
      await work.carryOut(step);
    }
    await work.finish();
  } finally {
    removeEmptyTemp(root);
  }
}

/** Removes what a restore that was killed left half-written. Whoever serves the directory does that at the next start. */
function removeLeftovers(root: TreeRoot): void {
  using anchor = root.anchor();
  const isServed = anchor.lstat(childOf(STATE_DIRECTORY as TreePath, LOCK_FILE)) !== undefined;
  if (!isServed) cleanTemp(root);
}

/** Neighbours that can be done together: files and links in groups, everything else one by one. */
function* stepsOf(plan: readonly Action[]): Generator<readonly Action[]> {
  let group: Action[] = [];
  let bytes = 0;
  for (const action of plan) {
    const size = action.type === "put" ? action.size : 0;
    if (group.length >= GROUP || (bytes > 0 && bytes + size > GROUP_BYTES)) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(action);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

class Restore {
  readonly #root: TreeRoot;
  readonly #options: RestoreOptions;
  readonly #durability: Durability;
  readonly #seen: ReadonlyMap<TreePath, ReadEntry>;
  readonly #together: boolean;
  readonly #directories: DirectoryAction[] = [];
  readonly #touched = new Set<TreePath>();
  readonly #progress: RestoreProgress;

  constructor(root: TreeRoot, plan: readonly Action[], options: RestoreOptions) {
    this.#root = root;
    this.#options = options;
    this.#durability = new Durability(root);
    this.#together = this.#durability.together(plan.length);
    this.#seen = new Map(options.current.map((seen) => [seen.entry.path, seen]));
    const puts = plan.filter((action) => action.type === "put");
    this.#progress = {
      doneItems: 0,
      totalItems: plan.length,
      doneBytes: 0,
      totalBytes: puts.reduce((sum, { size }) => sum + size, 0),
    };
  }

  /** Writes all files of a step, makes them durable, and only then gives everything its place. */
  async carryOut(step: readonly Action[]): Promise<void> {
    using anchor = this.#root.anchor();
    const temps = new Map<Action, TempFile>();
    try {
      for (const action of step) {
        this.#options.signal?.throwIfAborted();
        if (action.type === "put") await this.#attempt(action, () => this.#write(anchor, action, temps));
      }
      if (this.#together && temps.size > 0) await this.#durability.syncAll();
      for (const action of step) {
        if (action.type === "put" && !temps.has(action)) continue;
        await this.#attempt(action, () => {
          this.#place(anchor, action, temps.get(action));
          temps.delete(action);
          this.#options.onDone(action);
        });
        this.#advance(action);
      }
    } finally {
      for (const temp of temps.values()) temp.discard();
    }
  }

  /** Sets times and modes of directories, which what was put into them changed, and makes all names durable. */
  async finish(): Promise<void> {
    using anchor = this.#root.anchor();
    const planned = new Set(this.#directories.map(({ path }) => path));
    for (const { entry } of this.#seen.values()) {
      // It was as it shall be, but for what was put into it or taken out of it.
      if (entry.kind === "directory" && this.#touched.has(entry.path) && !planned.has(entry.path)) {
        this.#directories.push(actionFor(entry) as DirectoryAction);
      }
    }
    for (const action of this.#directories.sort((a, b) => comesBefore(a.path, b.path) ? 1 : -1)) {
      await this.#attempt(action, () => anchor.setAttributes(action.path, action));
    }
    if (this.#together) return await this.#durability.syncAll();
    for (const path of this.#touched) {
      await this.#attempt({ type: "directory", path, mtime: 0, mode: 0 }, () => anchor.syncDirectory(path));
    }
    this.#options.onProgress?.(this.#progress);
  }

  async #write(anchor: Anchor, action: PutAction, temps: Map<Action, TempFile>): Promise<void> {
    const temp = anchor.createTemp(action.path);
    try {
      await this.#options.writeTo(this.#hasty(temp, action.size), action.digest);
      temp.setAttributes(action);
      if (!this.#together) await temp.sync();
      temp.close();
      temps.set(action, temp);
    } catch (error) {
      temp.discard();
      throw error;
    }
  }

  /** `temp`, but that the disk has much of a big file by the time it is whole. */
  #hasty(temp: TempFile, size: number): Pick<TempFile, "write" | "truncate"> {
    if (size < 2 * WRITE_OUT_BYTES) return temp;
    let waiting = 0;
    return {
      write: (data) => {
        temp.write(data);
        waiting += data.length;
        if (waiting < WRITE_OUT_BYTES) return;
        waiting = 0;
        this.#durability.writeOut(temp);
      },
      truncate: () => temp.truncate(),
    };
  }

  #place(anchor: Anchor, action: Action, temp: TempFile | undefined): void {
    const { path } = action;
    this.#requireSeen(anchor, path);
    if (action.type !== "remove") { for (const made of anchor.makeParents(path)) this.#touch(made); }
    switch (action.type) {
      case "put":
        anchor.place(temp!, path);
        break;
      case "directory":
        // Writable until everything is in it.
        anchor.makeDirectory(path, action.mode | 0o700);
        this.#directories.push(action);
        break;
      case "symlink":
        anchor.makeSymlink(action.target, path);
        anchor.setAttributes(path, { mtime: action.mtime });
        break;
      case "remove":
        if (this.#seen.get(path)?.entry.kind === "directory") anchor.removeDirectory(path);
        else anchor.removeFile(path);
        this.#touched.delete(path);
    }
    this.#touch(path);
  }

  /** Refuses to replace what was not seen before: it may not be kept anywhere. */
  #requireSeen(anchor: Anchor, path: TreePath): void {
    const stat = anchor.lstat(path);
    if (stat === undefined) return;
    const seen = this.#seen.get(path)?.stat;
    const same = seen !== undefined && seen.kind === stat.kind &&
      (stat.kind === "directory" ||
        (seen.ino === stat.ino && seen.size === stat.size && seen.mtime === stat.mtime &&
          seen.ctime === stat.ctime));
    if (same) return;
    throw new FilesyncError({
      code: "conflict",
      operation: `restore "${path}"`,
      reason: "something else was written there meanwhile",
      hint: "Run it again",
      permanent: true,
    });
  }

  #touch(path: TreePath): void {
    this.#touched.add(parentOf(path));
  }

  #advance(action: Action): void {
    this.#progress.doneItems++;
    if (action.type === "put") this.#progress.doneBytes += action.size;
    this.#options.onProgress?.({ ...this.#progress, current: action.path });
  }

  async #attempt(action: Action, work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (this.#options.signal?.aborted) throw error;
      const failure = toFilesyncError(`restore "${action.path}"`, error);
      this.#options.onProblem(problemOf(failure, action.path));
    }
  }
}

/** The entries of a snapshot that lie at or below one of `paths`, with the directories above them. */
export async function* entriesFor(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
  paths: readonly TreePath[],
): AsyncGenerator<Entry> {
  for await (const entry of entries) {
    const isWanted = paths.some((path) =>
      isWithin(entry.path, path) || (entry.kind === "directory" && isWithin(path, entry.path))
    );
    if (isWanted) yield entry;
  }
}
