/** Getting contents back out of a store. @module */
import type { DatabaseSync } from "node:sqlite";
import type { ChunkRef, Manifest } from "../core/chunk.ts";
import { type Digest, digestFromBytes, digestToBytes } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";
import { Statements } from "../database/statements.ts";
import { namesChunk } from "../hashing/chunk_digest.ts";
import { Sha256 } from "../hashing/sha256.ts";
import { unpackBlock } from "./block_codec.ts";
import type { BlockPlace } from "./chunk_log.ts";
import type { PackFiles } from "./pack_files.ts";
import { type Run, unpackRuns } from "./runs.ts";

/** Something that takes bytes one after the other, such as a `TempFile`. */
export interface ContentSink {
  write(data: Uint8Array): void;
}

/** Which bytes of a content are wanted: from `start` to before `end`. */
export interface ContentRange {
  start: number;
  end: number;
}

/** Unpacked blocks that are remembered; whoever reads in order needs one, neighbours of a version a few. */
const BLOCKS_REMEMBERED = 8;

/** Rows of chunks read at once. */
const PAGE = 1_000;

/** Where a chunk is. */
export interface ChunkRow {
  id: number;
  digest: Uint8Array;
  block: number;
  start: number;
  length: number;
}

/**
 * Reads contents that have been committed. It may do so while another process writes or prunes: what has
 * been moved in between is looked up again.
 */
export class ContentReader {
  readonly #statements: Statements;
  readonly #packs: PackFiles;
  readonly #blocks = new Map<number, Uint8Array>();

  constructor(db: DatabaseSync, packs: PackFiles) {
    this.#statements = new Statements(db);
    this.#packs = packs;
  }

  /** Whether the bytes of a content are here. */
  has(digest: Digest): boolean {
    return this.#find(digest) !== undefined;
  }

  /** Bytes of a content; `undefined` when it is not here. */
  sizeOf(digest: Digest): number | undefined {
    const row = this.#statements.sql("SELECT size FROM contents WHERE digest = ? AND runs IS NOT NULL")
      .get(digestToBytes(digest));
    return row?.size as number | undefined;
  }

  /** The chunks of a content; `undefined` when it is not here, or not all of it. */
  manifestOf(digest: Digest): Manifest | undefined {
    const packed = this.#find(digest);
    if (packed === undefined) return undefined;
    const runs = unpackRuns(packed);
    const manifest = runs.flatMap((run) =>
      Array.from(
        this.chunksIn(run),
        ({ digest, length }): ChunkRef => ({ digest: digestFromBytes(digest), length }),
      )
    );
    return manifest.length === runs.reduce((sum, { count }) => sum + count, 0) ? manifest : undefined;
  }

  /**
   * The bytes of a content, in pieces, each of whose chunks was verified. Pieces are only lent.
   *
   * @throws {FilesyncError} `content-missing` when it is not here, or not all of it; `digest-mismatch` when a
   * chunk is damaged.
   */
  async *read(digest: Digest, range: ContentRange = { start: 0, end: Infinity }): AsyncGenerator<Uint8Array> {
    let sinceTurn = 0;
    for (const piece of this.#pieces(digest, this.#runsOf(digest), range, true)) {
      yield piece;
      sinceTurn += piece.length;
      if (sinceTurn >= TURN_BYTES) {
        sinceTurn = 0;
        await turn();
      }
    }
  }

  /**
   * Writes a content to `sink` and verifies the digest of the whole. That is quicker than verifying chunk by
   * chunk; what was written must be thrown away when it fails.
   *
   * @throws {FilesyncError} As {@linkcode read} does.
   */
  async writeTo(sink: ContentSink, digest: Digest): Promise<void> {
    const whole = new Sha256();
    const runs = this.#runsOf(digest);
    let sinceTurn = 0;
    for (const piece of this.#pieces(digest, runs, { start: 0, end: Infinity }, false)) {
      whole.update(piece);
      sink.write(piece);
      sinceTurn += piece.length;
      if (sinceTurn >= TURN_BYTES) {
        sinceTurn = 0;
        await turn();
      }
    }
    if (whole.digest() === digest) return;
    // Says which chunk it is.
    for await (const _ of this.read(digest));
    throw damaged(digest, "its chunks are whole, but are not those of this content");
  }

  /** The chunks with numbers in `run`, in their order; without those that are not there. */
  *chunksIn({ first, count }: Run): Generator<ChunkRow> {
    const page = this.#statements.sql(
      `SELECT id, digest, block, start, length FROM chunks WHERE id >= ? AND id < ? ORDER BY id LIMIT ${PAGE}`,
    );
    for (let next = first; next < first + count;) {
      const rows = page.all(next, first + count) as unknown as ChunkRow[];
      if (rows.length === 0) return;
      yield* rows;
      next = rows.at(-1)!.id + 1;
    }
  }

  /** The bytes of a block; `undefined` when there is none of that number any more. */
  block(id: number): Uint8Array | undefined {
    const known = this.#blocks.get(id);
    if (known !== undefined) {
      this.#blocks.delete(id);
      this.#blocks.set(id, known);
      return known;
    }
    const data = this.#load(id);
    if (data === undefined) return undefined;
    this.#blocks.set(id, data);
    if (this.#blocks.size > BLOCKS_REMEMBERED) this.#blocks.delete(this.#blocks.keys().next().value!);
    return data;
  }

  /** Forgets the blocks it remembers, so that the disk is read. */
  forget(): void {
    this.#blocks.clear();
  }

  #load(id: number): Uint8Array | undefined {
    const get = this.#statements.sql("SELECT pack, start, stored, length FROM blocks WHERE id = ?");
    let before: BlockPlace | undefined;
    for (;;) {
      const place = get.get(id) as BlockPlace | undefined;
      if (place === undefined) return undefined;
      try {
        return unpackBlock(this.#packs.read(place.pack, place.start, place.stored), place.length);
      } catch (error) {
        // Another process may have moved it just now.
        if (before?.pack === place.pack && before.start === place.start) throw error;
        before = place;
      }
    }
  }

  *#pieces(digest: Digest, runs: Run[], range: ContentRange, verify: boolean): Generator<Uint8Array> {
    let position = 0;
    /** Bytes of one block that lie one after the other. */
    let piece: { block: Uint8Array; start: number; end: number } | undefined;
    for (const run of runs) {
      let next = run.first;
      for (const row of this.chunksIn(run)) {
        if (row.id !== next++) break;
        const [from, to] = [position, position += row.length];
        if (to <= range.start) continue;
        if (from >= range.end) break;
        const { block, start } = this.#locate(row, digest);
        if (verify && !namesChunk(digestFromBytes(row.digest), block.subarray(start, start + row.length))) {
          throw damaged(digest, `the chunk ${row.digest.toHex()} is damaged`);
        }
        const cutStart = start + Math.max(range.start - from, 0);
        const cutEnd = start + Math.min(range.end - from, row.length);
        if (piece !== undefined && piece.block === block && piece.end === cutStart) piece.end = cutEnd;
        else {
          if (piece !== undefined) yield piece.block.subarray(piece.start, piece.end);
          piece = { block, start: cutStart, end: cutEnd };
        }
      }
      if (position >= range.end) break;
      if (next !== run.first + run.count) {
        throw damaged(digest, "some of its chunks are not recorded any more");
      }
    }
    if (piece !== undefined) yield piece.block.subarray(piece.start, piece.end);
  }

  #locate(row: ChunkRow, digest: Digest): { block: Uint8Array; start: number } {
    const block = this.block(row.block);
    if (block !== undefined) return { block, start: row.start };
    const [moved] = this.chunksIn({ first: row.id, count: 1 });
    const other = moved && this.block(moved.block);
    if (other === undefined) {
      throw damaged(digest, `the chunk ${row.digest.toHex()} is not recorded any more`);
    }
    return { block: other, start: moved.start };
  }

  #find(digest: Digest): Uint8Array | undefined {
    const row = this.#statements.sql("SELECT runs FROM contents WHERE digest = ? AND runs IS NOT NULL")
      .get(digestToBytes(digest));
    return row?.runs as Uint8Array | undefined;
  }

  #runsOf(digest: Digest): Run[] {
    const packed = this.#find(digest);
    if (packed !== undefined) return unpackRuns(packed);
    throw new FilesyncError({
      code: "content-missing",
      operation: `read the kept content ${digest}`,
      reason: "it is not in the store",
      permanent: true,
    });
  }
}

function damaged(digest: Digest, reason: string): FilesyncError {
  return new FilesyncError({
    code: "digest-mismatch",
    operation: `read the kept content ${digest}`,
    reason,
    hint: "Verify the store to see all that is damaged",
    permanent: true,
  });
}
