/**
 * Searching a long history in pages, newest first. A page looks at a bounded number of rows, so that however rare
 * what is asked for is, nobody who writes waits for it: a page may be empty, and say from where to go on.
 *
 * @module
 */
import { rangeBelow, ROOT, type TreePath } from "../core/path.ts";
import { type HistoryColumns, type HistoryRow, toHistoryRow, type TreeIndex } from "./tree_index.ts";

/** What is asked for. */
export interface HistorySearch {
  /** Only this path and what is below it. @default {ROOT} */
  under?: TreePath;
  /** Only paths that hold this text, whatever the case of ASCII letters. */
  text?: string;
  /** Only what happened in these ways. @default {all} */
  what?: readonly string[];
  /** From and before these times, milliseconds since the epoch. */
  since?: number;
  until?: number;
  /** Only records before this sequence: to go on after a page. */
  before?: number;
  /** Most records. @default {100} */
  limit?: number;
}

/** A page. */
export interface HistoryPage {
  rows: HistoryRow[];
  /** Where the next page begins; `undefined` when this was the last. */
  before?: number;
  /** How many rows were looked at. */
  looked: number;
}

/** Rows that one page looks at, at most. */
export const MOST_LOOKED_AT = 100_000;

/** Rows looked at in one go. */
const WINDOW = 20_000;

const COLUMNS = "sequence, time, what, path, from_path, size, digest";

/** A page of what `search` asks for. */
export function searchHistory(index: TreeIndex, search: HistorySearch): HistoryPage {
  const { limit = 100, since, until } = search;
  const { where, values } = conditionsOf(search);
  const floor = since === undefined ? 0 : firstAt(index, since);
  let end = Math.min(
    search.before ?? Number.MAX_SAFE_INTEGER,
    until === undefined ? Number.MAX_SAFE_INTEGER : firstAt(index, until),
  );
  const rows: HistoryRow[] = [];
  // Without conditions every row is a hit.
  const window = where === "" ? limit : WINDOW;
  const low = index.sql(
    "SELECT sequence FROM history WHERE sequence < ? ORDER BY sequence DESC LIMIT 1 OFFSET ?",
  );
  const page = index.sql(`
    SELECT ${COLUMNS} FROM history NOT INDEXED WHERE sequence < ? AND sequence >= ? ${where}
    ORDER BY sequence DESC LIMIT ?`);
  for (let looked = 0; looked < MOST_LOOKED_AT;) {
    const lowest = low.get(end, window - 1) as { sequence: number } | undefined;
    const start = Math.max(floor, lowest?.sequence ?? 0);
    const found = page.all(end, start, ...values, limit - rows.length) as unknown as HistoryColumns[];
    rows.push(...found.map(toHistoryRow));
    looked += window;
    const isLast = lowest === undefined || start <= floor;
    end = start;
    if (rows.length === limit) {
      const { sequence } = rows.at(-1)!;
      return { rows, looked, ...(isLast && sequence <= start ? {} : { before: sequence }) };
    }
    if (isLast) return { rows, looked };
  }
  return { rows, before: end, looked: MOST_LOOKED_AT };
}

/** All that happened to one path itself, newest first; by index, however long the history is. */
export function historyOf(index: TreeIndex, path: TreePath, limit: number): HistoryRow[] {
  const rows = index.sql(`SELECT ${COLUMNS} FROM history WHERE path = ? ORDER BY sequence DESC LIMIT ?`)
    .all(path, limit);
  return (rows as unknown as HistoryColumns[]).map(toHistoryRow);
}

function conditionsOf(
  { under = ROOT, text = "", what = [] }: HistorySearch,
): { where: string; values: string[] } {
  const conditions: string[] = [];
  const values: string[] = [];
  if (under !== ROOT) {
    const { low, high } = rangeBelow(under);
    conditions.push(
      "(path = ? OR from_path = ? OR (path >= ? AND path < ?) OR (from_path >= ? AND from_path < ?))",
    );
    values.push(under, under, low, high, low, high);
  }
  if (text !== "") {
    conditions.push("(path LIKE ? ESCAPE '\\' OR from_path LIKE ? ESCAPE '\\')");
    const pattern = `%${text.replace(/[\\%_]/g, "\\$&")}%`;
    values.push(pattern, pattern);
  }
  if (what.length > 0) {
    conditions.push("what IN (SELECT value FROM json_each(?))");
    values.push(JSON.stringify(what));
  }
  return { where: conditions.map((condition) => `AND ${condition}`).join(" "), values };
}

/** The first sequence that is not before `time`. Times rise with sequences, but for clocks that were set back. */
function firstAt(index: TreeIndex, time: number): number {
  const next = index.sql("SELECT sequence, time FROM history WHERE sequence >= ? ORDER BY sequence LIMIT 1");
  let [low, high] = [0, index.sequence + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const row = next.get(middle) as { sequence: number; time: number } | undefined;
    if (row === undefined || row.time >= time) high = middle;
    else low = row.sequence + 1;
  }
  return low;
}
