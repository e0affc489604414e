/**
 * The index of a tree: what stands at every path, which paths hold a content,
 * and where every chunk can be found. It only remembers; the disk is the truth.
 * A destination keeps one of what it holds; a source keeps one of what it has
 * seen and handed to its queue.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { PACKED_CHUNK_BYTES, packManifest } from "../core/chunk.ts";
import { type Digest, DIGEST_BYTES, digestFromBytes, digestToBytes } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { parentOf, rangeBelow, ROOT, type TreePath } from "../core/path.ts";
import { transaction } from "../database/open.ts";

/** How an entry looked on disk when it was recorded. */
export interface Look {
  /** Milliseconds, as the file system gives it (whole seconds on some). */
  ctime: number;
  dev: number;
  ino: number;
  /** Milliseconds since the epoch. */
  lookedAt: number;
}

/** An entry, and since when it stands at its path. */
export interface EntrySince {
  entry: IndexedEntry;
  /** Milliseconds since the epoch; 0 when it was there before anybody looked. */
  since: number;
}

/** An entry together with how it looked. */
export type IndexedEntry = Entry & Look;

/** All that tells whether an entry still looks as it was recorded. */
export interface SeenEntry extends Look {
  path: TreePath;
  kind: Entry["kind"];
  /** Bytes, of a file. */
  size: number;
  mtime: number;
  /** Permission bits; 0 of a link. */
  mode: number;
}

/** Where the bytes of a chunk are: in any file that has the content. */
export interface ChunkPlace {
  content: Digest;
  /** First byte of the chunk in the content. */
  start: number;
}

/** One row of the history. */
export interface HistoryRow {
  sequence: number;
  time: number;
  what: string;
  path: TreePath;
  from?: TreePath;
  size?: number;
  digest?: Digest;
}

/** Which rows of the history are wanted. */
export interface HistoryFilter {
  /** Only this path and what is below it. */
  under?: TreePath;
  /** Only this path, what is below it, and the directories above it. */
  touching?: TreePath;
  /** Only rows before this sequence. */
  before?: number;
  /** Most rows. @default {100} */
  limit?: number;
}

/** The columns of a row of the history. */
export interface HistoryColumns {
  sequence: number;
  time: number;
  what: string;
  path: TreePath;
  from_path: TreePath | null;
  size: number | null;
  digest: Uint8Array | null;
}

type EntryRow = [
  path: TreePath,
  kind: Entry["kind"],
  size: number,
  mtime: number,
  mode: number,
  target: string | null,
  digest: Uint8Array | null,
  ctime: number,
  dev: number,
  ino: number,
  lookedAt: number,
  since: number,
];

type SeenRow = [
  path: TreePath,
  kind: Entry["kind"],
  size: number,
  mtime: number,
  mode: number,
  ctime: number,
  dev: number,
  ino: number,
  lookedAt: number,
];

const SELECT_ENTRY = `
  SELECT path, kind, entries.size, mtime, mode, target, digest, ctime, dev, ino, looked_at, since
  FROM entries LEFT JOIN contents ON contents.id = entries.content`;

const SELECT_HISTORY = "SELECT sequence, time, what, path, from_path, size, digest FROM history";

/** So many of the last changes are looked through before the index is asked, which takes some milliseconds. */
const LATE_CHANGES = 10_000;

/** Greater than every path: in SQLite a blob sorts after all text. */
const BEYOND_ALL_PATHS = new Uint8Array([0xff]);

/** Most entries that are had in memory at once, some 30 MB of them. */
const MOST_IN_MEMORY = 200_000;

/** Rows read at once by iterations, so that a writer never waits for a slow reader. */
const PAGE = 1_000;

/** See the module's comment. All methods are synchronous; wrap several in {@linkcode TreeIndex.transaction}. */
export class TreeIndex implements Disposable {
  readonly db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** How the database was opened to sync, as SQLite's number for it. */
  readonly #synchronous: number;
  #sequence: number;

  /** @param db A database with the tables of `INDEX_MIGRATIONS`; closed with the index. */
  constructor(db: DatabaseSync) {
    this.db = db;
    this.#synchronous = this.sql("PRAGMA synchronous").get()!.synchronous as number;
    if (this.meta("index_id") === undefined) this.setMeta("index_id", crypto.randomUUID());
    const row = this.sql("SELECT max(sequence) AS last FROM history").get() as { last: number | null };
    this.#sequence = Math.max(row.last ?? 0, Number(this.meta("sequence") ?? 0));
  }

  /** Names this index for good. */
  get id(): string {
    return this.meta("index_id")!;
  }

  /** Grows by one with every change. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * Runs `change` so that all of it is recorded, or nothing.
   *
   * @param options.syncedLater Whether a power cut may take the record away again until the file system
   * has been synced. @default {false}
   */
  transaction<T>(change: () => T, { syncedLater = false } = {}): T {
    const before = this.#sequence;
    if (syncedLater) this.db.exec("PRAGMA synchronous = NORMAL");
    try {
      return transaction(this.db, change);
    } catch (error) {
      this.#sequence = before;
      throw error;
    } finally {
      if (syncedLater) this.db.exec(`PRAGMA synchronous = ${this.#synchronous}`);
    }
  }

  /** A remembered setting. */
  meta(key: string): string | undefined {
    return (this.sql("SELECT value FROM meta WHERE key = ?").get(key) as { value: string } | undefined)
      ?.value;
  }

  /** Remembers a setting. */
  setMeta(key: string, value: string): void {
    this.sql("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value").run(
      key,
      value,
    );
  }

  /** What stands at `path`. */
  get(path: TreePath): IndexedEntry | undefined {
    const [row] = this.#lists<EntryRow>(`${SELECT_ENTRY} WHERE path = ?`).all(path);
    return row && toEntry(row);
  }

  /** What stands at `path`, and since when. */
  standing(path: TreePath): EntrySince | undefined {
    const [row] = this.#lists<EntryRow>(`${SELECT_ENTRY} WHERE path = ?`).all(path);
    return row && toEntrySince(row);
  }

  /** Those of `paths` at which something stands. */
  knownAmong(paths: readonly TreePath[]): Set<TreePath> {
    const rows = this.sql("SELECT path FROM entries WHERE path IN (SELECT value FROM json_each(?))")
      .all(JSON.stringify(paths)) as { path: TreePath }[];
    return new Set(rows.map(({ path }) => path));
  }

  /** Those of `paths` below which something stands. */
  filledAmong(paths: readonly TreePath[]): Set<TreePath> {
    const rows = this.sql(`
      SELECT value AS path FROM json_each(?) WHERE EXISTS (SELECT 1 FROM entries WHERE parent = value)`)
      .all(JSON.stringify(paths)) as { path: TreePath }[];
    return new Set(rows.map(({ path }) => path));
  }

  /** How what is below `directory` and before the path `before` looked: the last `most` of it, last first. */
  lastBelow(directory: TreePath, most: number, before?: TreePath): SeenEntry[] {
    const { low, high } = rangeBelow(directory);
    return this.#seen("WHERE path >= ? AND path < ? ORDER BY path DESC LIMIT ?")
      .all(low, before ?? high, most).map(toSeenEntry);
  }

  /** How everything directly in `directory` looked, in no order. */
  children(directory: TreePath): SeenEntry[] {
    return this.#seen("WHERE parent = ?").all(directory).map(toSeenEntry);
  }

  /**
   * How everything looked, by directory: several times as fast as {@linkcode children} of all of them.
   *
   * @returns `undefined` when there are more than `most` entries, too many to have in memory.
   */
  childrenOfAll(most = MOST_IN_MEMORY): Map<TreePath, SeenEntry[]> | undefined {
    if (this.count().entries > most) return undefined;
    const all = new Map<TreePath, SeenEntry[]>();
    for (const row of this.#seen("").all()) {
      const entry = toSeenEntry(row);
      const parent = parentOf(entry.path);
      const children = all.get(parent);
      if (children === undefined) all.set(parent, [entry]);
      else children.push(entry);
    }
    return all;
  }

  /** Every entry below `under`, parents before what they hold. Changes made meanwhile may or may not be met. */
  *entries(under = ROOT): Generator<IndexedEntry> {
    const page = this.#lists<EntryRow>(
      `${SELECT_ENTRY} WHERE path > ? AND path < ? ORDER BY path LIMIT ${PAGE}`,
    );
    const { low, high } = rangeOf(under);
    for (let last = low;;) {
      const rows = page.all(last, high);
      if (rows.length === 0) return;
      for (const row of rows) yield toEntry(row);
      last = rows.at(-1)![0];
    }
  }

  /** `path`, when something stands there, and every path below it; parents before what they hold. */
  pathsWithin(path: TreePath): TreePath[] {
    const { low, high } = rangeBelow(path);
    const rows = this.sql("SELECT path FROM entries WHERE path = ? OR (path >= ? AND path < ?) ORDER BY path")
      .all(path, low, high) as { path: TreePath }[];
    return rows.map((row) => row.path);
  }

  /** What stands at and below `path`, and since when; parents before what they hold. */
  entriesWithin(path: TreePath): EntrySince[] {
    const { low, high } = rangeBelow(path);
    return this.#lists<EntryRow>(`${SELECT_ENTRY} WHERE path = ? OR (path >= ? AND path < ?) ORDER BY path`)
      .all(path, low, high).map(toEntrySince);
  }

  /** The first path that is not before `from`, or comes after it, and is before `end`. */
  firstPath(from: string, end: string | Uint8Array, inclusive: boolean): TreePath | undefined {
    const [row] = this.#lists<[TreePath]>(`
      SELECT path FROM entries WHERE path ${inclusive ? ">=" : ">"} ? AND path < ? ORDER BY path LIMIT 1`)
      .all(from, end);
    return row?.[0];
  }

  /** The first entries after the path `after` that stand since `time` or longer, at and below `under`. */
  standingSince(time: number, after: string, under: TreePath, limit: number): EntrySince[] {
    const { low, high } = rangeOf(under);
    return this.#lists<EntryRow>(`
      ${SELECT_ENTRY} WHERE path > ? AND path >= ? AND path < ? AND (path = ? OR path >= ?) AND since <= ?
      ORDER BY path LIMIT ?`).all(after, under, high, under, low, time, limit).map(toEntrySince);
  }

  /** How many entries {@linkcode pathsWithin} gives. */
  countWithin(path: TreePath): number {
    const { low, high } = rangeBelow(path);
    const row = this.sql("SELECT count(*) AS n FROM entries WHERE path = ? OR (path >= ? AND path < ?)")
      .get(path, low, high) as { n: number };
    return row.n;
  }

  /** Whether nothing is recorded. */
  get isEmpty(): boolean {
    return this.sql("SELECT 1 FROM entries LIMIT 1").get() === undefined;
  }

  /** How many entries there are, and their bytes. */
  count(): { entries: number; bytes: number } {
    return this.sql("SELECT count(*) AS entries, coalesce(sum(size), 0) AS bytes FROM entries")
      .get() as { entries: number; bytes: number };
  }

  /**
   * Records what stands at a path now.
   *
   * @param packedManifest The chunks of a file's content, needed when the content is new here.
   * @param since When it came, unless the same content stood there before.
   */
  put(entry: Entry, look: Look, packedManifest?: Uint8Array, since = look.lookedAt): void {
    const content = entry.kind === "file" ? this.#contentFor(entry.digest, entry.size, packedManifest) : null;
    const values = [
      entry.kind,
      entry.kind === "file" ? entry.size : 0,
      entry.mtime,
      entry.kind === "symlink" ? 0 : entry.mode,
      entry.kind === "symlink" ? entry.target : null,
      content,
      look.ctime,
      look.dev,
      look.ino,
      look.lookedAt,
      entry.path,
    ];
    // Most are new, and one question is cheaper than two.
    const { changes } = this.sql(`
      INSERT INTO entries (kind, size, mtime, mode, target, content, ctime, dev, ino, looked_at, path, parent, since)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO NOTHING`)
      .run(...values, parentOf(entry.path), since);
    if (changes > 0) return;
    const old = this.#contentOf(entry.path);
    this.sql(`
      UPDATE entries SET (kind, size, mtime, mode, target, content, ctime, dev, ino, looked_at)
        = (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10),
        since = CASE WHEN kind = ?1 AND target IS ?5 AND content IS ?6 THEN since ELSE ?12 END
      WHERE path = ?11`).run(...values, since);
    if (old !== null && old !== content) this.#dropContentIfUnused(old);
  }

  /** Forgets `path` and everything below it. */
  remove(path: TreePath): void {
    const { low, high } = rangeBelow(path);
    const contents = this.sql(
      "SELECT DISTINCT content FROM entries WHERE content IS NOT NULL AND (path = ? OR (path >= ? AND path < ?))",
    ).all(path, low, high) as { content: number }[];
    this.sql("DELETE FROM entries WHERE path = ? OR (path >= ? AND path < ?)").run(path, low, high);
    for (const { content } of contents) this.#dropContentIfUnused(content);
  }

  /**
   * Renames `from`, with everything below it, to `to`. What was recorded at `to` is forgotten.
   *
   * @param since When that happened. @default {as it is: nobody asks}
   */
  move(from: TreePath, to: TreePath, since?: number): void {
    this.remove(to);
    const { low, high } = rangeBelow(from);
    // substr counts characters, as code points: SQLite measures both sides the same way.
    const rest = [...from].length + 1;
    this.sql(`
      UPDATE entries SET path = ?1 || substr(path, ?2), parent = ?1 || substr(parent, ?2), since = coalesce(?5, since)
      WHERE path >= ?3 AND path < ?4`).run(to, rest, low, high, since ?? null);
    this.sql("UPDATE entries SET path = ?, parent = ?, since = coalesce(?, since) WHERE path = ?")
      .run(to, parentOf(to), since ?? null, from);
  }

  /** The paths that hold a content. */
  pathsWith(digest: Digest, limit = 100): TreePath[] {
    const rows = this.sql(`
      SELECT path FROM entries JOIN contents ON contents.id = entries.content WHERE digest = ? LIMIT ?`)
      .all(digestToBytes(digest), limit) as { path: TreePath }[];
    return rows.map(({ path }) => path);
  }

  /** Whether `path` holds a content. */
  holds(path: TreePath, digest: Digest): boolean {
    return this.sql(`
      SELECT 1 FROM entries JOIN contents ON contents.id = entries.content WHERE path = ? AND digest = ?`)
      .get(path, digestToBytes(digest)) !== undefined;
  }

  /** Whether any path holds any content. */
  get hasContents(): boolean {
    return this.sql("SELECT 1 FROM contents LIMIT 1").get() !== undefined;
  }

  /** Whether any path holds a content. */
  hasContent(digest: Digest): boolean {
    return this.sql("SELECT 1 FROM contents WHERE digest = ?").get(digestToBytes(digest)) !== undefined;
  }

  /** Whether a content of so many bytes is known; only for big ones it is quick to tell. */
  hasContentOfSize(size: number): boolean {
    return this.sql("SELECT 1 FROM contents WHERE size = ? AND size > 1048576 LIMIT 1").get(size) !==
      undefined;
  }

  /** The entries that had this inode when they were looked at. */
  byInode({ dev, ino }: { dev: number; ino: number }): IndexedEntry[] {
    const rows = this.#lists<EntryRow>(`${SELECT_ENTRY} WHERE ino = ? AND dev = ? LIMIT 16`).all(ino, dev);
    return rows.map(toEntry);
  }

  /** The packed manifest of a content, when any path holds it. */
  manifestOf(digest: Digest): Uint8Array<ArrayBuffer> | undefined {
    const content = this.sql("SELECT id, size FROM contents WHERE digest = ?").get(digestToBytes(digest)) as
      | { id: number; size: number }
      | undefined;
    if (content === undefined) return undefined;
    // As one text: objects for all chunks of a big file would be many times its manifest.
    const row = this.sql(`
      SELECT group_concat(hex(digest) || printf('%08x', length), '') AS chunks
      FROM (SELECT digest, length FROM chunks WHERE content = ? ORDER BY start)`).get(content.id) as {
      chunks: string | null;
    };
    if (row.chunks === null) return packManifest(content.size > 0 ? [{ digest, length: content.size }] : []);
    const packed = Uint8Array.fromHex(row.chunks);
    // Lengths are written with the least byte first.
    for (let end = PACKED_CHUNK_BYTES; end <= packed.length; end += PACKED_CHUNK_BYTES) {
      packed.subarray(end - 4, end).reverse();
    }
    return packed;
  }

  /** Where the bytes of a chunk are. */
  placeOf(chunk: Digest): ChunkPlace | undefined {
    const bytes = digestToBytes(chunk);
    if (this.sql("SELECT 1 FROM contents WHERE digest = ?").get(bytes)) return { content: chunk, start: 0 };
    const row = this.sql(`
      SELECT contents.digest, chunks.start FROM chunks JOIN contents ON contents.id = chunks.content
      WHERE chunks.digest = ? LIMIT 1`).get(bytes) as { digest: Uint8Array; start: number } | undefined;
    return row && { content: digestFromBytes(row.digest), start: row.start };
  }

  /** Counts one change and writes it into the history. */
  record(row: Omit<HistoryRow, "sequence">): number {
    this.#sequence++;
    this.sql(
      "INSERT INTO history (sequence, time, what, path, from_path, size, digest) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ).run(
      this.#sequence,
      row.time,
      row.what,
      row.path,
      row.from ?? null,
      row.size ?? null,
      row.digest === undefined ? null : digestToBytes(row.digest),
    );
    return this.#sequence;
  }

  /** Counts changes that are too many to be worth a line of history each. */
  skipSequence(changes: number): void {
    this.#sequence += changes;
    this.setMeta("sequence", String(this.#sequence));
  }

  /** The history, newest first. */
  history({ under = ROOT, touching, before = Infinity, limit = 100 }: HistoryFilter): HistoryRow[] {
    const below = touching ?? under;
    const { low, high } = rangeOf(below);
    const exact = JSON.stringify(touching === undefined ? [under] : [touching, ...above(touching)]);
    const end = Math.min(before, this.#sequence + 1);
    // What is asked for is mostly of late, and soon found: the index would tell of all that ever was there.
    const late = toHistoryRows(
      this.sql(`
      ${SELECT_HISTORY} WHERE sequence >= ?4 AND sequence < ?5 AND (
        +path IN (SELECT value FROM json_each(?1)) OR +from_path IN (SELECT value FROM json_each(?1))
        OR (+path >= ?2 AND +path < ?3) OR (+from_path >= ?2 AND +from_path < ?3))
      ORDER BY sequence DESC LIMIT ?6`).all(exact, low, high, end - LATE_CHANGES, end, limit),
    );
    if (late.length === limit || end <= LATE_CHANGES) return late;
    // A move may be met twice.
    return toHistoryRows(
      this.sql(`
      ${SELECT_HISTORY} WHERE sequence IN (
        SELECT sequence FROM (
          SELECT sequence FROM history WHERE path IN (SELECT value FROM json_each(?1)) AND sequence < ?4
          UNION ALL
          SELECT sequence FROM history WHERE from_path IN (SELECT value FROM json_each(?1)) AND sequence < ?4
          UNION ALL SELECT sequence FROM history WHERE path >= ?2 AND path < ?3 AND sequence < ?4
          UNION ALL SELECT sequence FROM history WHERE from_path >= ?2 AND from_path < ?3 AND sequence < ?4
        ) ORDER BY sequence DESC LIMIT 2 * ?5)
      ORDER BY sequence DESC LIMIT ?5`).all(exact, low, high, end, limit),
    );
  }

  [Symbol.dispose](): void {
    if (this.db.isOpen) this.db.close();
  }

  #seen(where: string): { all(...values: (string | number)[]): SeenRow[] } {
    return this.#lists<SeenRow>(
      `SELECT path, kind, size, mtime, mode, ctime, dev, ino, looked_at FROM entries ${where}`,
    );
  }

  /** The statement of `text`; whole trees are read by it, so rows come as plain lists, twice as fast. */
  #lists<Row>(text: string): { all(...values: (string | number | Uint8Array)[]): Row[] } {
    const isNew = !this.#statements.has(text);
    const statement = this.sql(text) as unknown as {
      setReturnArrays(on: boolean): void;
      all(...values: (string | number)[]): Row[];
    };
    if (isNew) statement.setReturnArrays(true);
    return statement;
  }

  #contentOf(path: TreePath): number | null {
    const row = this.sql("SELECT content FROM entries WHERE path = ?").get(path) as
      | { content: number | null }
      | undefined;
    return row?.content ?? null;
  }

  #contentFor(digest: Digest, size: number, packedManifest: Uint8Array | undefined): number {
    const bytes = digestToBytes(digest);
    const added = this.sql(
      "INSERT INTO contents (digest, size) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING RETURNING id",
    ).get(bytes, size) as { id: number } | undefined;
    if (added === undefined) {
      return (this.sql("SELECT id FROM contents WHERE digest = ?").get(bytes) as { id: number }).id;
    }
    const { id } = added;
    if (packedManifest !== undefined && packedManifest.length > PACKED_CHUNK_BYTES) {
      const insert = this.sql("INSERT INTO chunks (content, start, length, digest) VALUES (?, ?, ?, ?)");
      const { buffer, byteOffset, byteLength } = packedManifest;
      const view = new DataView(buffer, byteOffset, byteLength);
      for (let at = 0, start = 0; at < byteLength; at += PACKED_CHUNK_BYTES) {
        const length = view.getUint32(at + DIGEST_BYTES, true);
        insert.run(id, start, length, packedManifest.subarray(at, at + DIGEST_BYTES));
        start += length;
      }
    }
    return id;
  }

  #dropContentIfUnused(content: number): void {
    this.sql("DELETE FROM contents WHERE id = ? AND NOT EXISTS (SELECT 1 FROM entries WHERE content = ?)")
      .run(content, content);
  }

  /** The prepared statement of `text`, prepared once. */
  sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) this.#statements.set(text, statement = this.db.prepare(text));
    return statement;
  }
}

function toHistoryRows(rows: unknown[]): HistoryRow[] {
  return (rows as HistoryColumns[]).map(toHistoryRow);
}

/** A row of the history as it is told. */
export function toHistoryRow({ from_path, size, digest, ...row }: HistoryColumns): HistoryRow {
  return {
    ...row,
    ...(from_path === null ? {} : { from: from_path }),
    ...(size === null ? {} : { size }),
    ...(digest === null ? {} : { digest: digestFromBytes(digest) }),
  };
}

/** Like {@linkcode rangeBelow}, for the root too. */
function rangeOf(directory: TreePath): { low: string; high: string | Uint8Array } {
  return directory === ROOT ? { low: "", high: BEYOND_ALL_PATHS } : rangeBelow(directory);
}

/** The directories above `path`, but not the root. */
function above(path: TreePath): TreePath[] {
  const parent = parentOf(path);
  return parent === ROOT ? [] : [parent, ...above(parent)];
}

function toSeenEntry([path, kind, size, mtime, mode, ctime, dev, ino, lookedAt]: SeenRow): SeenEntry {
  return { path, kind, size, mtime, mode, ctime, dev, ino, lookedAt };
}

function toEntry(
  [path, kind, size, mtime, mode, target, digest, ctime, dev, ino, lookedAt]: EntryRow,
): IndexedEntry {
  switch (kind) {
    case "file":
      return { kind, path, size, mtime, mode, digest: digestFromBytes(digest!), ctime, dev, ino, lookedAt };
    case "directory":
      return { kind, path, mtime, mode, ctime, dev, ino, lookedAt };
    case "symlink":
      return { kind, path, mtime, target: target!, ctime, dev, ino, lookedAt };
  }
}

function toEntrySince(row: EntryRow): EntrySince {
  return { entry: toEntry(row), since: row.at(-1) as number };
}

/** An entry without how it looked on this disk. */
export function bareEntry(entry: Entry | IndexedEntry): Entry {
  if (!("lookedAt" in entry)) return entry;
  const { ctime: _ctime, dev: _dev, ino: _ino, lookedAt: _lookedAt, ...bare } = entry;
  return bare;
}
