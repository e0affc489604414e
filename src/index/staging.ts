/**
 * Chunks that have arrived for files which are not whole yet. They lie one
 * after the other in a pack file, so that an upload that was cut goes on where it
 * stopped, after a restart too.
 *
 * @module
 */
import { type Chunk, unpackManifest } from "../core/chunk.ts";
import { type Digest, digestToBytes } from "../core/digest.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { namesChunk } from "../hashing/chunk_digest.ts";
import type { TreeIndex } from "./tree_index.ts";

/** Where a staged chunk lies in the pack file. */
export interface StagedPlace {
  start: number;
  length: number;
}

/** What nobody came back for is dropped after this many milliseconds: a week. */
const KEEP_MS = 7 * 24 * 3600 * 1000;

/** See the module's comment. */
export class Staging implements Disposable {
  readonly #index: TreeIndex;
  readonly #pack: Deno.FsFile;
  #end: number;

  /**
   * @param packPath The pack file; made when missing.
   * @param now Milliseconds since the epoch; what is older than a week is dropped.
   */
  constructor(index: TreeIndex, packPath: string, now: number) {
    this.#index = index;
    this.#pack = Deno.openSync(packPath, { read: true, write: true, create: true, mode: 0o600 });
    this.#end = this.#pack.seekSync(0, Deno.SeekMode.End);
    // Rows can be younger than the bytes they speak of, when a power cut took the bytes.
    index.sql("DELETE FROM staged WHERE start + length > ?").run(this.#end);
    this.expire(now);
  }

  /**
   * Drops what nobody came back for within a week.
   *
   * @param now Milliseconds since the epoch.
   */
  expire(now: number): void {
    this.#index.sql("DELETE FROM staged WHERE time < ?").run(now - KEEP_MS);
    this.#index.sql("DELETE FROM offers WHERE time < ?").run(now - KEEP_MS);
    this.#shrink();
  }

  /**
   * Keeps chunks; those that are kept already are passed over.
   *
   * @throws {FilesyncError} `digest-mismatch` (permanent) when one is not what its digest says; then none is kept.
   */
  keep(chunks: Chunk[], now: number): void {
    for (const { digest, data } of chunks) {
      if (namesChunk(digest, data)) continue;
      throw new FilesyncError({
        code: "digest-mismatch",
        operation: `stage the chunk ${digest}`,
        reason: "the bytes that arrived have another digest",
        hint: "Send it again; if it stays so, something on the way changes the data",
      });
    }
    const fresh = new Map(chunks.map((chunk) => [chunk.digest, chunk]));
    for (const digest of fresh.keys()) if (this.placeOf(digest) !== undefined) fresh.delete(digest);
    if (fresh.size === 0) return;
    const start = this.#end;
    try {
      for (const { data } of fresh.values()) this.#write(data);
      const insert = this.#index.sql("INSERT INTO staged (digest, start, length, time) VALUES (?, ?, ?, ?)");
      this.#index.transaction(() => {
        let at = start;
        for (const { digest, data } of fresh.values()) {
          insert.run(digestToBytes(digest), at, data.length, now);
          at += data.length;
        }
      });
    } catch (error) {
      this.#pack.truncateSync(start);
      this.#end = start;
      const failure = toFilesyncError("stage chunks", error);
      // One file that does not fit must not keep the room of all that do.
      if (failure.code === "disk-full") this.clear();
      throw failure;
    }
  }

  /** Where a chunk lies, when it is here. */
  placeOf(digest: Digest): StagedPlace | undefined {
    return this.#index.sql("SELECT start, length FROM staged WHERE digest = ?")
      .get(digestToBytes(digest)) as unknown as StagedPlace | undefined;
  }

  /** Fills `into` with the bytes of the pack from `start`. Returns how many there were. */
  read(into: Uint8Array, start: number): number {
    this.#pack.seekSync(start, Deno.SeekMode.Start);
    let length = 0;
    while (length < into.length) {
      const n = this.#pack.readSync(into.subarray(length));
      if (n === null) break;
      length += n;
    }
    return length;
  }

  /** Remembers the chunks of content that is on its way: by the last offer's cuts, whose chunks will be staged. */
  offer(digest: Digest, packedManifest: Uint8Array, now: number): void {
    this.#index.sql(
      "INSERT INTO offers (digest, manifest, time) VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET manifest = excluded.manifest, time = excluded.time",
    ).run(digestToBytes(digest), packedManifest, now);
  }

  /** The packed manifest of content that was offered. */
  manifestOf(digest: Digest): Uint8Array | undefined {
    const row = this.#index.sql("SELECT manifest FROM offers WHERE digest = ?").get(digestToBytes(digest)) as
      | { manifest: Uint8Array }
      | undefined;
    return row?.manifest;
  }

  /** Drops offers whose content now stands in the tree, with their chunks. */
  release(digests: Iterable<Digest>): void {
    const dropChunk = this.#index.sql("DELETE FROM staged WHERE digest = ?");
    let dropped = false;
    this.#index.transaction(() => {
      for (const digest of digests) {
        const packed = this.manifestOf(digest);
        if (packed === undefined) continue;
        for (const chunk of unpackManifest(packed)) {
          if (dropChunk.run(digestToBytes(chunk.digest)).changes > 0) dropped = true;
        }
        this.#index.sql("DELETE FROM offers WHERE digest = ?").run(digestToBytes(digest));
      }
    });
    if (dropped) this.#shrink();
  }

  /** Forgets every staged chunk and offer: for when the pack is not what its rows say. */
  clear(): void {
    // The bytes first: the rows need room to be deleted, and rows without bytes do no harm.
    this.#pack.truncateSync(0);
    this.#end = 0;
    this.#index.db.exec("DELETE FROM staged; DELETE FROM offers");
  }

  [Symbol.dispose](): void {
    this.#pack.close();
  }

  #write(data: Uint8Array): void {
    this.#pack.seekSync(this.#end, Deno.SeekMode.Start);
    for (let at = 0; at < data.length;) at += this.#pack.writeSync(data.subarray(at));
    this.#end += data.length;
  }

  /** Gives back the room after the last chunk: one that nobody comes for must not keep that of all after it. */
  #shrink(): void {
    const { end } = this.#index.sql("SELECT coalesce(max(start + length), 0) AS end FROM staged")
      .get() as { end: number };
    if (end === this.#end) return;
    this.#pack.truncateSync(end);
    this.#end = end;
  }
}
