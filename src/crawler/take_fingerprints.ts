/**
 * Fingerprints for the files of a catalog, after a scan: of those that have none, so that a run that was broken off
 * goes on where it was. They tell moved files whose inode is another, and files whose content changed unseen.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { Pace, type RateAt } from "../core/pace.ts";
import type { Problem } from "../core/problem.ts";
import type { Fingerprint } from "./fingerprint.ts";
import { KIND } from "./listing.ts";
import { isBelow, isSamePath, type Sql } from "./sql.ts";
import type { Store } from "./store.ts";

/** Reads files; a `CrawlPool` does. */
export interface FingerprintReader {
  /** The fingerprints of files at native paths, in order. */
  fingerprint(paths: string[]): Promise<(Fingerprint | Problem)[]>;
  /** How many calls are worth making at a time. */
  readonly size: number;
}

/** An amount of work. */
export interface Amount {
  files: number;
  bytes: number;
}

/** What {@linkcode takeFingerprints} needs. */
export interface TakeFingerprintsOptions {
  host: string;
  root: string;
  /** The scan that what is found is recorded with. */
  scan: number;
  /** Whether files that have a fingerprint are read again. @default {false} */
  paranoid?: boolean;
  /** How fast to read at most. @default {as fast as it goes} */
  rateAt?: RateAt;
  clock: Clock;
  signal?: AbortSignal;
  onProgress?: (done: Amount, total: Amount) => void;
  onProblem?: (problem: Problem) => void;
}

/** What was found out. */
export interface FingerprintTotals extends Amount {
  /** Files whose content changed, and neither size nor time. */
  modified: number;
  /** Files that were taken for removed and added. */
  moved: number;
}

/** Files of one transaction. */
const BATCH_FILES = 512;
/** Files and bytes of one message to a worker. */
const GROUP_FILES = 64;
const GROUP_BYTES = 32 << 20;

/** A file that is to be read. */
interface Candidate {
  directory_id: number;
  name: string;
  path: string;
  size: number;
  mtime: number;
  /** Hexadecimal digits. */
  fingerprint: string | null;
  first_scan: number;
  changed_scan: number | null;
}

/** Takes fingerprints, a batch at a time, each in a transaction. When the signal aborts, what was taken stays. */
export async function takeFingerprints(
  { sql }: Store,
  reader: FingerprintReader,
  options: TakeFingerprintsOptions,
): Promise<FingerprintTotals> {
  const { host, root, scan, paranoid = false, signal } = options;
  const { dialect } = sql;
  const from = `FROM entries e JOIN directories d ON d.id = e.directory_id JOIN hosts h ON h.id = d.host_id
    WHERE h.name = $1 AND ((${isSamePath(dialect, "d.path", "$2")}) OR (${isBelow(dialect, "d.path", "$2")}))
      AND e.kind = ${KIND.file} ${paranoid ? "" : "AND e.fingerprint IS NULL"}`;
  const [total] = await sql.query(`SELECT count(*) AS files, coalesce(sum(e.size), 0) AS bytes ${from}`, [
    host,
    root,
  ]);
  const totals: FingerprintTotals = { files: 0, bytes: 0, modified: 0, moved: 0 };
  const pace = options.rateAt && new Pace(options.rateAt, options.clock);
  const mayRead = async (bytes: number) => {
    await pace?.pay(bytes, options.signal).catch(() => {});
    return !options.signal?.aborted;
  };
  let [directory, name] = [0, ""];
  for (;;) {
    if (signal?.aborted) return totals;
    const batch = await sql.query(
      `SELECT e.directory_id, e.name, d.path || '/' || e.name AS path, e.size, e.mtime,
         ${dialect.hex("e.fingerprint")} AS fingerprint, e.first_scan, e.changed_scan
       ${from} AND (e.directory_id, e.name) > ($3, $4) ORDER BY e.directory_id, e.name LIMIT ${BATCH_FILES}`,
      [host, root, directory, name],
    ) as unknown as Candidate[];
    if (batch.length === 0) break;
    ({ directory_id: directory, name } = batch[batch.length - 1]);
    const found = await readAll(batch, reader, mayRead);
    await sql.transaction(async () => {
      for (const [i, candidate] of batch.entries()) {
        const given = found[i];
        if (given === undefined) continue;
        totals.files++;
        totals.bytes += candidate.size;
        if (!("digest" in given)) {
          // What went since the scan is found out by the next.
          if (given.code !== "not-found") options.onProblem?.(given);
        } else if (isAsScanned(candidate, given) && await keep(sql, scan, candidate, given.digest)) {
          totals.modified++;
        }
      }
    });
    options.onProgress?.(totals, total as unknown as Amount);
  }
  totals.moved = await sql.transaction(() => pairMoves(sql, options));
  return totals;
}

/** Reads files by groups, as many at a time as the reader likes; `undefined` for what was not read any more. */
async function readAll(
  batch: Candidate[],
  reader: FingerprintReader,
  mayRead: (bytes: number) => Promise<boolean>,
): Promise<(Fingerprint | Problem | undefined)[]> {
  const found: (Fingerprint | Problem | undefined)[] = new Array(batch.length);
  let next = 0;
  async function work(): Promise<void> {
    while (next < batch.length) {
      const start = next;
      let bytes = 0;
      while (next < batch.length && next - start < GROUP_FILES && (next === start || bytes < GROUP_BYTES)) {
        bytes += batch[next++].size;
      }
      if (!await mayRead(bytes)) return;
      const given = await reader.fingerprint(batch.slice(start, next).map(({ path }) => path));
      given.forEach((one, i) => found[start + i] = one);
    }
  }
  await Promise.all(Array.from({ length: reader.size }, work));
  return found;
}

function isAsScanned(candidate: Candidate, { size, mtime }: Fingerprint): boolean {
  return size === candidate.size && mtime === Math.floor(candidate.mtime / 1000) * 1000;
}

/** Records a fingerprint; gives whether it is another one than before. */
async function keep(sql: Sql, scan: number, candidate: Candidate, digest: string): Promise<boolean> {
  const { directory_id, name, path, size, mtime, fingerprint, first_scan, changed_scan } = candidate;
  if (fingerprint === digest) return false;
  const { unhex } = sql.dialect;
  const differs = fingerprint !== null;
  // Another scan may have recorded it anew since the batch was read.
  const kept = await sql.query(
    `UPDATE entries SET fingerprint = ${unhex("$5")}${differs ? `, changed_scan = ${scan}` : ""}
     WHERE directory_id = $1 AND name = $2 AND size = $3 AND mtime = $4 AND coalesce(changed_scan, 0) = $6
     RETURNING 1 AS kept`,
    [directory_id, name, size, mtime, digest, changed_scan ?? 0],
  );
  if (kept.length === 0) return false;
  if (differs) {
    if (changed_scan === null) {
      await sql.query(
        `INSERT INTO changes (scan_id, path, kind, new_size, new_mtime, new_fingerprint)
         VALUES ($1, $2, 'added', $3, $4, ${unhex("$5")})`,
        [first_scan, path, size, mtime, fingerprint],
      );
    }
    await sql.query(
      `INSERT INTO changes (scan_id, path, kind, old_size, new_size, old_mtime, new_mtime, old_fingerprint,
         new_fingerprint) VALUES ($1, $2, 'modified', $3, $3, $4, $4, ${unhex("$5")}, ${unhex("$6")})`,
      [scan, path, size, mtime, fingerprint, digest],
    );
    await sql.query(
      "UPDATE scan_runs SET modified = modified + 1, bytes_modified = bytes_modified + $2 WHERE id = $1",
      [scan, size],
    );
  } else if (changed_scan !== null) {
    await sql.query(
      `UPDATE changes SET new_fingerprint = ${unhex("$3")}
       WHERE scan_id = $1 AND ${
        isSamePath(sql.dialect, "path", "$2")
      } AND new_fingerprint IS NULL AND kind <> 'removed'`,
      [changed_scan, path, digest],
    );
  }
  return differs;
}

/**
 * Makes one move of a removal and an addition of a scan that have a content which no others of it have. Earlier scans
 * are looked at, too, when whoever took their fingerprints was broken off before that.
 *
 * @returns How many there are of the last scan.
 */
async function pairMoves(sql: Sql, { host, root, scan }: TakeFingerprintsOptions): Promise<number> {
  const { dialect: { hex, unhex } } = sql;
  const scans = "host = $1 AND root = $2 AND id <= $3 AND state = 'done' AND moves_paired = 0";
  const open = `SELECT id FROM scan_runs WHERE ${scans}`;
  const pairs = await sql.query(
    `SELECT r.scan_id AS scan, r.path AS old_path, a.path AS path, ${
      hex("a.fingerprint")
    } AS fingerprint, a.size AS size,
       a.mtime AS mtime, a.directory_id AS directory_id, a.name AS name
     FROM (SELECT scan_id, old_fingerprint AS fingerprint, min(path) AS path FROM changes
       WHERE scan_id IN (${open}) AND kind = 'removed' AND old_size > 0 AND old_fingerprint IS NOT NULL
       GROUP BY scan_id, old_fingerprint HAVING count(*) = 1) r
     JOIN (SELECT e.first_scan AS scan_id, e.fingerprint AS fingerprint, min(d.path || '/' || e.name) AS path, min(e.size) AS size,
         min(e.mtime) AS mtime, min(e.directory_id) AS directory_id, min(e.name) AS name
       FROM entries e JOIN directories d ON d.id = e.directory_id
       WHERE d.changed_scan >= (SELECT min(id) FROM scan_runs WHERE ${scans}) AND e.first_scan IN (${open})
         AND e.changed_scan IS NULL AND e.size > 0 AND e.fingerprint IS NOT NULL
       GROUP BY e.first_scan, e.fingerprint HAVING count(*) = 1) a
     ON a.scan_id = r.scan_id AND a.fingerprint = r.fingerprint`,
    [host, root, scan],
  );
  for (const { scan, old_path, path, fingerprint, size, mtime, directory_id, name } of pairs) {
    await sql.query(
      `UPDATE changes SET kind = 'moved', old_path = path, path = $3, new_size = $4, new_mtime = $5,
         new_fingerprint = ${unhex("$6")}
       WHERE scan_id = $1 AND ${isSamePath(sql.dialect, "path", "$2")} AND kind = 'removed'`,
      [scan, old_path, path, size, mtime, fingerprint],
    );
    await sql.query("UPDATE entries SET changed_scan = $1 WHERE directory_id = $2 AND name = $3", [
      scan,
      directory_id,
      name,
    ]);
    await sql.query(
      `UPDATE scan_runs SET added = added - 1, removed = removed - 1, moved = moved + 1,
         bytes_added = bytes_added - $2, bytes_removed = bytes_removed - $2 WHERE id = $1`,
      [scan, size],
    );
  }
  await sql.query(`UPDATE scan_runs SET moves_paired = 1 WHERE ${scans}`, [host, root, scan]);
  return pairs.filter((pair) => pair.scan === scan).length;
}
