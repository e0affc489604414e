/** What a report says: how a catalog grew, and what is in it. @module */
import { dayOf } from "../core/duration.ts";
import { type ChangeQuery, changeSource } from "./change_queries.ts";
import { KIND } from "./listing.ts";
import { isBelow, isSamePath, type Row, type Sql, type Value } from "./sql.ts";

/** How long a period of a report is. */
export type PeriodLength = "day" | "week";

/** What is asked for. */
export interface ReportQuery {
  period: PeriodLength;
  /** Milliseconds since the epoch. */
  since: number;
  until: number;
  host?: string;
  /** Absolute path of a directory. */
  under?: string;
  /** Rows of each list of the biggest. */
  top: number;
}

/** Counts of changes and their sizes. */
export interface Counts {
  added: number;
  modified: number;
  removed: number;
  moved: number;
  bytesAdded: number;
  bytesModified: number;
  bytesRemoved: number;
  /** By how many bytes it grew. */
  growth: number;
}

/** What happened in a day or a week. */
export interface Period extends Counts {
  /** Its first day, `2026-01-31`. */
  start: string;
  scans: number;
}

/** Where it happened, or to what. */
export interface Share extends Counts {
  /** A directory, or an extension; empty for files without one. */
  name: string;
}

/** A file in a list. */
export interface ListedFile {
  path: string;
  size: number;
  /** Milliseconds since the epoch. */
  mtime: number;
}

/** Files of the same content. */
export interface DuplicateGroup {
  fingerprint: string;
  size: number;
  count: number;
  /** Bytes that all but one of them take. */
  wasted: number;
  /** One of them. */
  path: string;
}

/** A report. */
export interface CatalogReport {
  since: number;
  until: number;
  period: PeriodLength;
  under?: string;
  /** What is in the catalog now. */
  total: { files: number; directories: number; bytes: number };
  periods: Period[];
  /** By top directory, biggest change first. */
  directories: Share[];
  extensions: Share[];
  largest: ListedFile[];
  oldest: ListedFile[];
  duplicates: { groups: number; wasted: number; biggest: DuplicateGroup[] };
}

const DAY = 86_400_000;
/** The epoch was a Thursday; weeks begin on Monday. */
const MONDAY = 4 * DAY;

/** The first day of the period that holds `time`, in UTC. */
export function periodStart(time: number, length: PeriodLength): string {
  const start = length === "day"
    ? Math.floor(time / DAY) * DAY
    : Math.floor((time - MONDAY) / (7 * DAY)) * 7 * DAY + MONDAY;
  return dayOf(start);
}

/** Makes a report. */
export async function makeReport(sql: Sql, query: ReportQuery): Promise<CatalogReport> {
  const { period, since, until, host, under, top } = query;
  const asked: ChangeQuery = { since, until, host, under };
  return {
    since,
    until,
    period,
    ...(under === undefined ? {} : { under }),
    total: await totalOf(sql, host, under),
    periods: await periodsOf(sql, query, asked),
    ...await sharesOf(sql, asked, top),
    ...await extremesOf(sql, host, under, top),
    duplicates: await duplicatesOf(sql, host, under, top),
  };
}

const NONE: Counts = {
  added: 0,
  modified: 0,
  removed: 0,
  moved: 0,
  bytesAdded: 0,
  bytesModified: 0,
  bytesRemoved: 0,
  growth: 0,
};

/** Columns of counts, of rows of changes. */
const COUNTS = [
  ...["added", "modified", "removed", "moved"].map((kind) =>
    `count(*) FILTER (WHERE kind = '${kind}') AS ${kind}`
  ),
  "coalesce(sum(new_size) FILTER (WHERE kind = 'added'), 0) AS bytes_added",
  "coalesce(sum(new_size) FILTER (WHERE kind = 'modified'), 0) AS bytes_modified",
  "coalesce(sum(old_size) FILTER (WHERE kind = 'removed'), 0) AS bytes_removed",
  "sum(coalesce(new_size, 0) - coalesce(old_size, 0)) AS growth",
].join(", ");

function countsOf(row: Row): Counts {
  const { added, modified, removed, moved, bytes_added, bytes_modified, bytes_removed, growth } =
    row as Record<
      string,
      number
    >;
  return {
    ...{ added, modified, removed, moved },
    bytesAdded: bytes_added,
    bytesModified: bytes_modified,
    bytesRemoved: bytes_removed,
    growth,
  };
}

/**
 * A condition on directories `d`, and its parameters.
 *
 * @param isMost Whether most of the catalog is meant. @default {when no directory is named}
 */
export function placeOf(
  sql: Sql,
  host: string | undefined,
  under: string | undefined,
  isMost = under === undefined,
): { where: string; parameters: Value[] } {
  const parameters: Value[] = [];
  const conditions = ["1 = 1"];
  const column = (name: string) => isMost ? sql.dialect.unindexed(name) : name;
  const hostId = column("d.host_id");
  if (host !== undefined) {
    conditions.push(`${hostId} = (SELECT id FROM hosts WHERE name = $${parameters.push(host)})`);
  }
  if (under !== undefined) {
    const place = `$${parameters.push(under)}`;
    const path = column("d.path");
    conditions.push(
      `((${isSamePath(sql.dialect, path, place)}) OR (${isBelow(sql.dialect, path, place)}))`,
    );
    // So that the index on host and path serves.
    if (host === undefined) conditions.push(`${hostId} IN (SELECT id FROM hosts)`);
  }
  return { where: conditions.join(" AND "), parameters };
}

/** What is in the catalog now, of a machine and below a directory. */
export async function totalOf(
  sql: Sql,
  host: string | undefined,
  under: string | undefined,
): Promise<CatalogReport["total"]> {
  const { where, parameters } = placeOf(sql, host, under);
  const [row] = await sql.query(
    `SELECT coalesce(sum(files), 0) AS files, count(*) AS directories, coalesce(sum(bytes), 0) AS bytes
     FROM directories d WHERE ${where} AND (print IS NOT NULL OR files > 0)`,
    parameters,
  );
  return { files: row.files as number, directories: row.directories as number, bytes: row.bytes as number };
}

/**
 * What happened day by day, or week by week.
 *
 * @param root A tree that is only ever scanned by itself: then the totals of its scans say it, and no change has to be
 * looked at.
 */
export async function periodsOf(
  sql: Sql,
  { period, under }: Pick<ReportQuery, "period" | "under">,
  asked: ChangeQuery,
  root?: string,
): Promise<Period[]> {
  const periods = new Map<string, Period>();
  const rows = under === undefined || root !== undefined
    ? await runsOf(sql, asked, root)
    : await changesByScan(sql, asked);
  for (const row of rows) {
    const start = periodStart(row.time as number, period);
    const before = periods.get(start) ?? { start, scans: 0, ...NONE };
    const sum: Period = { ...before, scans: before.scans + 1 };
    for (const [name, value] of Object.entries(countsOf(row))) sum[name as keyof Counts] += value;
    periods.set(start, sum);
  }
  return [...periods.values()];
}

/** The totals that each scan left. */
async function runsOf(sql: Sql, { since, until, host }: ChangeQuery, root?: string): Promise<Row[]> {
  const { time, milliseconds } = sql.dialect;
  const parameters: Value[] = [since!, until!];
  const conditions = [
    host !== undefined && `AND host = $${parameters.push(host)}`,
    root !== undefined && `AND root = $${parameters.push(root)}`,
  ].filter((condition) => condition !== false).join(" ");
  return await sql.query(
    `SELECT ${
      milliseconds("started_at")
    } AS time, added, modified, removed, moved, bytes_added, bytes_modified,
       bytes_removed, growth
     FROM scan_runs WHERE state = 'done' AND started_at >= ${time("$1")} AND started_at < ${time("$2")}
       ${conditions} ORDER BY started_at`,
    parameters,
  );
}

async function changesByScan(sql: Sql, asked: ChangeQuery): Promise<Row[]> {
  const { text, parameters } = await changeSource(sql, asked, { halves: true });
  return await sql.query(
    `SELECT time, ${COUNTS} FROM ${text} c GROUP BY scan_id, time ORDER BY time`,
    parameters,
  );
}

async function sharesOf(
  sql: Sql,
  asked: ChangeQuery,
  top: number,
): Promise<Pick<CatalogReport, "directories" | "extensions">> {
  const { dialect } = sql;
  const { text, parameters } = await changeSource(sql, asked, { halves: true });
  const base = asked.under === undefined ? "root" : `$${parameters.push(asked.under)}`;
  const rest = `substr(path, length(${base}) + 2)`;
  // A file directly in the root is counted for the root.
  const directory = `CASE WHEN ${rest} LIKE '%/%' THEN ${base} || '/' || ${
    dialect.firstName(rest)
  } ELSE ${base} END`;
  const extension = `coalesce(${dialect.extension("name")}, '')`;
  const biggest = "ORDER BY abs(growth) DESC, name LIMIT";
  const directories = await sql.query(
    `SELECT * FROM (SELECT ${directory} AS name, ${COUNTS} FROM ${text} c GROUP BY 1) t ${biggest} ${top}`,
    parameters,
  );
  const own = asked.under === undefined ? parameters : parameters.slice(0, -1);
  const extensions = await sql.query(
    `SELECT * FROM (SELECT ${extension} AS name, ${COUNTS}
       FROM (SELECT ${dialect.lastName("path")} AS name, kind, old_size, new_size FROM ${text} c) f
       GROUP BY 1) t ${biggest} ${top}`,
    own,
  );
  const share = (row: Row): Share => ({ name: row.name as string, ...countsOf(row) });
  return {
    directories: directories.map((row) => ({ ...share(row), name: row.name as string || "/" })),
    extensions: extensions.map(share),
  };
}

async function extremesOf(
  sql: Sql,
  host: string | undefined,
  under: string | undefined,
  top: number,
): Promise<Pick<CatalogReport, "largest" | "oldest">> {
  const { where, parameters } = placeOf(sql, host, under);
  const list = async (order: string): Promise<ListedFile[]> => {
    const rows = await sql.query(
      `SELECT d.path || '/' || e.name AS path, e.size AS size, e.mtime AS mtime
       FROM directories d JOIN entries e ON e.directory_id = d.id
       WHERE ${where} AND e.kind = ${KIND.file} ORDER BY ${order} LIMIT ${top}`,
      parameters,
    );
    return rows.map(({ path, size, mtime }) => ({
      path: path as string,
      size: size as number,
      mtime: Math.floor((mtime as number) / 1000),
    }));
  };
  return { largest: await list("e.size DESC"), oldest: await list("e.mtime") };
}

async function duplicatesOf(
  sql: Sql,
  host: string | undefined,
  under: string | undefined,
  top: number,
): Promise<CatalogReport["duplicates"]> {
  const { where, parameters } = placeOf(sql, host, under);
  const groups = `SELECT e.fingerprint AS fingerprint, e.size AS size, count(*) AS count,
      e.size * (count(*) - 1) AS wasted, min(d.path || '/' || e.name) AS path
    FROM directories d JOIN entries e ON e.directory_id = d.id
    WHERE ${where} AND e.fingerprint IS NOT NULL AND e.size > 0
    GROUP BY e.fingerprint, e.size HAVING count(*) > 1`;
  const [sum] = await sql.query(
    `SELECT count(*) AS groups, coalesce(sum(wasted), 0) AS wasted FROM (${groups}) g`,
    parameters,
  );
  const biggest = await sql.query(
    `SELECT ${sql.dialect.hex("fingerprint")} AS fingerprint, size, count, wasted, path FROM (${groups}) g
     ORDER BY wasted DESC, path LIMIT ${top}`,
    parameters,
  );
  return {
    groups: sum.groups as number,
    wasted: sum.wasted as number,
    biggest: biggest.map((row) => ({ ...row }) as unknown as DuplicateGroup),
  };
}
