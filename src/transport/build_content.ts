/**
 * Builds the content of a file that shall be put, from wherever it can be had:
 * sent along, just built for another path, in the tree already, from a delta, or from chunks.
 *
 * @module
 */
import { describeBytes } from "../chunking/describe.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import type { PutAction } from "../core/action.ts";
import { unpackManifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import type { Anchor, OpenFile, TempFile } from "../files/tree_root.ts";
import { Sha256 } from "../hashing/sha256.ts";
import type { Staging } from "../index/staging.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { buildFromDelta } from "./build_delta.ts";
import { contentMismatch, contentMissing } from "./content_faults.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";

/** Where content may come from. */
export interface ContentSources {
  anchor: Anchor;
  index: TreeIndex;
  staging: Staging;
  /** Sent along with the batch. */
  contents: ReadonlyMap<Digest, Uint8Array<ArrayBuffer>>;
  /** Sent along with the batch: how to make the content from another one. */
  deltas?: ReadonlyMap<Digest, Uint8Array>;
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
}

/**
 * Builds the content of `put` in a temporary file and verifies it against its digest.
 *
 * @throws {FilesyncError} `content-missing` when the client must send (more of) it, `digest-mismatch`
 * when what was sent is not what was promised. The temporary file is gone then.
 */
export async function buildContent(put: PutAction, sources: ContentSources): Promise<BuiltContent> {
  const temp = sources.anchor.createTemp();
  try {
    return { temp, ...await fill(temp, put, sources) };
  } catch (error) {
    temp.discard();
    throw error;
  }
}

async function fill(
  temp: TempFile,
  put: PutAction,
  { anchor, index, staging, contents, deltas, built, onStale }: ContentSources,
): Promise<{ packedManifest?: Uint8Array }> {
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
    temp.copyFrom(twin.temp.nativePath);
    if (temp.position !== put.size) throw contentMismatch(put, "size");
    return { packedManifest: twin.packedManifest };
  }
  for (const path of index.pathsWith(put.digest)) {
    const entry = index.get(path);
    if (entry?.kind === "file" && entry.size !== put.size) throw contentMismatch(put, "size");
    if (await copyVerified(path, put, anchor, temp)) return {};
    onStale(path, put.digest);
  }
  const delta = deltas?.get(put.digest);
  if (delta !== undefined) {
    return { packedManifest: await buildFromDelta(delta, put, { anchor, index, onStale }, temp) };
  }
  const packedManifest = staging.manifestOf(put.digest);
  if (packedManifest === undefined) throw contentMissing(put);
  await assemble(packedManifest, put, { anchor, index, staging, onStale }, temp);
  return { packedManifest };
}

/** Copies the file at `path` into `temp`; `false`, with `temp` empty again, when it is not the content wanted. */
async function copyVerified(
  path: TreePath,
  put: PutAction,
  anchor: Anchor,
  temp: TempFile,
): Promise<boolean> {
  const hash = new Sha256();
  try {
    using file = anchor.openRead(path);
    if (file.stat.size === put.size) {
      const buffer = new Uint8Array(Math.min(Math.max(put.size, 1), 1 << 20));
      for (let at = 0; at < put.size;) {
        const block = buffer.subarray(0, file.read(buffer, at));
        if (block.length === 0) break;
        hash.update(block);
        temp.write(block);
        at += block.length;
        if (at % TURN_BYTES < block.length) await turn();
      }
      if (hash.digest() === put.digest) return true;
    }
  } catch (error) {
    // Out of space is no fault of this source: the next one would not fit either.
    if (!(error instanceof FilesyncError) || error.code === "disk-full") throw error;
  }
  temp.truncate();
  return false;
}

/** A part of a source that is copied in one go. */
interface Run {
  source: unknown;
  read: (into: Uint8Array, at: number) => number;
  start: number;
  length: number;
}

/** Builds a file from its chunks, in the tree or staged. */
async function assemble(
  packedManifest: Uint8Array,
  put: PutAction,
  { anchor, index, staging, onStale }: Pick<ContentSources, "anchor" | "index" | "staging" | "onStale">,
  temp: TempFile,
): Promise<void> {
  const manifest = unpackManifest(packedManifest);
  if (manifest.reduce((sum, { length }) => sum + length, 0) !== put.size) throw contentMismatch(put, "size");
  using opened = new DisposableStack();
  const files = new Map<Digest, OpenFile | undefined>();
  const sources = new Map<TreePath, Digest>();
  let usedStaging = false;

  /** Opens any path that holds a content. */
  const fileWith = (content: Digest): OpenFile | undefined => {
    if (files.has(content)) return files.get(content);
    let file: OpenFile | undefined;
    for (const path of index.pathsWith(content)) {
      try {
        file = opened.use(anchor.openRead(path));
        sources.set(path, content);
        break;
      } catch {
        onStale(path, content);
      }
    }
    files.set(content, file);
    return file;
  };

  /** Something that was used is not what it was recorded as: forgets all of it, so that the next offer asks for the bytes. */
  const distrust = () => {
    for (const [path, content] of sources) onStale(path, content);
    if (usedStaging) staging.clear();
    return contentMissing(put);
  };

  const hash = new Sha256();
  let sinceTurn = 0;
  // Neighbours in the source that are neighbours in the file too are copied in one go.
  let run: Run | undefined;
  const copy = async ({ read, start, length }: Run) => {
    const block = new Uint8Array(length);
    if (read(block, start) !== length) throw distrust();
    hash.update(block);
    temp.write(block);
    sinceTurn += length;
    if (sinceTurn >= TURN_BYTES) {
      sinceTurn = 0;
      await turn();
    }
  };

  for (const chunk of manifest) {
    const staged = staging.placeOf(chunk.digest);
    let source: unknown = staging;
    let start = staged?.start ?? 0;
    let read = (into: Uint8Array, at: number) => staging.read(into, at);
    if (staged === undefined) {
      const place = index.placeOf(chunk.digest);
      const file = place && fileWith(place.content);
      if (place === undefined || file === undefined) throw contentMissing(put);
      source = file;
      start = place.start;
      read = (into, at) => file.read(into, at);
    } else {
      usedStaging = true;
    }
    if (
      run !== undefined && run.source === source && run.start + run.length === start && run.length < 1 << 20
    ) {
      run.length += chunk.length;
    } else {
      if (run !== undefined) await copy(run);
      run = { read, source, start, length: chunk.length };
    }
  }
  if (run !== undefined) await copy(run);
  if (hash.digest() !== put.digest) throw distrust();
}
