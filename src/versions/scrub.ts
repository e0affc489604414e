/** Reading all that is kept once, to see whether it is still what it was. @module */
import type { DatabaseSync } from "node:sqlite";
import { type Digest, digestFromBytes } from "../core/digest.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";
import { Statements } from "../database/statements.ts";
import { namesChunk } from "../hashing/chunk_digest.ts";
import type { ContentReader } from "./content_reader.ts";
import { type Run, unpackRuns } from "./runs.ts";
import { isDamage } from "./sweep.ts";

/** A content that needs a damaged chunk. */
export interface AffectedContent {
  digest: Digest;
  /** Bytes before the chunk: whoever has the content elsewhere finds the chunk there. */
  start: number;
  /** Some of the paths that hold it, in snapshots and among kept files; at most {@linkcode MOST_PATHS}. */
  paths: TreePath[];
}

/** A chunk that is not what its digest says. */
export interface Damage {
  /** Its name; `VersionStore.repair` takes good bytes for it. */
  chunk: Digest;
  /** Bytes. */
  length: number;
  /** As a clause without a full stop. */
  reason: string;
  contents: AffectedContent[];
}

/** A content whose chunks, as they are recorded, do not make up its size: the database lost a bit of it. */
export type BrokenContent = Omit<AffectedContent, "start">;

/** What a scrub tells on its way. */
export type ScrubEvent =
  | { type: "progress"; done: number; total: number }
  | { type: "damage"; damage: Damage }
  | { type: "broken"; content: BrokenContent };

/** Most paths that are named for a content. */
export const MOST_PATHS = 20;

/** Blocks looked up at once. */
const PAGE = 200;

interface DamagedChunk {
  id: number;
  digest: Digest;
  length: number;
  reason: string;
}

/**
 * Recomputes the digest of every chunk, and adds up those of every content. Progress comes in bytes on disk, damages
 * at the end.
 *
 * @throws {FilesyncError} When the database itself is damaged; or the signal's reason.
 */
export async function* scrub(
  db: DatabaseSync,
  reader: ContentReader,
  signal?: AbortSignal,
): AsyncGenerator<ScrubEvent> {
  checkDatabase(db);
  const statements = new Statements(db);
  const page = statements.sql(`
    SELECT id, pack, start, stored FROM blocks WHERE (pack, start) > (?, ?) ORDER BY pack, start LIMIT ${PAGE}`);
  const total = statements.sql("SELECT coalesce(sum(stored), 0) AS bytes FROM blocks").get()!.bytes as number;
  const damaged: DamagedChunk[] = [];
  let done = 0;
  let sinceTurn = 0;
  reader.forget();
  for (let [pack, start] = [0, 0];;) {
    const blocks = page.all(pack, start) as { id: number; pack: number; start: number; stored: number }[];
    if (blocks.length === 0) break;
    for (const block of blocks) {
      damaged.push(...damagedIn(block.id, statements, reader));
      done += block.stored;
      yield { type: "progress", done: Math.min(done, total), total };
      sinceTurn += block.stored;
      if (sinceTurn >= TURN_BYTES) {
        sinceTurn = 0;
        await turn(signal);
      }
    }
    ({ pack, start } = blocks.at(-1)!);
  }
  for await (const content of brokenContents(statements, signal)) yield { type: "broken", content };
  if (damaged.length === 0) return;
  const contents = affectedContents(damaged, statements, reader);
  for (const { id, digest, length, reason } of damaged) {
    yield { type: "damage", damage: { chunk: digest, length, reason, contents: contents.get(id) ?? [] } };
  }
}

async function* brokenContents(statements: Statements, signal?: AbortSignal): AsyncGenerator<BrokenContent> {
  const page = statements.sql(
    `SELECT id, digest, size, runs FROM contents WHERE id > ? AND runs IS NOT NULL ORDER BY id LIMIT ${PAGE}`,
  );
  const sum = statements.sql(
    "SELECT count(*) AS count, coalesce(sum(length), 0) AS bytes FROM chunks WHERE id >= ? AND id < ?",
  );
  const still = statements.sql("SELECT 1 FROM contents WHERE id = ? AND runs = ?");
  const isWhole = ({ size, runs: packed }: { size: number; runs: Uint8Array }) => {
    const runs = runsIn(packed);
    if (runs === undefined) return false;
    let bytes = 0;
    for (const { first, count } of runs) {
      const found = sum.get(first, first + count) as { count: number; bytes: number };
      if (found.count !== count) return false;
      bytes += found.bytes;
    }
    return bytes === size;
  };
  for (let last = 0;;) {
    const contents = page.all(last) as { id: number; digest: Uint8Array; size: number; runs: Uint8Array }[];
    if (contents.length === 0) return;
    for (const content of contents) {
      // Another process may have pruned it just now.
      if (isWhole(content) || !still.get(content.id, content.runs)) continue;
      yield { digest: digestFromBytes(content.digest), paths: pathsOf(content.id, statements) };
    }
    last = contents.at(-1)!.id;
    await turn(signal);
  }
}

function damagedIn(block: number, statements: Statements, reader: ContentReader): DamagedChunk[] {
  const chunks = statements.sql("SELECT id, digest, start, length FROM chunks WHERE block = ?").all(
    block,
  ) as {
    id: number;
    digest: Uint8Array;
    start: number;
    length: number;
  }[];
  let data: Uint8Array | undefined;
  let reason = "its bytes have another digest";
  try {
    data = reader.block(block);
    // Somebody has moved it, after having verified it.
    if (data === undefined) return [];
  } catch (error) {
    if (!isDamage(error)) throw error;
    reason = error.reason;
  }
  return chunks
    .map(({ digest, ...chunk }) => ({ ...chunk, digest: digestFromBytes(digest), reason }))
    .filter(({ digest, start, length }) => {
      return data === undefined || !namesChunk(digest, data.subarray(start, start + length));
    });
}

/** By numbers of chunks: the contents that need them, found by looking at all. */
function affectedContents(
  damaged: DamagedChunk[],
  statements: Statements,
  reader: ContentReader,
): Map<number, AffectedContent[]> {
  const affected = new Map<number, AffectedContent[]>(damaged.map(({ id }) => [id, []]));
  const ids = [...affected.keys()].sort((a, b) => a - b);
  const contents = statements.sql("SELECT id, digest, runs FROM contents WHERE runs IS NOT NULL");
  for (
    const content of contents.iterate() as Iterable<{ id: number; digest: Uint8Array; runs: Uint8Array }>
  ) {
    const runs = runsIn(content.runs) ?? [];
    if (!runs.some(({ first, count }) => ids.some((id) => id >= first && id < first + count))) continue;
    const paths = pathsOf(content.id, statements);
    let start = 0;
    for (const run of runs) {
      for (const { id, length } of reader.chunksIn(run)) {
        affected.get(id)?.push({ digest: digestFromBytes(content.digest), start, paths });
        start += length;
      }
    }
  }
  return affected;
}

/** The runs in `packed`; `undefined` when they are malformed. */
function runsIn(packed: Uint8Array): Run[] | undefined {
  try {
    return unpackRuns(packed);
  } catch {
    return undefined;
  }
}

function pathsOf(content: number, statements: Statements): TreePath[] {
  const rows = statements.sql(`
    SELECT path FROM entries WHERE content = ?1 UNION SELECT path FROM kept WHERE content = ?1
    LIMIT ${MOST_PATHS}`).all(content) as { path: TreePath }[];
  return rows.map(({ path }) => path);
}

function checkDatabase(db: DatabaseSync): void {
  const operation = `verify the database ${JSON.stringify(db.location())}`;
  let answer: string;
  try {
    answer = db.prepare("PRAGMA quick_check(1)").get()!.quick_check as string;
  } catch (error) {
    throw toFilesyncError(operation, error);
  }
  if (answer === "ok") return;
  throw new FilesyncError({
    code: "io",
    operation,
    reason: `it is damaged: ${answer}`,
    hint: "Bring it back from a copy; what is in the packs cannot be told without it",
    permanent: true,
  });
}
