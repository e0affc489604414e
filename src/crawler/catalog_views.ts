/** What pages show of a catalog: what was scanned, and what takes the space where. @module */
import { KIND } from "./listing.ts";
import { type ListedFile, placeOf } from "./report_data.ts";
import { isSamePath, type Sql } from "./sql.ts";

/** A tree that was scanned. */
export interface ScannedRoot {
  host: string;
  /** Absolute, without a slash at the end. */
  path: string;
  /** The last scan of it, and when it began, milliseconds since the epoch. */
  scan: number;
  time: number;
}

/** A directory, with all that is below it. */
export interface DirectorySum {
  /** Its name, or its path from where it was asked for. */
  name: string;
  /** Absolute; empty for the top of the system. */
  path: string;
  files: number;
  bytes: number;
  directories: number;
  /** The machine, where directories of several are told. */
  host?: string;
}

/** Where to look. */
export interface CatalogPlace {
  host?: string;
  /** Absolute path of a directory, without a slash at the end; empty for the top of the system. */
  under: string;
  /** Whether that is most of the catalog. @default {false} */
  isMost?: boolean;
}

/** What takes the space in a directory. */
export interface SpaceView {
  /** All that is in it. */
  total: { files: number; bytes: number; directories: number };
  /** Its files themselves. */
  own: { files: number; bytes: number };
  /** The directories in it, the biggest first. */
  children: DirectorySum[];
  /** How many more there are. */
  more: number;
}

/** The trees that were scanned, by machine and path. */
export async function scannedRoots(sql: Sql): Promise<ScannedRoot[]> {
  const time = sql.dialect.milliseconds("s.started_at");
  const rows = await sql.query(
    `SELECT h.name AS host, r.path AS path, r.last_scan AS scan, ${time} AS time
     FROM roots r JOIN hosts h ON h.id = r.host_id JOIN scan_runs s ON s.id = r.last_scan ORDER BY h.name, r.path`,
  );
  return rows as unknown as ScannedRoot[];
}

/**
 * What takes the space in a directory.
 *
 * @param most Most directories that are told.
 */
export async function spaceIn(
  sql: Sql,
  { host, under, isMost = false }: CatalogPlace,
  most: number,
): Promise<SpaceView> {
  const { where, parameters } = placeOf(sql, host, under, isMost);
  const place = `$${parameters.push(under)}`;
  const name = sql.dialect.firstName(`substr(d.path, length(CAST(${place} AS TEXT)) + 2)`);
  const rows = await sql.query(
    `SELECT ${name} AS name, sum(d.files) AS files, sum(d.bytes) AS bytes, count(*) AS directories
     FROM directories d WHERE ${where} GROUP BY 1 ORDER BY 3 DESC, 1`,
    parameters,
  );
  const sums = rows.map((row) => ({ ...row, path: `${under}/${row.name}` }) as unknown as DirectorySum);
  const sum = (key: "files" | "bytes" | "directories") => sums.reduce((sum, one) => sum + one[key], 0);
  // Only the directory itself has no name there.
  const own = sums.find(({ name }) => name === "");
  const children = sums.filter((sum) => sum !== own);
  return {
    total: { files: sum("files"), bytes: sum("bytes"), directories: sum("directories") },
    own: { files: own?.files ?? 0, bytes: own?.bytes ?? 0 },
    children: children.slice(0, most),
    more: Math.max(0, children.length - most),
  };
}

/** The directories below one that hold the most themselves. */
export async function fullestBelow(
  sql: Sql,
  { host, under, isMost = false }: CatalogPlace,
  most: number,
): Promise<DirectorySum[]> {
  const { where, parameters } = placeOf(sql, host, under, isMost);
  const rows = await sql.query(
    `SELECT d.path AS path, d.files AS files, d.bytes AS bytes FROM directories d
     WHERE ${where} AND d.bytes > 0 ORDER BY d.bytes DESC, d.path LIMIT ${most}`,
    parameters,
  );
  return rows.map((row) => ({ ...row, name: row.path, directories: 1 }) as unknown as DirectorySum);
}

/** The biggest files directly in a directory. */
export async function biggestIn(
  sql: Sql,
  { host, under }: CatalogPlace,
  most: number,
): Promise<ListedFile[]> {
  const parameters = [under, ...host === undefined ? [] : [host]];
  const rows = await sql.query(
    `SELECT d.path || '/' || e.name AS path, e.size AS size, e.mtime AS mtime
     FROM directories d JOIN entries e ON e.directory_id = d.id
     WHERE d.host_id IN (SELECT id FROM hosts${host === undefined ? "" : " WHERE name = $2"})
       AND ${isSamePath(sql.dialect, "d.path", "$1")} AND e.kind = ${KIND.file}
     ORDER BY e.size DESC, e.name LIMIT ${most}`,
    parameters,
  );
  return rows.map(({ path, size, mtime }) => ({
    path: path as string,
    size: size as number,
    mtime: Math.floor((mtime as number) / 1000),
  }));
}

/** The number of the last scan: what a catalog says changes only with it. */
export async function lastScan(sql: Sql): Promise<number> {
  const [{ last }] = await sql.query(
    "SELECT coalesce(max(id), 0) AS last FROM scan_runs WHERE state = 'done'",
  );
  return last as number;
}
