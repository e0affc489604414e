/**
 * Merging what a scan found into the catalog: new, modified, moved and removed files, and the record of each. All of
 * it is SQL over the staged listings, in one transaction, and rows that did not change are not written.
 *
 * A directory is judged by its own listing alone. What is missing in a listing is removed, a directory with all
 * below it; what was not listed (unreadable, on another file system, not in this part of the tree) stays as it is.
 * So does a directory that another scan recorded anew since the listing was compared with it: of two that look at it
 * at the same time the first is believed, and the next scan looks again.
 *
 * @module
 */
import { KIND } from "./listing.ts";
import { isBelow, isSamePath, type Row, type Sql } from "./sql.ts";
import type { StagingTables } from "./store.ts";

/** What is merged. */
export interface MergeInput {
  scan: number;
  host: number;
  staging: StagingTables;
}

/** What a merge did. */
export interface MergeTotals {
  added: number;
  modified: number;
  removed: number;
  moved: number;
  bytesAdded: number;
  /** Size of the modified files now. */
  bytesModified: number;
  bytesRemoved: number;
  /** By how much all files together grew. */
  growth: number;
}

/** Temporary tables of a merge. */
const TABLES = ["placed", "delta", "gone", "removed", "arrived", "sole_removed", "sole_arrived", "moves"];

const NOTHING: MergeTotals = {
  added: 0,
  modified: 0,
  removed: 0,
  moved: 0,
  bytesAdded: 0,
  bytesModified: 0,
  bytesRemoved: 0,
  growth: 0,
};

/** Whether a column tells of a file; that of what is not there is NULL. */
const isFile = (kind: string) => `${kind} <> ${KIND.directory}`;
const isDirectory = (kind: string) => `${kind} = ${KIND.directory}`;
/** Rows of `delta` where a file was and is, and is another. */
const IS_MODIFIED = `${isFile("old_kind")} AND ${
  isFile("new_kind")
} AND (old_kind <> new_kind OR old_size <> new_size OR old_mtime <> new_mtime)`;
const SWITCHES = `(${isDirectory("old_kind")}) <> (${isDirectory("new_kind")})`;
/** Rows of `delta` whose name is new in `entries`, and those whose name leaves it. */
const COMES = `new_kind IS NOT NULL AND (old_kind IS NULL OR ${SWITCHES})`;
const GOES = `old_kind IS NOT NULL AND (new_kind IS NULL OR ${SWITCHES})`;

/**
 * Merges within a transaction of the caller, who has seen to it that no other merge of the host runs. Where the
 * order of a join matters to SQLite, it is a CROSS JOIN, which SQLite does not turn round.
 */
export async function merge(sql: Sql, { scan, host, staging }: MergeInput): Promise<MergeTotals> {
  const { dialect } = sql;
  const { types: { integer }, untilCommit } = dialect;
  if (dialect.name === "sqlite") {
    await sql.script(TABLES.map((table) => `DROP TABLE IF EXISTS temp.${table};`).join("\n"));
  }
  const create = (table: string, select: string) =>
    sql.script(`CREATE TEMP TABLE ${table}${untilCommit} AS ${select}`);
  // Without it PostgreSQL takes every temporary table for a small one.
  const analyze = (...tables: string[]) =>
    dialect.name === "postgres"
      ? sql.script(tables.map((table) => `ANALYZE ${table};`).join("\n"))
      : undefined;

  await sql.script(`
    CREATE TEMP TABLE placed (staged ${integer} PRIMARY KEY, id ${integer} NOT NULL, is_new ${integer} NOT NULL)${untilCommit};
    INSERT INTO placed SELECT s.id, d.id, 0 FROM ${staging.directories} s
      CROSS JOIN directories d WHERE d.host_id = ${host} AND ${isSamePath(dialect, "d.path", "s.path")}
        AND (s.known_scan IS NULL OR s.known_scan = d.changed_scan);
    INSERT INTO placed SELECT s.id, s.id, 1 FROM ${staging.directories} s
      WHERE s.known_scan IS NULL AND NOT EXISTS (SELECT 1 FROM placed p WHERE p.staged = s.id)`);
  const [{ listed, fresh }] = await sql.query(
    "SELECT count(*) AS listed, coalesce(sum(is_new), 0) AS fresh FROM placed",
  );
  if (listed === 0) return NOTHING;
  await analyze("placed", staging.directories, staging.files);

  const totals = { ...NOTHING };
  await takeBack(sql, staging);
  if (fresh !== 0) {
    await sql.script(`
      INSERT INTO directories (id, host_id, path, print, files, bytes, changed_scan)
        SELECT p.id, ${host}, s.path, s.print, s.files, s.bytes, ${scan}
        FROM ${staging.directories} s JOIN placed p ON p.staged = s.id WHERE p.is_new = 1`);
    const [row] = await sql.query(
      `SELECT coalesce(sum(s.files), 0) AS added, coalesce(sum(s.bytes), 0) AS bytes
       FROM ${staging.directories} s JOIN placed p ON p.staged = s.id WHERE p.is_new = 1`,
    );
    totals.added = row.added as number;
    totals.bytesAdded = totals.growth = row.bytes as number;
  }
  if (listed === fresh) return totals;

  await keepAdded(sql, scan, "SELECT id FROM placed WHERE is_new = 0");
  await sql.script(`
    UPDATE directories SET print = s.print, files = s.files, bytes = s.bytes, changed_scan = ${scan}, last_seen = NULL
      FROM placed p JOIN ${staging.directories} s ON s.id = p.staged
      WHERE directories.id = p.id AND p.is_new = 0`);
  await create(
    "delta",
    `SELECT p.id AS directory_id, f.name AS name, e.kind AS old_kind, e.size AS old_size, e.mtime AS old_mtime,
       e.inode AS old_inode, e.fingerprint AS old_fingerprint, e.first_scan AS first_scan,
       e.changed_scan AS changed_scan, nullif(f.kind, ${KIND.gone}) AS new_kind, f.size AS new_size,
       f.mtime AS new_mtime, f.inode AS new_inode
     FROM ${staging.files} f CROSS JOIN placed p
       LEFT JOIN entries e ON e.directory_id = p.id AND e.name = f.name
     WHERE p.staged = f.directory_id AND p.is_new = 0 AND (e.kind IS NULL OR e.kind <> f.kind
       OR e.size <> f.size OR e.mtime <> f.mtime OR e.inode <> f.inode)`,
  );
  await analyze("delta");
  const lost =
    `SELECT d.path || '/' || t.name AS path FROM delta t JOIN directories d ON d.id = t.directory_id
    WHERE ${isDirectory("t.old_kind")} AND (t.new_kind IS NULL OR ${isFile("t.new_kind")})`;
  await create(
    "gone",
    `SELECT d.id AS id FROM (${lost}) g JOIN directories d ON d.host_id = ${host} AND ${
      isSamePath(dialect, "d.path", "g.path")
    }
     UNION
     SELECT d.id FROM (${lost}) g JOIN directories d ON d.host_id = ${host} AND ${
      isBelow(dialect, "d.path", "g.path")
    }`,
  );
  await create(
    "removed",
    `SELECT d.path || '/' || t.name AS path, t.old_kind AS kind, t.old_size AS size, t.old_mtime AS mtime,
       t.old_inode AS inode, t.old_fingerprint AS fingerprint, t.first_scan AS first_scan,
       t.changed_scan AS changed_scan
     FROM delta t JOIN directories d ON d.id = t.directory_id
     WHERE ${isFile("t.old_kind")} AND (t.new_kind IS NULL OR ${isDirectory("t.new_kind")})
     UNION ALL
     SELECT d.path || '/' || e.name, e.kind, e.size, e.mtime, e.inode, e.fingerprint, e.first_scan, e.changed_scan
     FROM gone g JOIN directories d ON d.id = g.id JOIN entries e ON e.directory_id = g.id
     WHERE ${isFile("e.kind")}`,
  );
  await create(
    "arrived",
    `SELECT directory_id, name, new_kind AS kind, new_size AS size, new_mtime AS mtime, new_inode AS inode
     FROM delta WHERE ${isFile("new_kind")} AND ${COMES} AND EXISTS (SELECT 1 FROM removed)
     UNION ALL
     SELECT e.directory_id, e.name, e.kind, e.size, e.mtime, e.inode
     FROM placed p JOIN entries e ON e.directory_id = p.id
     WHERE p.is_new = 1 AND ${isFile("e.kind")} AND EXISTS (SELECT 1 FROM removed)`,
  );
  await analyze("gone", "removed", "arrived");
  // An inode that is gone at one path and there at one other, with the same size and time, is the same file.
  const sole = (table: string, what: string) =>
    create(
      `sole_${table}`,
      `SELECT inode, size, mtime, kind, ${what} FROM ${table} WHERE inode <> 0
       GROUP BY inode, size, mtime, kind HAVING count(*) = 1`,
    );
  // Tables of their own: PostgreSQL would take them for a few rows, and compare each with each.
  await sole("removed", "min(path) AS path");
  await sole("arrived", "min(directory_id) AS directory_id, min(name) AS name");
  await analyze("sole_removed", "sole_arrived");
  await create(
    "moves",
    `SELECT o.path AS old_path, o.size AS size, o.mtime AS mtime, o.fingerprint AS fingerprint,
       o.first_scan AS first_scan, a.directory_id AS directory_id, a.name AS name, d.path || '/' || a.name AS path
     FROM sole_removed r
     JOIN sole_arrived a ON a.inode = r.inode AND a.size = r.size AND a.mtime = r.mtime AND a.kind = r.kind
     JOIN removed o ON o.path = r.path
     JOIN directories d ON d.id = a.directory_id`,
  );
  await analyze("moves");

  await sql.script(`
    INSERT INTO changes (scan_id, path, kind, new_size, new_mtime, new_fingerprint)
      SELECT first_scan, path, 'added', size, mtime, fingerprint FROM removed WHERE changed_scan IS NULL;
    INSERT INTO changes (scan_id, path, kind, old_size, old_mtime, old_fingerprint)
      SELECT ${scan}, path, 'removed', size, mtime, fingerprint FROM removed
      WHERE path NOT IN (SELECT old_path FROM moves);
    INSERT INTO changes (scan_id, path, kind, new_size, new_mtime, new_fingerprint)
      SELECT t.first_scan, d.path || '/' || t.name, 'added', old_size, old_mtime, old_fingerprint
      FROM delta t JOIN directories d ON d.id = t.directory_id WHERE t.changed_scan IS NULL AND ${IS_MODIFIED};
    INSERT INTO changes (scan_id, path, kind, old_size, new_size, old_mtime, new_mtime, old_fingerprint)
      SELECT ${scan}, d.path || '/' || t.name, 'modified', old_size, new_size, old_mtime, new_mtime, old_fingerprint
      FROM delta t JOIN directories d ON d.id = t.directory_id WHERE ${IS_MODIFIED};
    INSERT INTO changes (scan_id, path, old_path, kind, old_size, new_size, old_mtime, new_mtime, old_fingerprint,
        new_fingerprint)
      SELECT ${scan}, path, old_path, 'moved', size, size, mtime, mtime, fingerprint, fingerprint FROM moves;

    DELETE FROM entries WHERE (directory_id, name) IN (SELECT directory_id, name FROM delta WHERE ${GOES});
    UPDATE entries SET kind = t.new_kind, size = t.new_size, mtime = t.new_mtime, inode = t.new_inode,
        changed_scan = CASE WHEN ${IS_MODIFIED} THEN ${scan} ELSE entries.changed_scan END,
        fingerprint = CASE WHEN ${IS_MODIFIED} THEN NULL ELSE entries.fingerprint END
      FROM delta t WHERE entries.directory_id = t.directory_id AND entries.name = t.name
        AND ${isFile("t.old_kind")} AND ${isFile("t.new_kind")};
    INSERT INTO entries (directory_id, name, kind, size, mtime, inode, first_scan)
      SELECT directory_id, name, new_kind, new_size, new_mtime, new_inode, ${scan} FROM delta WHERE ${COMES};
    UPDATE entries SET changed_scan = ${scan}, first_scan = m.first_scan, fingerprint = m.fingerprint
      FROM moves m WHERE entries.directory_id = m.directory_id AND entries.name = m.name;
    DELETE FROM entries WHERE directory_id IN (SELECT id FROM gone);
    DELETE FROM directories WHERE id IN (SELECT id FROM gone)`);
  return await addTotals(sql, totals);
}

/**
 * Takes entries that were loaded for directories which another scan has recorded meanwhile back into staging: what
 * stood there when they were listed is to be compared with what is known now.
 */
async function takeBack(sql: Sql, staging: StagingTables): Promise<void> {
  const met = `SELECT s.id FROM ${staging.directories} s JOIN placed p ON p.staged = s.id
    WHERE s.known_scan IS NULL AND p.is_new = 0`;
  if ((await sql.query(`${met} LIMIT 1`)).length === 0) return;
  await sql.script(`
    INSERT INTO ${staging.files} (directory_id, name, kind, size, mtime, inode, first_scan)
      SELECT directory_id, name, kind, size, mtime, inode, first_scan FROM entries WHERE directory_id IN (${met});
    INSERT INTO ${staging.files} (directory_id, name, kind, size, mtime, inode, first_scan)
      SELECT s.id, e.name, ${KIND.gone}, 0, 0, 0, 0
      FROM ${staging.directories} s JOIN placed p ON p.staged = s.id JOIN entries e ON e.directory_id = p.id
      WHERE s.known_scan IS NULL AND p.is_new = 0 AND s.print IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM entries n WHERE n.directory_id = s.id AND n.name = e.name);
    DELETE FROM entries WHERE directory_id IN (${met})`);
}

/**
 * Writes the rows of files that were added by scans which began after this one and were merged before it, as if
 * something else had happened to them since. Whoever asks for added files looks only into directories that were
 * changed by the same scan or a later one, and this one is about to be the last that did.
 *
 * @param directories SQL for ids of directories that will be recorded as changed by `scan`.
 */
export async function keepAdded(sql: Sql, scan: number, directories: string): Promise<void> {
  const late = `d.id IN (${directories}) AND d.changed_scan > ${scan}`;
  const added = `e.changed_scan IS NULL AND e.first_scan > ${scan} AND ${isFile("e.kind")}`;
  await sql.script(`
    INSERT INTO changes (scan_id, path, kind, new_size, new_mtime, new_fingerprint)
      SELECT e.first_scan, d.path || '/' || e.name, 'added', e.size, e.mtime, e.fingerprint
      FROM directories d JOIN entries e ON e.directory_id = d.id WHERE ${late} AND ${added};
    UPDATE entries AS e SET changed_scan = first_scan
      WHERE e.directory_id IN (SELECT d.id FROM directories d WHERE ${late}) AND ${added}`);
}

/** The totals, from the temporary tables of the merge. */
async function addTotals(sql: Sql, totals: MergeTotals): Promise<MergeTotals> {
  const sum = async (select: string): Promise<Record<string, number>> => {
    const [row]: Row[] = await sql.query(select);
    return row as Record<string, number>;
  };
  const added = await sum(
    `SELECT count(*) AS n, coalesce(sum(new_size), 0) AS bytes FROM delta WHERE ${
      isFile("new_kind")
    } AND ${COMES}`,
  );
  const modified = await sum(
    `SELECT count(*) AS n, coalesce(sum(new_size), 0) AS bytes, coalesce(sum(new_size - old_size), 0) AS growth
     FROM delta WHERE ${IS_MODIFIED}`,
  );
  const removed = await sum("SELECT count(*) AS n, coalesce(sum(size), 0) AS bytes FROM removed");
  const moved = await sum("SELECT count(*) AS n, coalesce(sum(size), 0) AS bytes FROM moves");
  return {
    added: totals.added + added.n - moved.n,
    modified: modified.n,
    removed: removed.n - moved.n,
    moved: moved.n,
    bytesAdded: totals.bytesAdded + added.bytes - moved.bytes,
    bytesModified: modified.bytes,
    bytesRemoved: removed.bytes - moved.bytes,
    growth: totals.bytesAdded + added.bytes + modified.growth - removed.bytes,
  };
}
