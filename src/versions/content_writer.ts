/** Adding contents to a store. @module */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { ChunkStream } from "../chunking/chunk_stream.ts";
import { describeBytes, SMALL_FILE_BYTES } from "../chunking/describe.ts";
import { type Manifest, unpackManifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";
import { chunkDigest } from "../hashing/chunk_digest.ts";
import { Sha256, sha256 } from "../hashing/sha256.ts";
import { type ChunkLog, type CommitOptions, givenUp } from "./chunk_log.ts";
import { addToRuns, type Run } from "./runs.ts";

/** A content that is to be kept. */
export interface KeptContent {
  digest: Digest;
  /** Bytes. */
  size: number;
  /**
   * Its chunks, when they are known from describing the same content (`describe.ts`, an index). Then only
   * chunks that are not here are read and verified, each by its own digest.
   */
  manifest?: Manifest;
}

/** Where the bytes of a content are: in memory, or in something like an `OpenFile`. */
export type ContentSource = Uint8Array | { read(into: Uint8Array, position: number): number };

/** What waits for a commit is committed beyond so many bytes, or rows, so that memory stays flat. */
const COMMIT_BYTES = 256 << 20;
const COMMIT_ROWS = 50_000;

// Shared by all: it is filled and used without giving anybody a turn.
const block = new Uint8Array(SMALL_FILE_BYTES);

/**
 * Adds contents, many at the price of one: they are here for good when {@linkcode commit} resolves. What was added is
 * safe from pruning until the writer is disposed; whoever wants it to stay records a snapshot or a kept
 * file that names it before that. Writers may work side by side.
 */
export class ContentWriter implements Disposable {
  readonly #log: ChunkLog;
  readonly #writers: Set<ContentWriter>;
  readonly #generation: number;
  /** Numbers of the contents that were added. */
  readonly contents = new Set<number>();

  /** @param writers Where it stands until it is disposed. */
  constructor(log: ChunkLog, writers: Set<ContentWriter>) {
    this.#log = log;
    this.#writers = writers;
    this.#generation = log.generation;
    writers.add(this);
  }

  /**
   * Adds a content, unless it is here. Of one that is, nothing is read.
   *
   * @returns Whether it was not here before.
   * @throws {FilesyncError} `digest-mismatch` when the source holds something else, because it was changed
   * meanwhile; others as reading the source and writing the store fail.
   */
  async add(content: KeptContent, source: ContentSource): Promise<boolean> {
    this.#check();
    const known = this.#log.contentId(content.digest);
    if (known !== undefined) {
      this.contents.add(known);
      return false;
    }
    const runs: Run[] = [];
    this.#log.adding.add(runs);
    try {
      const { manifest, size } = content;
      if (size <= SMALL_FILE_BYTES && !(manifest !== undefined && manifest.length > 1)) {
        this.#addWhole(content, source, runs);
      } else if (manifest !== undefined) await this.#addByManifest(content, manifest, source, runs);
      else await this.#addStream(content, source, runs);
      this.#check();
      this.contents.add(this.#log.addContent(content.digest, size, runs));
    } finally {
      this.#log.adding.delete(runs);
    }
    await this.#commitIfMuch();
    return true;
  }

  /**
   * Resolves when all that was added is on the disk.
   *
   * @throws {FilesyncError} When something of it could not be saved; then add it all again, with a new writer.
   */
  async commit(options?: CommitOptions): Promise<void> {
    this.#check();
    await this.#log.commit(options);
    this.#check();
  }

  [Symbol.dispose](): void {
    this.#writers.delete(this);
  }

  #check(): void {
    if (this.#log.generation !== this.#generation) throw givenUp();
  }

  /** A content that fits into memory; its digest is verified before anything of it is written. */
  #addWhole({ digest, size, manifest }: KeptContent, source: ContentSource, runs: Run[]): void {
    const data = source instanceof Uint8Array
      ? source
      : block.subarray(0, readAll(source, block.subarray(0, size), 0));
    if (manifest !== undefined) {
      if (data.length !== size || sha256(data) !== digest) throw changed(digest);
      if (size > 0) addToRuns(runs, this.#log.put(digest, data));
      return;
    }
    const found = describeBytes(data, DEFAULT_CHUNKING);
    if (found.size !== size || found.digest !== digest) throw changed(digest);
    this.#putAll(found.packedManifest, data, runs);
  }

  async #addStream({ digest, size }: KeptContent, source: ContentSource, runs: Run[]): Promise<void> {
    using stream = new ChunkStream(DEFAULT_CHUNKING, DEFAULT_CHUNKING.sizesFor(size));
    const whole = new Sha256();
    let position = 0;
    let sinceTurn = 0;
    while (position < size) {
      const room = stream.room();
      const read = readAll(source, room.subarray(0, size - position), position);
      if (read === 0) break;
      whole.update(room.subarray(0, read));
      const { packedManifest, data } = stream.take(read);
      this.#putAll(packedManifest, data, runs);
      position += read;
      sinceTurn = await this.#turnAfter(sinceTurn + read);
    }
    const { packedManifest, data } = stream.end();
    this.#putAll(packedManifest, data, runs);
    if (position !== size || whole.digest() !== digest) throw changed(digest);
  }

  async #addByManifest(
    { digest, size }: KeptContent,
    manifest: Manifest,
    source: ContentSource,
    runs: Run[],
  ): Promise<void> {
    if (manifest.reduce((sum, { length }) => sum + length, 0) !== size) throw changed(digest);
    let position = 0;
    let sinceTurn = 0;
    /** Chunks that lie one after the other and are missing. */
    let missing: Manifest = [];
    let length = 0;
    const readMissing = () => {
      const room = length <= block.length ? block.subarray(0, length) : new Uint8Array(length);
      if (readAll(source, room, position - length) !== length) throw changed(digest);
      let at = 0;
      for (const chunk of missing) {
        const data = room.subarray(at, at += chunk.length);
        if (chunkDigest(data) !== chunk.digest) throw changed(digest);
        addToRuns(runs, this.#log.put(chunk.digest, data));
      }
      sinceTurn += length;
      missing = [];
      length = 0;
    };
    for (const chunk of manifest) {
      const id = this.#log.chunkId(chunk.digest);
      if (length > 0 && (id !== undefined || length + chunk.length > block.length)) readMissing();
      position += chunk.length;
      // A chunk that is found costs about as much time as reading a quarter of it.
      if (id !== undefined) sinceTurn += chunk.length / 4;
      if (id !== undefined) addToRuns(runs, id);
      else {
        missing.push(chunk);
        length += chunk.length;
      }
      // What is missing stays so in the meantime, or is found by put.
      sinceTurn = await this.#turnAfter(sinceTurn);
    }
    if (length > 0) readMissing();
  }

  #putAll(packedManifest: Uint8Array, data: Uint8Array, runs: Run[]): void {
    let at = 0;
    for (const { digest, length } of unpackManifest(packedManifest)) {
      addToRuns(runs, this.#log.put(digest, data.subarray(at, at += length)));
    }
  }

  #turnAfter(bytes: number): number | Promise<number> {
    return bytes < TURN_BYTES ? bytes : this.#turn();
  }

  async #turn(): Promise<number> {
    await this.#commitIfMuch();
    await turn();
    this.#check();
    return 0;
  }

  async #commitIfMuch(): Promise<void> {
    if (this.#log.pendingBytes >= COMMIT_BYTES || this.#log.pendingRows >= COMMIT_ROWS) await this.commit();
  }
}

/** Fills `into` from `position`; gives the bytes read, fewer only at the end. */
function readAll(source: ContentSource, into: Uint8Array, position: number): number {
  if (source instanceof Uint8Array) {
    const part = source.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  }
  let filled = 0;
  while (filled < into.length) {
    const read = source.read(into.subarray(filled), position + filled);
    if (read === 0) break;
    filled += read;
  }
  return filled;
}

function changed(digest: Digest): FilesyncError {
  return new FilesyncError({
    code: "digest-mismatch",
    operation: `keep the content ${digest}`,
    reason: "the file holds something else by now",
    hint: "It was changed meanwhile; it will be looked at again",
  });
}
