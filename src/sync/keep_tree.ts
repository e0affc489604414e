/**
 * Makes snapshots of trees: whatever the store of versions does not hold yet is read from the tree,
 * then the snapshot is recorded.
 *
 * @module
 */
import { unpackManifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { type Entry, type FileEntry, sameContent } from "../core/entry.ts";
import { entryPairs } from "../core/entry_pairs.ts";
import { toFilesyncError } from "../core/errors.ts";
import { comesBefore, isWithin, type TreePath } from "../core/path.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import type { TreeRoot } from "../files/tree_root.ts";
import { directoryDigest } from "../hashing/directory_digest.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import type { ContentWriter } from "../versions/content_writer.ts";
import type { Snapshot } from "../versions/snapshots.ts";
import type { VersionStore } from "../versions/version_store.ts";
import { isDamage } from "./verify_tree.ts";

/** A tree that is kept, and where. */
export interface KeptTree {
  store: VersionStore;
  /** Its number in the store. */
  tree: number;
  root: TreeRoot;
}

/** What a snapshot is made for, and who hears of problems. */
export interface KeepOptions {
  /** Why, for people. */
  reason: string;
  /** Milliseconds since the epoch. */
  now: number;
  /** Told of every path that could not be kept; the snapshot holds what was kept of it before. */
  onProblem: (problem: Problem) => void;
  onProgress?: (progress: KeepProgress) => void;
  signal?: AbortSignal;
  /**
   * Whether content that changed while neither size nor time of its file did is taken for damaged: then the
   * snapshot holds what was kept of it before. @default {false}
   */
  suspectDamage?: boolean;
  /** Whether the index counts every change in its sequence: then one that stands still is equal. @default {false} */
  sequenced?: boolean;
}

/** How far it is with contents that are new to the store. */
export interface KeepProgress {
  doneItems: number;
  doneBytes: number;
  current: string;
}

/** The reason of snapshots that were made when both sides of a sync were equal. */
export const SYNCED = "synced";

/** The reason of snapshots of what others did since the last sync. */
export const FOUND = "found before a sync";

/** Where an index notes which snapshot it is equal to. */
const MARK = "kept_as";

/**
 * Makes a snapshot of what `index` says of a tree, unless its directory digest is still that of the last one.
 *
 * @param index Up to date with the tree, and at rest until this resolves.
 * @returns The new snapshot.
 * @throws {FilesyncError} When the store cannot take it.
 */
export async function keepTree(
  kept: KeptTree,
  index: TreeIndex,
  options: KeepOptions,
): Promise<Snapshot | undefined> {
  const { store, tree } = kept;
  const last = store.snapshots.last(tree);
  const markOf = ({ number, time, digest }: Snapshot) =>
    [index.id, index.sequence, number, time, digest].join(" ");
  const mark = (snapshot: Snapshot) => {
    if (options.sequenced) index.setMeta(MARK, markOf(snapshot));
  };
  if (options.sequenced && last !== undefined && index.meta(MARK) === markOf(last)) return undefined;
  const digest = await directoryDigest(index.entries());
  if (last === undefined ? index.isEmpty : last.digest === digest) {
    if (last !== undefined) mark(last);
    return undefined;
  }
  using writer = store.writer();
  const missing = await keepContents(kept, writer, index.entries(), options, (content) => {
    const packed = index.manifestOf(content);
    return packed && { manifest: unpackManifest(packed) };
  });
  await writer.commit();
  const held = () => missing.size === 0 ? index.entries() : substitute(kept, index.entries(), missing);
  const keptDigest = missing.size === 0 ? digest : await directoryDigest(held());
  if (keptDigest === last?.digest) return undefined;
  const details = { time: options.now, digest: keptDigest, reason: options.reason };
  const snapshot = await store.recordTree(tree, held(), details);
  // What could not be kept is tried again the next time.
  if (missing.size === 0) mark(snapshot);
  return snapshot;
}

/**
 * Makes a snapshot of entries that were just read, unless nothing differs from the last one.
 *
 * @param entries In the order of paths.
 * @param paths The part of the tree they are all of; what is elsewhere stays as it was.
 */
export async function keepEntries(
  kept: KeptTree,
  entries: readonly Entry[],
  paths: readonly TreePath[],
  options: KeepOptions,
): Promise<Snapshot | undefined> {
  const { store, tree } = kept;
  using writer = store.writer();
  const missing = await keepContents(kept, writer, entries, options);
  await writer.commit();
  const whole = () => substitute(kept, merge(kept, entries, paths), missing);
  const digest = await directoryDigest(whole());
  if (store.snapshots.last(tree)?.digest === digest) return undefined;
  return await store.recordTree(tree, whole(), { time: options.now, digest, reason: options.reason });
}

/**
 * Adds the contents of all entries that differ from the last snapshot.
 *
 * @returns The paths whose content could not be kept.
 */
async function keepContents(
  kept: KeptTree,
  writer: ContentWriter,
  entries: Iterable<Entry>,
  { onProblem, onProgress, signal, suspectDamage = false }: KeepOptions,
  known: (digest: Digest) => Pick<Parameters<ContentWriter["add"]>[0], "manifest"> | undefined = () =>
    undefined,
): Promise<Set<TreePath>> {
  const missing = new Set<TreePath>();
  const progress: KeepProgress = { doneItems: 0, doneBytes: 0, current: "" };
  for await (const [was, is] of entryPairs(lastEntries(kept), entries)) {
    if (is?.kind !== "file" || (was !== undefined && sameContent(was, is))) continue;
    signal?.throwIfAborted();
    if (suspectDamage && was !== undefined && isDamage(was, is)) {
      missing.add(is.path);
      continue;
    }
    try {
      if (await keepContent(kept.root, writer, is, known(is.digest))) {
        progress.doneItems++;
        progress.doneBytes += is.size;
        onProgress?.({ ...progress, current: is.path });
      }
    } catch (error) {
      const failure = toFilesyncError(`keep a version of "${is.path}"`, error);
      if (
        failure.code !== "digest-mismatch" && failure.code !== "not-found" && failure.code !== "permission"
      ) {
        throw failure;
      }
      missing.add(is.path);
      onProblem(problemOf(failure, is.path));
    }
  }
  return missing;
}

async function keepContent(
  root: TreeRoot,
  writer: ContentWriter,
  { path, digest, size }: FileEntry,
  known: Pick<Parameters<ContentWriter["add"]>[0], "manifest"> | undefined,
): Promise<boolean> {
  using anchor = root.anchor();
  using file = anchor.openRead(path);
  return await writer.add({ digest, size, ...known }, file);
}

function lastEntries({ store, tree }: KeptTree): Iterable<Entry> {
  const last = store.snapshots.last(tree);
  return last === undefined ? [] : store.snapshots.entries(last.number);
}

/** `entries`, but of `missing` paths what the last snapshot has there. */
function* substitute(
  { store, tree }: KeptTree,
  entries: Iterable<Entry>,
  missing: ReadonlySet<TreePath>,
): Generator<Entry> {
  const last = store.snapshots.last(tree);
  for (const entry of entries) {
    if (!missing.has(entry.path)) yield entry;
    else {
      const before = last && store.snapshots.entry(last.number, entry.path);
      if (before !== undefined) yield before;
    }
  }
}

/** What the last snapshot has outside of `paths`, and `entries` inside. */
function* merge(kept: KeptTree, entries: readonly Entry[], paths: readonly TreePath[]): Generator<Entry> {
  const before = [...lastEntries(kept)].filter(({ path }) => !paths.some((top) => isWithin(path, top)));
  const known = new Set(before.map(({ path }) => path));
  const all = [...before, ...entries.filter(({ path }) => !known.has(path))];
  yield* all.sort((a, b) => comesBefore(a.path, b.path) ? -1 : 1);
}
