/**
 * How a listing differs from what the catalog knows of the directory. Only differences are staged: where one of a
 * hundred files changes, a quarter of the directories do, but hardly any of what is in them.
 *
 * @module
 */
import { eachRow, goneRow, KIND, readFields } from "./listing.ts";
import { NameTable } from "./name_table.ts";

const SLASH = 47;
const MINUS = 45;
const ZERO = 48;

const encoder = new TextEncoder();
const table = new NameTable();

/** SQL for one text of all that is known about the entries with `directory_id` = `directory`; NULL for none. */
export function knownEntries(directory: string): string {
  return `(SELECT string_agg(concat_ws('/', e.name, e.kind, e.size, e.mtime, e.inode), '//')
    FROM entries e WHERE e.directory_id = ${directory})`;
}

/**
 * The rows of entries that are new or not as they are known, and a row of kind `gone` for each that is not there any
 * more. What could not be looked at counts as unchanged.
 *
 * Works on bytes and in memory that is used again: of a directory of a million files nothing is made but what differs.
 *
 * @param known As {@linkcode knownEntries} gives it.
 */
export function changedRows(rows: Uint8Array<ArrayBuffer>, known: string | null): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  const entry = { kind: 0, size: 0, mtime: 0, inode: 0 };
  table.fill(rows);
  const old = new KnownText(known ?? "");
  while (old.next()) {
    const place = table.take(old.bytes, old.nameStart, old.nameEnd);
    if (place === undefined) {
      parts.push(goneRow(old.bytes.subarray(old.nameStart, old.nameEnd)));
      continue;
    }
    readFields(view, place.nameEnd, entry);
    const isSame = entry.kind === old.kind && entry.size === old.size && entry.mtime === old.mtime &&
      entry.inode === old.inode;
    if (!isSame && entry.kind !== KIND.unknown) parts.push(rows.subarray(place.start, place.end));
  }
  for (const { start, nameEnd, end } of table.rest()) {
    readFields(view, nameEnd, entry);
    if (entry.kind !== KIND.unknown) parts.push(rows.subarray(start, end));
  }
  return concat(parts);
}

/** Holds the text that is read. */
let buffer = new Uint8Array(1 << 16);

/** What {@linkcode knownEntries} gives, entry by entry. One at a time. */
class KnownText {
  readonly bytes: Uint8Array<ArrayBuffer>;
  nameStart = 0;
  nameEnd = 0;
  kind = 0;
  size = 0;
  mtime = 0;
  inode = 0;
  #at = 0;

  constructor(text: string) {
    if (buffer.length < text.length * 3) buffer = new Uint8Array(text.length * 3);
    this.bytes = buffer.subarray(0, encoder.encodeInto(text, buffer).written);
  }

  /** Goes to the next entry; gives false when there is none. */
  next(): boolean {
    if (this.#at >= this.bytes.length) return false;
    this.nameStart = this.#at;
    // No name holds a slash.
    this.nameEnd = this.#at = this.bytes.indexOf(SLASH, this.#at);
    this.kind = this.#number();
    this.size = this.#number();
    this.mtime = this.#number();
    this.inode = this.#number();
    // Two slashes stand between entries.
    this.#at += 2;
    return true;
  }

  /** The number after the slash here; goes to what follows it. */
  #number(): number {
    const bytes = this.bytes;
    let at = this.#at + 1;
    const isNegative = bytes[at] === MINUS;
    if (isNegative) at++;
    let number = 0;
    for (; at < bytes.length && bytes[at] !== SLASH; at++) number = 10 * number + (bytes[at] - ZERO);
    this.#at = at;
    return isNegative ? -number : number;
  }
}

/** The rows of entries that could be looked at. */
export function certainRows(rows: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  const entry = { kind: 0, size: 0, mtime: 0, inode: 0 };
  eachRow(rows, (start, _, nameEnd, end) => {
    readFields(view, nameEnd, entry);
    if (entry.kind !== KIND.unknown) parts.push(rows.subarray(start, end));
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
