/**
 * The end of the packs, where new chunks go. Chunks are gathered into blocks, blocks appended to a pack; then
 * the packs are synced, and only then the database is told of them, in one transaction. So the database never
 * names bytes that a power cut could take away, and what lies beyond them is cut off at the next open.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { type Digest, digestToBytes } from "../core/digest.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { Mutex } from "../core/mutex.ts";
import { transaction } from "../database/open.ts";
import { Statements } from "../database/statements.ts";
import { BLOCK_BYTES, packBlock } from "./block_codec.ts";
import type { PackFiles } from "./pack_files.ts";
import { packRuns, type Run } from "./runs.ts";

/** Between what a crash can come: after each, something new is on the disk. */
export type StoreStep = "written" | "synced" | "committed" | "dropped" | "swept" | "copied" | "unlinked";

/** Settings of {@linkcode ChunkLog}. */
export interface ChunkLogOptions {
  /** A pack is not continued when it would get longer than so many bytes. @default {128 MiB} */
  packBytes?: number;
  /** Told of each step. What it throws ends the work there, as a crash would. @default {nothing} */
  onStep?: (step: StoreStep) => void;
}

const PACK_BYTES = 128 << 20;

/** How {@linkcode ChunkLog.commit} is done. */
export interface CommitOptions {
  /** Makes all that was written to the file system durable, when somebody else needs that at the same time. */
  syncAll?: () => Promise<void>;
  /** Records more in the same transaction, when all contents are known to the database. */
  record?: (log: ChunkLog) => void;
}

/** A place in a pack. */
export interface BlockPlace {
  pack: number;
  start: number;
  /** Bytes there. */
  stored: number;
  /** Bytes when unpacked. */
  length: number;
}

interface NewContent {
  id: number;
  digest: Digest;
  size: number;
  runs: Run[];
}

/** What the database is told in one transaction. */
class Batch {
  readonly blocks: [id: number, place: BlockPlace][] = [];
  readonly chunks: { id: number; digest: Digest; block: number; start: number; length: number }[] = [];
  readonly contents: NewContent[] = [];
  /** Chunks that are in another block now. */
  readonly movedChunks: { id: number; block: number; start: number }[] = [];
  /** Blocks that are in another place now, as they were. */
  readonly movedBlocks: [id: number, place: BlockPlace][] = [];
  /** Blocks whose chunks are all in other ones now. */
  readonly emptied: number[] = [];
  /** How long packs are now. */
  readonly ends = new Map<number, number>();
  bytes = 0;

  get isEmpty(): boolean {
    return this.ends.size === 0 && this.contents.length === 0 && this.emptied.length === 0;
  }
}

/** See the module's comment. */
export class ChunkLog {
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #packs: PackFiles;
  readonly #packBytes: number;
  readonly #committing = new Mutex();
  /** Told of each step. */
  readonly onStep: (step: StoreStep) => void;
  /** Chunks of contents that are being added. */
  readonly adding = new Set<Run[]>();
  /** While it is set, every chunk that is used again is noted here. */
  reused: Set<number> | undefined;
  /** Grows when what was not committed had to be given up. */
  generation = 0;

  #pending = new Batch();
  #inFlight: Batch | undefined;
  readonly #newChunks = new Map<Digest, number>();
  readonly #newContents = new Map<Digest, number>();

  readonly #buffer = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #block: number;
  /** The pack that is written, and where it ends. */
  #pack: number | undefined;
  #end = 0;
  #lastPack: number;
  #lastChunk: number;
  #lastContent: number;

  /** @param continued The pack to go on with. */
  constructor(
    db: DatabaseSync,
    packs: PackFiles,
    continued: { number: number; size: number } | undefined,
    { packBytes = PACK_BYTES, onStep = () => {} }: ChunkLogOptions,
  ) {
    this.#db = db;
    this.#statements = new Statements(db);
    this.#packs = packs;
    this.#packBytes = packBytes;
    this.onStep = onStep;
    this.#pack = continued?.number;
    this.#end = continued?.size ?? 0;
    this.#lastPack = this.#lastOf("packs");
    this.#block = this.#lastOf("blocks") + 1;
    this.#lastChunk = this.#lastOf("chunks");
    this.#lastContent = this.#lastOf("contents");
  }

  /** Bytes of chunks that wait for a commit. */
  get pendingBytes(): number {
    return this.#pending.bytes + this.#filled;
  }

  /** Rows that wait for a commit. */
  get pendingRows(): number {
    return this.#pending.chunks.length + this.#pending.contents.length;
  }

  /** The number of a content that is here, or will be with the next commit. */
  contentId(digest: Digest): number | undefined {
    return this.#newContents.get(digest) ?? this.committedContentId(digest);
  }

  /** The number of a content that is here for good. */
  committedContentId(digest: Digest): number | undefined {
    const row = this.#statements.sql("SELECT id FROM contents WHERE digest = ? AND runs IS NOT NULL")
      .get(digestToBytes(digest));
    return row?.id as number | undefined;
  }

  /** The number of a chunk that is here, or will be with the next commit. */
  chunkId(digest: Digest): number | undefined {
    const id = this.#newChunks.get(digest) ??
      (this.#statements.sql("SELECT id FROM chunks WHERE digest = ?").get(digestToBytes(digest)) as
        | { id: number }
        | undefined)?.id;
    if (id !== undefined) this.reused?.add(id);
    return id;
  }

  /** Takes a chunk, whose digest was verified, unless it is here. Returns its number. */
  put(digest: Digest, data: Uint8Array): number {
    const known = this.chunkId(digest);
    if (known !== undefined) return known;
    const place = this.place(data);
    const id = ++this.#lastChunk;
    this.#pending.chunks.push({ id, digest, ...place, length: data.length });
    this.#newChunks.set(digest, id);
    return id;
  }

  /** Writes bytes, and tells where they are. */
  place(data: Uint8Array): { block: number; start: number } {
    if (this.#filled + data.length > BLOCK_BYTES) this.#seal();
    this.#pending.bytes += data.length;
    if (data.length > BLOCK_BYTES) {
      const place = { block: this.#block, start: 0 };
      this.#write(data);
      return place;
    }
    const place = { block: this.#block, start: this.#filled };
    this.#buffer.set(data, this.#filled);
    this.#filled += data.length;
    return place;
  }

  /** Takes a content whose chunks have been put. Returns its number. */
  addContent(digest: Digest, size: number, runs: Run[]): number {
    const known = this.contentId(digest);
    if (known !== undefined) return known;
    const id = this.#contentKnownByName(digest) ?? ++this.#lastContent;
    this.#pending.contents.push({ id, digest, size, runs });
    this.#newContents.set(digest, id);
    return id;
  }

  /** The number of a content that is known by its name, be its bytes here or not; recorded at once. */
  nameContent(digest: Digest, size: number): number {
    const known = this.#contentKnownByName(digest);
    if (known !== undefined) return known;
    const id = this.#newContents.get(digest) ?? ++this.#lastContent;
    this.#statements.sql("INSERT INTO contents (id, digest, size) VALUES (?, ?, ?)")
      .run(id, digestToBytes(digest), size);
    return id;
  }

  /** Gives a chunk another place, with the next commit. */
  moveChunk(id: number, data: Uint8Array): void {
    this.#pending.movedChunks.push({ id, ...this.place(data) });
  }

  /** Gives a block another place, as it is stored, with the next commit. */
  moveBlock(id: number, stored: Uint8Array, length: number): void {
    this.#pending.movedBlocks.push([id, this.#append(stored, length)]);
    this.#pending.bytes += stored.length;
  }

  /** Forgets a block with the next commit: its chunks have been moved. */
  dropBlock(id: number): void {
    this.#pending.emptied.push(id);
  }

  /** Chunks that no row speaks of yet, though they are needed. */
  neededRuns(): Run[] {
    const contents = [...this.#inFlight?.contents ?? [], ...this.#pending.contents];
    return [...contents.map(({ runs }) => runs), ...this.adding].flat();
  }

  /** Packs that hold something no row speaks of yet; the pack that is written only if it must go on. */
  busyPacks(): Set<number> {
    return new Set([...this.#inFlight?.ends.keys() ?? [], ...this.#pending.ends.keys()]);
  }

  /** Does not go on with `pack`, which is to be removed. */
  leavePack(pack: number): void {
    if (this.#pack === pack) this.#pack = undefined;
  }

  /**
   * Resolves when all that was added before is on the disk and in the database.
   *
   * @throws {FilesyncError} When that fails; then all that was added is forgotten, see {@linkcode generation}.
   */
  commit({ syncAll, record }: CommitOptions = {}): Promise<void> {
    return this.#committing.run(async () => {
      this.#seal();
      const batch = this.#pending;
      if (batch.isEmpty && record === undefined) return;
      this.#pending = new Batch();
      this.#inFlight = batch;
      try {
        this.onStep("written");
        await this.#packs.sync(syncAll);
        this.onStep("synced");
        transaction(this.#db, () => {
          this.#record(batch);
          record?.(this);
        });
        this.onStep("committed");
      } catch (error) {
        this.#giveUp();
        throw toFilesyncError("save kept content", error);
      } finally {
        this.#inFlight = undefined;
      }
      for (const { digest } of batch.chunks) this.#newChunks.delete(digest);
      for (const { digest } of batch.contents) this.#newContents.delete(digest);
    });
  }

  #record(batch: Batch): void {
    const sql = (text: string) => this.#statements.sql(text);
    const putPack = sql(
      "INSERT INTO packs (id, size) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET size = max(size, ?2)",
    );
    for (const [pack, end] of batch.ends) putPack.run(pack, end);
    const putBlock = sql(
      "INSERT INTO blocks (id, pack, start, stored, length, live) VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
    );
    for (const [id, { pack, start, stored, length }] of batch.blocks) {
      putBlock.run(id, pack, start, stored, length);
    }
    const putChunk = sql("INSERT INTO chunks (id, digest, block, start, length) VALUES (?, ?, ?, ?, ?)");
    for (const { id, digest, block, start, length } of batch.chunks) {
      putChunk.run(id, digestToBytes(digest), block, start, length);
    }
    const putContent = sql(`
      INSERT INTO contents (id, digest, size, runs) VALUES (?, ?, ?, ?)
      ON CONFLICT (id) DO UPDATE SET runs = excluded.runs`);
    for (const { id, digest, size, runs } of batch.contents) {
      putContent.run(id, digestToBytes(digest), size, packRuns(runs));
    }
    const moveBlock = sql("UPDATE blocks SET pack = ?, start = ? WHERE id = ?");
    for (const [id, { pack, start }] of batch.movedBlocks) moveBlock.run(pack, start, id);
    const moveChunk = sql("UPDATE chunks SET block = ?, start = ? WHERE id = ?");
    for (const { id, block, start } of batch.movedChunks) moveChunk.run(block, start, id);
    const dropBlock = sql("DELETE FROM blocks WHERE id = ?");
    for (const id of batch.emptied) dropBlock.run(id);
  }

  #contentKnownByName(digest: Digest): number | undefined {
    const row = this.#statements.sql("SELECT id FROM contents WHERE digest = ?").get(digestToBytes(digest));
    return (row as { id: number } | undefined)?.id;
  }

  #seal(): void {
    if (this.#filled === 0) return;
    const data = this.#buffer.subarray(0, this.#filled);
    this.#filled = 0;
    this.#write(data);
  }

  #write(data: Uint8Array): void {
    this.#pending.blocks.push([this.#block++, this.#append(packBlock(data), data.length)]);
  }

  #append(stored: Uint8Array, length: number): BlockPlace {
    try {
      if (this.#pack === undefined || this.#end + stored.length > this.#packBytes) {
        this.#end = this.#packs.create(++this.#lastPack);
        this.#pack = this.#lastPack;
      }
      const [pack, start] = [this.#pack, this.#end];
      this.#packs.write(pack, start, stored);
      this.#end += stored.length;
      this.#pending.ends.set(pack, this.#end);
      return { pack, start, stored: stored.length, length };
    } catch (error) {
      this.#giveUp();
      throw error;
    }
  }

  /**
   * Forgets all that was not committed: chunks that were added meanwhile may rest on those that were lost.
   * After an `fsync` that failed nothing can be said of the bytes, so the pack is not continued.
   */
  #giveUp(): void {
    this.generation++;
    const ends = [...this.busyPacks()];
    this.#pending = new Batch();
    this.#filled = 0;
    this.#block++;
    this.#pack = undefined;
    this.#newChunks.clear();
    this.#newContents.clear();
    for (const pack of ends) {
      const row = this.#statements.sql("SELECT size FROM packs WHERE id = ?").get(pack);
      try {
        if (row === undefined) this.#packs.remove(pack);
        else this.#packs.truncate(pack, row.size as number);
      } catch {
        // The next open does it.
      }
    }
  }

  /** The greatest number ever given in a table, whether or not its row is still there. */
  #lastOf(table: string): number {
    const row = this.#statements.sql("SELECT seq FROM sqlite_sequence WHERE name = ?").get(table);
    return (row as { seq: number } | undefined)?.seq ?? 0;
  }
}

/** What adding to a log fails with after it had to give up what was added before. */
export function givenUp(): FilesyncError {
  return new FilesyncError({
    code: "io",
    operation: "keep content",
    reason: "what was kept before it could not be saved",
    hint: "It will be tried again",
  });
}
