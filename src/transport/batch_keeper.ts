/** Keeps what one batch replaces and removes; the recipe is told in `keeper.ts`. @module */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import type { DescribePool } from "../chunking/describe_pool.ts";
import { digestFile, SMALL_FILE_BYTES } from "../chunking/describe.ts";
import { type Action, type MoveAction, pathsOf } from "../core/action.ts";
import { type Manifest, unpackManifest } from "../core/chunk.ts";
import type { Clock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { type Entry, sameContent } from "../core/entry.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { areRelated, isWithin, rebase, type TreePath } from "../core/path.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";
import type { Stat } from "../files/stat.ts";
import type { Anchor, OpenFile } from "../files/tree_root.ts";
import type { EntrySince, TreeIndex } from "../index/tree_index.ts";
import { isUnchanged } from "../index/unchanged.ts";
import type { ContentWriter } from "../versions/content_writer.ts";
import type { KeptCause, NewKeptFile, UnsureRows } from "../versions/kept_files.ts";
import type { VersionStore } from "../versions/version_store.ts";
import { sameLook } from "./expectation.ts";

/** What a {@linkcode BatchKeeper} needs to know of the tree. */
export interface BatchKeeperOptions {
  index: TreeIndex;
  pool: DescribePool;
  clock: Clock;
  /** Makes all that was written durable, for the batch and the store at the same time. */
  syncAll?: () => Promise<void>;
  /** Told when what was kept could not be recorded to the end; the next start does it. */
  onProblem?: (error: FilesyncError) => void;
}

/** What stood at a path when its content was added to the store. */
interface Sight {
  entry: Entry;
  /** Absent when this batch put the same content there anew. */
  stat?: Stat;
  since: number;
}

/** Keeping one small file costs about as much time as reading so many bytes. */
const FILE_COST_BYTES = 64 << 10;

/** See the module's comment. */
export class BatchKeeper implements Disposable {
  readonly #store: VersionStore;
  readonly #anchor: Anchor;
  readonly #options: BatchKeeperOptions;
  readonly #writer: ContentWriter;
  /** What stands where something will be replaced or removed, or why that could not be kept. */
  readonly #sights = new Map<TreePath, Sight | FilesyncError>();
  /** What is about to go. */
  readonly #expected: NewKeptFile[] = [];
  readonly #expectedAt = new Set<TreePath>();
  /** What went. */
  readonly #gone: NewKeptFile[] = [];
  /** Where this batch put something itself. */
  readonly #made = new Set<TreePath>();
  #unsure: UnsureRows | undefined;
  /** Why nothing could be kept. */
  #failure: FilesyncError | undefined;
  #sinceTurn = 0;

  constructor(store: VersionStore, anchor: Anchor, options: BatchKeeperOptions) {
    this.#store = store;
    this.#anchor = anchor;
    this.#options = options;
    this.#writer = store.writer();
  }

  /** Adds to the store what `actions` will replace or remove. What cannot be kept fails its action later. */
  async add(actions: readonly Action[]): Promise<void> {
    const { index } = this.#options;
    for (const [at, action] of actions.entries()) {
      const { path } = action;
      const later = () => actions.slice(at + 1);
      switch (action.type) {
        case "put":
        case "symlink":
          await this.#expect(path, index.standing(path), "replaced", { by: action, later });
          break;
        case "remove":
          for (const standing of index.entriesWithin(path)) {
            await this.#expect(standing.entry.path, standing, "removed");
          }
          break;
        case "move":
          if (path === action.from) break;
          await this.#expect(path, index.standing(path), "replaced");
          await this.#expectMove(action, later());
      }
    }
  }

  /**
   * Resolves when all that was added is on the disk, with the rows of what is about to go.
   *
   * @param together Whether everything that the batch wrote is made durable at once.
   */
  async commit(together: boolean): Promise<void> {
    if (this.#expected.length === 0 && this.#writer.contents.size === 0) return;
    try {
      await this.#writer.commit({
        syncAll: together ? this.#options.syncAll : undefined,
        record: (log) => {
          this.#unsure = this.#store.keptFiles.recordUnsure(this.#expected, log);
        },
      });
    } catch (error) {
      // When one content did not fit, that is why all of them are given up.
      const first = this.#sights.values().find((sight) =>
        sight instanceof FilesyncError && sight.code === "disk-full"
      ) as FilesyncError | undefined;
      this.#failure = first ?? toFilesyncError("keep what is to be replaced", error);
      this.#unsure = undefined;
    }
  }

  /**
   * What goes when what stands at `path` is replaced or removed, for {@linkcode went} when it did.
   *
   * @param by What comes instead; the same content is no other version.
   * @throws {FilesyncError} When it is not kept: then it must stay.
   */
  leaving(path: TreePath, cause: KeptCause, keptAt: number, by?: Action): NewKeptFile[] {
    if (this.#made.has(path)) return [];
    const stat = this.#anchor.lstat(path);
    if (stat === undefined || stat.kind === "other") return [];
    const sight = this.#sights.get(path);
    if (sight instanceof FilesyncError) throw sight;
    if (sight === undefined || (sight.stat !== undefined && !isSame(sight.stat, stat))) throw changed(path);
    if (by !== undefined && hasContent(sight.entry, by)) {
      sight.stat = undefined;
      return [];
    }
    if (this.#failure !== undefined) throw this.#failure;
    return [{ entry: sight.entry, since: Math.min(sight.since, keptAt), keptAt, cause }];
  }

  /**
   * What goes when `from` is moved away, for {@linkcode moved} when it was.
   *
   * @throws {FilesyncError} When that could not be recorded.
   */
  moving(from: TreePath, keptAt: number): NewKeptFile[] {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#options.index.entriesWithin(from).filter(({ entry }) => !this.#made.has(entry.path))
      .map(({ entry, since }) => ({ entry, since, keptAt, cause: "moved" }));
  }

  /** To be called when what {@linkcode leaving} gave went. */
  went(files: readonly NewKeptFile[] = []): void {
    for (const file of files) this.#gone.push(file);
  }

  /** To be called when `from` was moved to `to`. */
  moved(from: TreePath, to: TreePath, at: number, files: readonly NewKeptFile[] = []): void {
    this.went(files);
    for (const path of [...this.#made]) if (isWithin(path, from)) this.#made.add(rebase(path, from, to));
    for (const [path, sight] of [...this.#sights]) {
      if (!isWithin(path, from)) continue;
      const target = rebase(path, from, to);
      this.#sights.delete(path);
      if (sight instanceof FilesyncError) this.#sights.set(target, sight);
      else {
        // Its change time is another one by now, and it stands there since now.
        const stat = path === from && sight.stat ? { ...sight.stat, ctime: NaN } : sight.stat;
        this.#sights.set(target, { entry: { ...sight.entry, path: target }, stat, since: at });
      }
    }
  }

  /** To be called when something was put at `path`, in place of what {@linkcode leaving} gave. */
  made(path: TreePath, instead: readonly NewKeptFile[] = []): void {
    this.went(instead);
    const sight = this.#sights.get(path);
    const isSameContent = sight !== undefined && !(sight instanceof FilesyncError) &&
      sight.stat === undefined;
    if (!isSameContent) this.#made.add(path);
  }

  /** Records what went, when the tree has been changed. */
  settle(): void {
    const unsure = this.#unsure;
    this.#unsure = undefined;
    if (unsure === undefined && this.#gone.length === 0) return;
    try {
      this.#store.settleKept(unsure ?? { first: 0, files: [] }, this.#gone.splice(0));
    } catch (error) {
      this.#options.onProblem?.(toFilesyncError("record what was kept", error));
    }
  }

  /** Lets go of the store; when nothing came of the batch, of what it would have kept too. */
  [Symbol.dispose](): void {
    this.settle();
    this.#writer[Symbol.dispose]();
  }

  async #expect(
    path: TreePath,
    standing: EntrySince | undefined,
    cause: KeptCause,
    put?: { by: Action; later: () => readonly Action[] },
  ): Promise<void> {
    // The same content is no other version, unless something else comes for it in the same batch.
    const by = put !== undefined && standing !== undefined && hasContent(standing.entry, put.by) &&
        !put.later().some((action) => pathsOf(action).some((other) => areRelated(other, path)))
      ? put.by
      : undefined;
    const sight = await this.#see(path, standing, by);
    if (sight === undefined || sight instanceof FilesyncError || this.#expectedAt.has(path)) return;
    if (put !== undefined && hasContent(sight.entry, put.by)) return;
    const { entry, since } = sight;
    this.#expectedAt.add(path);
    this.#expected.push({ entry, since, keptAt: this.#options.clock.now(), cause });
  }

  async #expectMove({ path, from }: MoveAction, later: readonly Action[]): Promise<void> {
    // What is moved may be replaced by a later action of the same batch.
    const goesOn = later.some((action) => pathsOf(action).some((other) => areRelated(other, path)));
    for (const standing of this.#options.index.entriesWithin(from)) {
      this.#expected.push({ ...standing, keptAt: this.#options.clock.now(), cause: "moved" });
      if (goesOn) await this.#see(standing.entry.path, standing);
    }
  }

  /** Looks at a path, once, and adds its content to the store unless `by` has the same. */
  async #see(
    path: TreePath,
    standing: EntrySince | undefined,
    by?: Action,
  ): Promise<Sight | FilesyncError | undefined> {
    const known = this.#sights.get(path);
    if (known !== undefined) return known;
    const stat = this.#anchor.lstat(path);
    if (stat === undefined || stat.kind === "other") return undefined;
    let sight: Sight | FilesyncError;
    try {
      sight = stat.kind === "file"
        ? await this.#seeFile(path, standing, by)
        : { ...this.#known(path, stat, standing), stat };
    } catch (error) {
      const { code, reason, hint, permanent } = toFilesyncError(`read "${path}"`, error);
      sight = new FilesyncError({ code, operation: `keep "${path}" as it is`, reason, hint, permanent });
    }
    this.#sights.set(path, sight);
    return sight;
  }

  #known(path: TreePath, stat: Stat, standing: EntrySince | undefined): Omit<Sight, "stat"> {
    const { mtime, mode } = stat;
    const entry: Entry = stat.kind === "directory"
      ? { kind: "directory", path, mtime, mode }
      : { kind: "symlink", path, mtime, target: this.#anchor.readLink(path) };
    return { entry, since: sinceOf(entry, stat, standing) };
  }

  async #seeFile(path: TreePath, standing: EntrySince | undefined, by?: Action): Promise<Sight> {
    using file = this.#anchor.openRead(path);
    const { stat } = file;
    const known = standing?.entry;
    if (known?.kind === "file" && isUnchanged(known, stat, this.#anchor)) {
      const { digest, size } = known;
      const isKept = by !== undefined && hasContent(known, by) ||
        await this.#addFile(digest, size, this.#manifestOf(digest, size), file);
      if (isKept) return { entry: known, stat, since: standing!.since };
    }
    // It was changed behind the index's back, or may have been: kept is what it is now.
    const { digest, size } = stat.size <= SMALL_FILE_BYTES
      ? digestFile(file.nativePath)
      : await this.#options.pool.digest(file.nativePath);
    const { mtime, mode } = stat;
    const entry: Entry = { kind: "file", path, size, mtime, mode, digest };
    const manifest = known?.kind === "file" && known.digest === digest
      ? this.#manifestOf(digest, size)
      : undefined;
    if (!await this.#addFile(digest, size, manifest, file)) throw changed(path);
    return { entry, stat, since: sinceOf(entry, stat, standing) };
  }

  /** Adds the content of a file, verified; `false` when the file holds something else. */
  async #addFile(
    digest: Digest,
    size: number,
    manifest: Manifest | undefined,
    file: OpenFile,
  ): Promise<boolean> {
    this.#sinceTurn += FILE_COST_BYTES + size;
    if (this.#sinceTurn >= TURN_BYTES) {
      this.#sinceTurn = 0;
      await turn();
    }
    try {
      await this.#writer.add({ digest, size, manifest }, file);
      return true;
    } catch (error) {
      if (error instanceof FilesyncError && error.code === "digest-mismatch") return false;
      throw error;
    }
  }

  #manifestOf(digest: Digest, size: number): Manifest | undefined {
    if (size === 0) return undefined;
    // What is shorter than the shortest chunk is one, and has the name of the content.
    if (size <= DEFAULT_CHUNKING.sizesFor(size).min) return [{ digest, length: size }];
    const packed = this.#options.index.manifestOf(digest);
    return packed && unpackManifest(packed);
  }
}

/** Since when an entry stands there: what the index does not know stands there since it was last touched. */
function sinceOf(entry: Entry, { ctime }: Stat, standing: EntrySince | undefined): number {
  return standing !== undefined && sameContent(standing.entry, entry) ? standing.since : ctime;
}

/** Whether what `action` puts has the content of `entry`. */
function hasContent(entry: Entry, action: Action): boolean {
  switch (action.type) {
    case "put":
      return entry.kind === "file" && entry.digest === action.digest;
    case "symlink":
      return entry.kind === "symlink" && entry.target === action.target;
    default:
      return false;
  }
}

/** Whether what stands there is what was seen; a directory changes by what is done in it. */
function isSame(seen: Stat, stat: Stat): boolean {
  if (stat.kind === "directory") return seen.kind === "directory";
  return sameLook(Number.isNaN(seen.ctime) ? { ...seen, ctime: stat.ctime } : seen, stat);
}

function changed(path: TreePath): FilesyncError {
  return new FilesyncError({
    code: "io",
    operation: `keep "${path}" as it is`,
    reason: "it was changed at the same moment",
    hint: "It will be tried again",
  });
}
