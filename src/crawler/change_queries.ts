/** Asking a catalog what changed. @module */
import type { Digest } from "../core/digest.ts";
import { KIND } from "./listing.ts";
import { isBelow, isSamePath, type Row, type Sql, type Value } from "./sql.ts";

/** What happened to a file. */
export type ChangeKind = "added" | "modified" | "removed" | "moved";

/** All kinds. */
export const CHANGE_KINDS: readonly ChangeKind[] = ["added", "modified", "removed", "moved"];

/** Which changes are asked for. */
export interface ChangeQuery {
  /** When the scans that found them began: from, and before; milliseconds since the epoch. */
  since?: number;
  until?: number;
  /** Only of this scan. */
  scan?: number;
  host?: string;
  /** Absolute path of a directory, or of a file: where it is, or was before it was moved. */
  under?: string;
  /** @default {all} */
  kinds?: readonly ChangeKind[];
}

/** One change. */
export interface ChangeRecord {
  scan: number;
  /** When the scan that found it began, milliseconds since the epoch. */
  time: number;
  kind: ChangeKind;
  path: string;
  /** Where a moved file was. */
  from?: string;
  oldSize?: number;
  newSize?: number;
  /** Microseconds since the epoch. */
  oldMtime?: number;
  newMtime?: number;
  oldFingerprint?: Digest;
  newFingerprint?: Digest;
}

/** SQL that gives rows of changes, and the parameters for it. */
export interface ChangeSource {
  text: string;
  parameters: Value[];
}

/** How {@linkcode changeSource} gives what it gives. */
export interface ChangeSourceOptions {
  /**
   * Whether a move is two rows: `moved` for where the file is, without its old size, and `left` for where it was,
   * without its new one. So each of two directories has its part of it. @default {false}
   */
  halves?: boolean;
}

/**
 * The rows that `query` asks for, as a table with the columns of `changes`, and `time` and `root` of their scans.
 * Unlike the view `file_changes` it looks only into directories where something changed since.
 */
export async function changeSource(
  sql: Sql,
  query: ChangeQuery,
  { halves = false }: ChangeSourceOptions = {},
): Promise<ChangeSource> {
  const { dialect } = sql;
  const { since, until, scan, host, under, kinds = CHANGE_KINDS } = query;
  const parameters: Value[] = [];
  const parameter = (value: Value) => `$${parameters.push(value)}`;
  const time = dialect.milliseconds("r.started_at");
  const runs = [
    since !== undefined && `r.started_at >= ${dialect.time(parameter(since))}`,
    until !== undefined && `r.started_at < ${dialect.time(parameter(until))}`,
    scan !== undefined && `r.id = ${parameter(scan)}`,
    host !== undefined && `r.host = ${parameter(host)}`,
    "r.state = 'done'",
  ].filter((condition) => condition !== false).join(" AND ");
  const [{ first }] = await sql.query(
    `SELECT coalesce(min(r.id), 0) AS first FROM scan_runs r WHERE ${runs}`,
    parameters,
  );
  const within = (path: string, given: string | undefined, not = "") =>
    given === undefined
      ? ""
      : `AND ${not} ((${isSamePath(dialect, path, given)}) OR (${isBelow(dialect, path, given)}))`;
  const place = under === undefined ? undefined : parameter(under);
  const some = kinds.map((kind) => `'${kind}'`).join(", ");
  const pristine = (where: string) =>
    `SELECT e.first_scan, d.path || '/' || e.name, NULL, 'added', NULL, e.size, NULL, e.mtime, NULL, e.fingerprint,
       ${time}, r.root
     FROM directories d JOIN entries e ON e.directory_id = d.id JOIN scan_runs r ON r.id = e.first_scan
     WHERE d.changed_scan >= ${first} AND e.changed_scan IS NULL AND e.kind <> ${KIND.directory} AND ${runs} ${where}`;
  const recorded = (columns: string, where: string) =>
    `SELECT ${columns}, ${time} AS time, r.root AS root FROM changes c JOIN scan_runs r ON r.id = c.scan_id
     WHERE c.scan_id >= ${first} AND c.kind IN (${some}) AND ${runs} ${where}`;
  const rest = "c.new_size, c.old_mtime, c.new_mtime, c.old_fingerprint, c.new_fingerprint";
  const oldSize = halves ? "CASE WHEN c.kind <> 'moved' THEN c.old_size END AS old_size" : "c.old_size";
  const whole = `c.scan_id, c.path, c.old_path, c.kind, ${oldSize}, ${rest}`;
  const parts = [recorded(whole, within("c.path", place))];
  if (halves) {
    const left = "c.scan_id, c.old_path, NULL, 'left', c.old_size, NULL, NULL, NULL, NULL, NULL";
    parts.push(recorded(left, `AND c.kind = 'moved' ${within("c.old_path", place)}`));
  } else if (place !== undefined) {
    const from = `${within("c.old_path", place)} ${within("c.path", place, "NOT")}`;
    parts.push(recorded(whole, `AND c.kind = 'moved' ${from}`));
  }
  if (kinds.includes("added")) {
    parts.push(pristine(within("d.path", place)));
    if (under !== undefined) {
      // A file that is asked for by its path. PostgreSQL takes no parameter that is not used.
      const slash = under.lastIndexOf("/");
      const above = parameter(under.slice(0, Math.max(0, slash)));
      const name = parameter(under.slice(slash + 1));
      parts.push(pristine(`AND (${isSamePath(dialect, "d.path", above)}) AND e.name = ${name}`));
    }
  }
  return { text: `(${parts.join(" UNION ALL ")})`, parameters };
}

/** The changes that `query` asks for, oldest scan first and then by path, a few at a time. */
export async function* changes(sql: Sql, query: ChangeQuery): AsyncGenerator<ChangeRecord[]> {
  const { text, parameters } = await changeSource(sql, query);
  const { hex } = sql.dialect;
  const all = sql.rows(
    `SELECT scan_id, time, kind, path, old_path, old_size, new_size, old_mtime, new_mtime,
       ${hex("old_fingerprint")} AS old_fingerprint, ${hex("new_fingerprint")} AS new_fingerprint
     FROM ${text} c ORDER BY scan_id, path`,
    parameters,
  );
  for await (const rows of all) yield rows.map(toRecord);
}

/** Some of the changes that `query` asks for, in no order: the first that are met. */
export async function someChanges(sql: Sql, query: ChangeQuery, limit: number): Promise<ChangeRecord[]> {
  const { text, parameters } = await changeSource(sql, query);
  const rows = await sql.query(
    `SELECT scan_id, time, kind, path, old_path, old_size, new_size FROM ${text} c LIMIT ${limit}`,
    parameters,
  );
  return rows.map(toRecord);
}

function toRecord(row: Row): ChangeRecord {
  const optional = (name: string, column: string) =>
    row[column] == null || row[column] === "" ? {} : { [name]: row[column] };
  return {
    scan: row.scan_id as number,
    time: row.time as number,
    kind: row.kind as ChangeKind,
    path: row.path as string,
    ...optional("from", "old_path"),
    ...optional("oldSize", "old_size"),
    ...optional("newSize", "new_size"),
    ...optional("oldMtime", "old_mtime"),
    ...optional("newMtime", "new_mtime"),
    ...optional("oldFingerprint", "old_fingerprint"),
    ...optional("newFingerprint", "new_fingerprint"),
  };
}
