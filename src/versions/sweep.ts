/**
 * Giving back the space of what nobody names any more: contents, then chunks, then packs. Each step is one
 * short transaction, between which others get a turn and may add contents; after a crash at any point what was not
 * reached is found by the next sweep.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { FilesyncError, osCode } from "../core/errors.ts";
import { digestFromBytes } from "../core/digest.ts";
import { turn } from "../core/turn.ts";
import { transaction } from "../database/open.ts";
import { Statements } from "../database/statements.ts";
import { namesChunk } from "../hashing/chunk_digest.ts";
import type { ChunkLog } from "./chunk_log.ts";
import type { ContentReader } from "./content_reader.ts";
import type { PackFiles } from "./pack_files.ts";
import { gapsBetween, type Run, unpackRuns } from "./runs.ts";

/** What a sweep works with. */
export interface Sweepable {
  db: DatabaseSync;
  packs: PackFiles;
  log: ChunkLog;
  reader: ContentReader;
  /** Whether somebody who just added the content of this number has not recorded yet what names it. */
  isClaimed: (content: number) => boolean;
}

/** What a sweep gave back. */
export interface SweepResult {
  contents: number;
  chunks: number;
  /** Bytes that the packs are shorter by; less than nothing when some had to be rewritten and others could not go yet. */
  packBytes: number;
}

/** Rows changed in one transaction, about 20 ms. */
const GROUP = 5_000;

/** A pack is rewritten when less than so much of it is alive: the packs are never more than twice what is kept. */
const WORTH_KEEPING = 0.5;

/** Bytes copied before they are committed. */
const COPY_BYTES = 64 << 20;

/** Removes all that nobody names. The signal ends it between two steps. */
export async function sweep(store: Sweepable, signal?: AbortSignal): Promise<SweepResult> {
  const before = packBytes(store);
  const contents = await sweepContents(store, signal);
  const chunks = await sweepChunks(store, signal);
  await rewritePacks(store, signal);
  return { contents, chunks, packBytes: before - packBytes(store) };
}

function packBytes({ db }: Sweepable): number {
  return db.prepare("SELECT coalesce(sum(size), 0) AS bytes FROM packs").get()!.bytes as number;
}

async function sweepContents({ db, log, isClaimed }: Sweepable, signal?: AbortSignal): Promise<number> {
  const statements = new Statements(db);
  const page = statements.sql(`
    SELECT id, EXISTS (SELECT 1 FROM entries WHERE content = contents.id)
      OR EXISTS (SELECT 1 FROM kept WHERE content = contents.id) AS named
    FROM contents WHERE id > ? ORDER BY id LIMIT ${GROUP}`);
  const drop = statements.sql("DELETE FROM contents WHERE id = ?");
  let dropped = 0;
  for (let last = 0;;) {
    const rows = page.all(last) as { id: number; named: number }[];
    if (rows.length === 0) return dropped;
    transaction(db, () => {
      for (const { id, named } of rows) {
        if (named === 0 && !isClaimed(id)) dropped += Number(drop.run(id).changes);
      }
    });
    last = rows.at(-1)!.id;
    log.onStep("swept");
    await turn(signal);
  }
}

async function sweepChunks({ db, log }: Sweepable, signal?: AbortSignal): Promise<number> {
  const statements = new Statements(db);
  const page = statements.sql(
    `SELECT id, block, length FROM chunks WHERE id >= ? AND id < ? ORDER BY id LIMIT ${GROUP}`,
  );
  const drop = statements.sql("DELETE FROM chunks WHERE id = ?");
  const lessen = statements.sql("UPDATE blocks SET live = live - ? WHERE id = ?");
  let dropped = 0;
  // What is used again from here on is noted, and what is new has greater numbers.
  const reused = log.reused = new Set();
  try {
    for (const { first, count } of gapsBetween(namedRuns(statements, log), lastChunk(statements) + 1)) {
      for (let next = first; next < first + count;) {
        const rows = page.all(next, first + count) as { id: number; block: number; length: number }[];
        if (rows.length === 0) break;
        const dead = rows.filter(({ id }) => !reused.has(id));
        transaction(db, () => {
          for (const { id, block, length } of dead) {
            drop.run(id);
            lessen.run(length, block);
          }
        });
        dropped += dead.length;
        log.onStep("swept");
        next = rows.at(-1)!.id + 1;
        await turn(signal);
      }
    }
    return dropped;
  } finally {
    log.reused = undefined;
  }
}

function namedRuns(statements: Statements, log: ChunkLog): Run[] {
  const runs: Run[] = log.neededRuns();
  for (const row of statements.sql("SELECT runs FROM contents WHERE runs IS NOT NULL").iterate()) {
    for (const run of unpackRuns(row.runs as Uint8Array)) runs.push(run);
  }
  return runs;
}

function lastChunk(statements: Statements): number {
  return statements.sql("SELECT coalesce(max(id), 0) AS id FROM chunks").get()!.id as number;
}

/** Copies what is alive in packs that are mostly dead, and removes those. */
async function rewritePacks(store: Sweepable, signal?: AbortSignal): Promise<void> {
  const { db, log, packs } = store;
  const statements = new Statements(db);
  const wasteful = statements.sql(`
    SELECT packs.id AS id, packs.size AS size,
      coalesce((SELECT sum(1.0 * stored * live / length) FROM blocks WHERE pack = packs.id), 0) AS live
    FROM packs ORDER BY packs.id`).all() as { id: number; size: number; live: number }[];
  for (const { id, size, live } of wasteful) {
    if (live >= size * WORTH_KEEPING || log.busyPacks().has(id)) continue;
    log.leavePack(id);
    if (!await emptyPack(store, statements, id, signal)) continue;
    log.onStep("copied");
    statements.sql("DELETE FROM packs WHERE id = ?").run(id);
    log.onStep("dropped");
    packs.remove(id);
    log.onStep("unlinked");
  }
}

interface BlockRow {
  id: number;
  start: number;
  stored: number;
  length: number;
  live: number;
}

/**
 * Moves all that is alive out of a pack. Returns whether that was possible: what is damaged stays where it is, for
 * `scrub` to tell of.
 */
async function emptyPack(
  { db, log, packs, reader }: Sweepable,
  statements: Statements,
  pack: number,
  signal?: AbortSignal,
): Promise<boolean> {
  statements.sql("DELETE FROM blocks WHERE pack = ? AND live = 0").run(pack);
  const blocks = statements.sql(
    "SELECT id, start, stored, length, live FROM blocks WHERE pack = ? ORDER BY start",
  )
    .all(pack) as unknown as BlockRow[];
  const chunksIn = statements.sql(
    "SELECT id, digest, start, length FROM chunks WHERE block = ? ORDER BY start",
  );
  let isWhole = true;
  for (const { id, start, stored, length, live } of blocks) {
    let data: Uint8Array;
    try {
      data = live === length ? packs.read(pack, start, stored) : reader.block(id)!;
    } catch (error) {
      if (!isDamage(error)) throw error;
      isWhole = false;
      continue;
    }
    if (live === length) log.moveBlock(id, data, length);
    else {
      const rows = chunksIn.all(id) as { id: number; digest: Uint8Array; start: number; length: number }[];
      const chunks = rows.map((row) => ({ ...row, data: data.subarray(row.start, row.start + row.length) }));
      if (chunks.every(({ digest, data }) => namesChunk(digestFromBytes(digest), data))) {
        for (const { id, data } of chunks) log.moveChunk(id, data);
        log.dropBlock(id);
      } else isWhole = false;
    }
    if (log.pendingBytes >= COPY_BYTES) {
      await log.commit();
      await turn(signal);
    }
  }
  await log.commit();
  return isWhole && db.prepare("SELECT 1 FROM blocks WHERE pack = ?").get(pack) === undefined;
}

/** Whether `error` of reading tells of bytes that are gone, changed or out of the disk's reach, and of nothing else. */
export function isDamage(error: unknown): error is FilesyncError {
  return error instanceof FilesyncError &&
    (["content-missing", "digest-mismatch"].includes(error.code) || osCode(error.cause) === "EIO");
}
