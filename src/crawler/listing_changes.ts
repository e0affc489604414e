/**
 * How a listing differs from what the catalog knows of the directory. Only differences are staged: where one of a
 * hundred files changes, a quarter of the directories do, but hardly any of what is in them.
 *
 * @module
 */
import { goneRow, KIND, visitRows } from "./listing.ts";

/** SQL for one text of all that is known about the entries with `directory_id` = `directory`; NULL for none. */
export function knownEntries(directory: string): string {
  return `(SELECT string_agg(concat_ws('/', e.name, e.kind, e.size, e.mtime, e.inode), '//')
    FROM entries e WHERE e.directory_id = ${directory})`;
}

/**
 * The rows of entries that are new or not as they are known, and a row of kind `gone` for each that is not there any
 * more. What could not be looked at counts as unchanged.
 *
 * @param known As {@linkcode knownEntries} gives it.
 */
export function changedRows(rows: Uint8Array<ArrayBuffer>, known: string | null): Uint8Array<ArrayBuffer> {
  // No name holds a slash.
  const old = new Set(known?.split("//"));
  const seen = new Set<string>();
  const parts: Uint8Array[] = [];
  visitRows(rows, ({ name, kind, size, mtime, inode }, start, end) => {
    if (old.delete(`${name}/${kind}/${size}/${mtime}/${inode}`)) return;
    seen.add(name);
    if (kind !== KIND.unknown) parts.push(rows.subarray(start, end));
  });
  for (const line of old) {
    const name = line.slice(0, line.indexOf("/"));
    if (!seen.has(name)) parts.push(goneRow(name));
  }
  return concat(parts);
}

/** The rows of entries that could be looked at. */
export function certainRows(rows: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  visitRows(rows, ({ kind }, start, end) => {
    if (kind !== KIND.unknown) parts.push(rows.subarray(start, end));
  });
  return concat(parts);
}

/** Puts pieces together. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
