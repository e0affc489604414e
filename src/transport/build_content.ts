/**
 * Builds the content of a file that shall be put, from wherever it can be had:
 * sent along, just built for another path, in the tree already, from a delta, or from chunks.
 *
 * @module
 */
import { describeBytes } from "../chunking/describe.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { zeroChunks } from "../chunking/data_ranges.ts";
import type { PutAction } from "../core/action.ts";
import { type Manifest, unpackManifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";
import type { Anchor, OpenFile, TempFile } from "../files/tree_root.ts";
import type { GrowingContent, GrowingContents } from "../index/growing_contents.ts";
import type { Staging } from "../index/staging.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import type { Keeper } from "./keeper.ts";
import { buildFromDelta } from "./build_delta.ts";
import { contentMismatch, contentMissing } from "./content_faults.ts";
import { ContentWriter, type WriterTools } from "./content_writer.ts";

/** Where content may come from. */
export interface ContentSources extends WriterTools {
  anchor: Anchor;
  index: TreeIndex;
  staging: Staging;
  growing: GrowingContents;
  /** Sent along with the batch. */
  contents: ReadonlyMap<Digest, Uint8Array<ArrayBuffer>>;
  /** Sent along with the batch: how to make the content from another one. */
  deltas?: ReadonlyMap<Digest, Uint8Array>;
  /** What was replaced or removed, if it is kept. */
  kept?: Pick<Keeper, "has" | "restore">;
  /** Built before in the same batch, and verified. */
  built: ReadonlyMap<Digest, BuiltContent>;
  /** Told of a path that does not hold `content`, though the index says so. */
  onStale: (path: TreePath, content: Digest) => void;
}

/** Verified content in a temporary file. */
export interface BuiltContent {
  temp: TempFile;
  /** Its chunks, when the index does not know them yet. */
  packedManifest?: Uint8Array;
  /** Removes the file, which is not good. */
  discard(): void;
  /** Lets go of the file, which may have been placed. */
  release(): void;
}

/**
 * Builds the content of `put` in a temporary file and verifies it against its digest.
 *
 * @throws {FilesyncError} `content-missing` when the client must send (more of) it, `digest-mismatch`
 * when what was sent is not what was promised. The temporary file is gone then, but for what arrived of it.
 */
export async function buildContent(put: PutAction, sources: ContentSources): Promise<BuiltContent> {
  const growing = isAtHand(put.digest, sources) ? undefined : sources.growing.take(put.digest);
  if (growing !== undefined) return await complete(growing, put, sources);
  const temp = sources.anchor.createTemp();
  const discard = () => temp.discard();
  try {
    return { temp, ...await fill(temp, put, sources), discard, release: discard };
  } catch (error) {
    temp.discard();
    throw error;
  }
}

/** Whether a content can be had without chunks. */
function isAtHand(content: Digest, { contents, built, deltas, kept, index }: ContentSources): boolean {
  return contents.has(content) || built.has(content) || deltas?.has(content) === true ||
    index.hasContent(content) || kept?.has(content) === true;
}

async function fill(
  temp: TempFile,
  put: PutAction,
  sources: ContentSources,
): Promise<Pick<BuiltContent, "packedManifest">> {
  const { index, staging, contents, deltas, kept, built, onStale } = sources;
  const sent = contents.get(put.digest);
  if (sent !== undefined) {
    const content = describeBytes(sent, DEFAULT_CHUNKING);
    if (content.digest !== put.digest) throw contentMismatch(put, "digest");
    if (content.size !== put.size) throw contentMismatch(put, "size");
    temp.write(sent);
    return { packedManifest: content.packedManifest };
  }
  const twin = built.get(put.digest);
  if (twin !== undefined) {
    // Verified a moment ago: the kernel copies, nothing is hashed again.
    using from = twin.temp.openRead();
    if (from.stat.size !== put.size) throw contentMismatch(put, "size");
    while (temp.position < put.size) {
      if (temp.position > 0) await turn();
      const length = Math.min(put.size - temp.position, TURN_BYTES);
      if (temp.copyRange(from, temp.position, length) < length) throw contentMissing(put);
    }
    return { packedManifest: twin.packedManifest };
  }
  for (const path of index.pathsWith(put.digest)) {
    const entry = index.get(path);
    if (entry?.kind === "file" && entry.size !== put.size) throw contentMismatch(put, "size");
    if (await copyVerified(path, put, sources, temp)) return {};
    onStale(path, put.digest);
  }
  const packed = kept?.has(put.digest) ? await kept.restore(put, temp) : undefined;
  if (packed !== undefined) return { packedManifest: packed };
  const delta = deltas?.get(put.digest);
  if (delta !== undefined) {
    return { packedManifest: await buildFromDelta(delta, put, sources, temp) };
  }
  const packedManifest = staging.manifestOf(put.digest);
  if (packedManifest === undefined) throw contentMissing(put);
  await assemble({ manifest: unpackManifest(packedManifest) }, put, sources, temp);
  return { packedManifest };
}

/** Copies the file at `path` into `temp`; `false`, with `temp` empty again, when it is not the content wanted. */
async function copyVerified(
  path: TreePath,
  put: PutAction,
  { anchor, pool, durability }: ContentSources,
  temp: TempFile,
): Promise<boolean> {
  try {
    using file = anchor.openRead(path);
    const writer = new ContentWriter(temp, put.size, { pool, durability });
    if (file.stat.size === put.size && await writer.copy(file, 0, put.size)) {
      if (await writer.digest() === put.digest) return true;
    }
  } catch (error) {
    // Out of space is no fault of this source: the next one would not fit either.
    if (!(error instanceof FilesyncError) || error.code === "disk-full") throw error;
  }
  temp.truncate();
  return false;
}

/** Completes a content of which chunks have arrived, in the file where they lie. */
async function complete(
  growing: GrowingContent,
  put: PutAction,
  sources: ContentSources,
): Promise<BuiltContent> {
  const release = () => sources.growing.giveBack(growing);
  const discard = () => {
    sources.growing.drop(put.digest);
    release();
  };
  try {
    await assemble(growing, put, sources, growing.temp);
  } catch (error) {
    release();
    throw error;
  }
  return { temp: growing.temp, packedManifest: growing.packedManifest, discard, release };
}

/** What is to be built from chunks. */
interface ChunkPlan {
  manifest: Manifest;
  /** 1 for each chunk that lies in the file already, by its position in the manifest. */
  arrived?: Uint8Array;
}

/** A part of a source that is copied in one go. */
interface Run {
  /** A file of the tree, or else something with a `read` like it. */
  source: OpenFile | Pick<TempFile, "read">;
  start: number;
  length: number;
  /** Where it goes. */
  to: number;
}

/** Files that chunks are taken from, open at once: an archive may have chunks of every file of a tree. */
const MOST_OPEN = 64;

/** Builds a file from its chunks: those that lie in it already, elsewhere in it, in the tree or staged. */
async function assemble(
  { manifest, arrived }: ChunkPlan,
  put: PutAction,
  { anchor, index, staging, growing, onStale, ...tools }: ContentSources,
  temp: TempFile,
): Promise<void> {
  if (manifest.reduce((sum, { length }) => sum + length, 0) !== put.size) throw contentMismatch(put, "size");
  using opened = new DisposableStack();
  /** Those that are open, the one that was used last at the end. */
  const files = new Map<Digest, OpenFile>();
  opened.defer(() => files.forEach((file) => file[Symbol.dispose]()));
  const sources = new Map<TreePath, Digest>();
  let usedStaging = false;

  /** Opens any path that holds a content. */
  const openAny = (content: Digest): OpenFile | undefined => {
    for (const path of index.pathsWith(content)) {
      try {
        const file = anchor.openRead(path);
        sources.set(path, content);
        return file;
      } catch {
        onStale(path, content);
      }
    }
  };

  /** A file that holds a content, to be used before another {@linkcode MOST_OPEN} are asked for. */
  const fileWith = (content: Digest): OpenFile | undefined => {
    const file = files.get(content) ?? openAny(content);
    if (file === undefined) return undefined;
    files.delete(content);
    const [oldest] = files;
    if (files.size >= MOST_OPEN) {
      files.delete(oldest[0]);
      oldest[1][Symbol.dispose]();
    }
    files.set(content, file);
    return file;
  };

  /** Something that was used is not what it was recorded as: forgets all of it, so that the next offer asks for the bytes. */
  const distrust = () => {
    for (const [path, content] of sources) onStale(path, content);
    if (usedStaging) staging.clear();
    if (arrived !== undefined) growing.drop(put.digest);
    return contentMissing(put);
  };

  const pack = { read: (into: Uint8Array, at: number) => staging.read(into, at) };
  const zeros = { read: (into: Uint8Array) => into.fill(0).length };
  const isZeros = zeroChunks(manifest);
  const twins = arrived === undefined ? undefined : placesOf(manifest, arrived);

  /** Where the bytes of a chunk are. */
  const find = (chunk: Digest): Pick<Run, "source" | "start"> => {
    const twin = twins?.get(chunk);
    if (twin !== undefined) return { source: temp, start: twin };
    const staged = staging.placeOf(chunk);
    if (staged !== undefined) {
      usedStaging = true;
      return { source: pack, start: staged.start };
    }
    const place = index.placeOf(chunk);
    const source = place && fileWith(place.content);
    if (source === undefined) throw contentMissing(put);
    return { source, start: place!.start };
  };

  const writer = new ContentWriter(temp, put.size, tools);
  // Neighbours in the source that are neighbours in the file too are copied in one go.
  let run: Run | undefined;
  const copyRun = async () => {
    if (run === undefined) return;
    const { source, start, length, to } = run;
    run = undefined;
    writer.moveTo(to);
    const isWhole = "stat" in source
      ? await writer.copy(source, start, length)
      : await writer.fill(length, (into, at) => source.read(into, start + at));
    if (!isWhole) throw distrust();
  };
  let to = 0;
  for (const [at, { digest, length }] of manifest.entries()) {
    if (arrived?.[at] !== 1) {
      const { source, start } = isZeros[at] === 1 ? { source: zeros, start: to } : find(digest);
      const goesOn = run !== undefined && run.source === source && run.start + run.length === start &&
        run.to + run.length === to;
      if (!goesOn) {
        await copyRun();
        run = { source, start, length: 0, to };
      }
      run!.length += length;
    }
    to += length;
  }
  await copyRun();
  if (await writer.digest() !== put.digest) throw distrust();
}

/** Where the chunks that have arrived lie, if any is missing. */
function placesOf(manifest: Manifest, arrived: Uint8Array): Map<Digest, number> | undefined {
  if (arrived.every((has) => has === 1)) return undefined;
  const places = new Map<Digest, number>();
  let start = 0;
  for (const [at, { digest, length }] of manifest.entries()) {
    if (arrived[at] === 1) places.set(digest, start);
    start += length;
  }
  return places;
}
