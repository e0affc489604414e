/**
 * Listings: what stands in directories, packed into bytes. Workers write them ({@linkcode ListingWriter}), the
 * catalogs take them as they are ({@linkcode readListings}); nothing is made of the millions of entries between.
 *
 * A listing is a head, the path of its directory, and its entries. Each entry is a row of PostgreSQL's binary COPY
 * format, so that loading one there is copying bytes:
 *
 *     i16 7 (columns), then for each column i32 bytes and the bytes, all big-endian:
 *     i64 id of the directory · text name · i16 kind · i64 size · i64 mtime · i64 inode · i64 first scan
 *
 * Whoever loads a listing puts in the id and the scan ({@linkcode stampRows}); until then both are 0.
 *
 * @module
 */
import type { Digest } from "../core/digest.ts";

/** What an entry is; the numbers are kept in catalogs. */
export const KIND = {
  /** Nothing stands there any more; only among what differs from the catalog. */
  gone: 0,
  file: 1,
  symlink: 2,
  /** A socket, a pipe or a device. */
  other: 3,
  directory: 4,
  /** It is there, and could not be looked at: what the catalog knows of it stays. */
  unknown: 5,
} as const;

/** One of {@linkcode KIND}. */
export type Kind = typeof KIND[keyof typeof KIND];

/** The listing of one directory. */
export interface Listing {
  /** Absolute, `/`-separated, without a slash at the end: the root of the system is the empty string. */
  path: string;
  /**
   * The first half of the BLAKE3 digest of all entries, 32 hexadecimal digits: two listings of the same print
   * hold the same. `undefined` when something in it could not be looked at, so that it is never taken for known.
   */
  print: string | undefined;
  /** How many entries are no directories. */
  files: number;
  /** Their size together. */
  bytes: number;
  /** The rows of its entries. */
  rows: Uint8Array<ArrayBuffer>;
}

/** One entry of a listing. */
export interface ListedEntry {
  name: string;
  kind: number;
  /** Bytes. */
  size: number;
  /** Modification time, microseconds since the epoch. */
  mtime: number;
  /** Inode, its lower 53 bits; 0 where the file system has none. */
  inode: number;
}

/** Bytes of the head: files, bytes, whether there is a print, lengths of path and rows. */
const HEAD_BYTES = 8 + 8 + 4 + 4 + 4;
/** Bytes of a row without its name. */
const ROW_BYTES = 2 + 12 + 4 + 6 + 12 + 12 + 12 + 12;
/** Where the length of the name stands in a row, and the name. */
const NAME_LENGTH_AT = 14;
const NAME_AT = 18;
/** Bytes of a row after its name. */
const AFTER_NAME = ROW_BYTES - NAME_AT;
const PRINT_BYTES = 32;
/** The upper word of the greatest size that is kept, 2^53 - 1 bytes. */
const MOST_SIZE_HIGH = 0x1fffff;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Packs listings one after the other. */
export class ListingWriter {
  #bytes = new Uint8Array(1 << 18);
  #view = new DataView(this.#bytes.buffer);
  /** Where the listing begun begins, and its rows; where the next byte goes. */
  #start = 0;
  #rows = 0;
  #end = 0;
  #files = 0;
  #size = 0;
  #entries = 0;
  #isCertain = true;

  /** Bytes so far. */
  get length(): number {
    return this.#end;
  }

  /** Entries so far. */
  get entries(): number {
    return this.#entries;
  }

  /** Begins the listing of a directory; one that was begun and not ended is dropped. */
  begin(path: string): void {
    this.#reserve(HEAD_BYTES + PRINT_BYTES + path.length * 3);
    this.#rows = this.#start + HEAD_BYTES + PRINT_BYTES;
    const { written } = encoder.encodeInto(path, this.#bytes.subarray(this.#rows));
    this.#view.setUint32(this.#start + 20, written, true);
    this.#end = this.#rows += written;
    this.#files = 0;
    this.#size = 0;
    this.#isCertain = true;
  }

  /**
   * Adds an entry. Words are those of 64-bit numbers.
   *
   * @param mtime Microseconds since the epoch.
   */
  add(
    name: Uint8Array,
    length: number,
    kind: Kind,
    sizeHigh: number,
    sizeLow: number,
    mtime: number,
    inodeHigh: number,
    inodeLow: number,
  ): void {
    if (this.#end + ROW_BYTES + length > this.#bytes.length) {
      this.#reserve(this.#end - this.#start + ROW_BYTES + length);
    }
    // Of sparse files; a number of JavaScript, and sums of some of them, can hold no more.
    if (sizeHigh > MOST_SIZE_HIGH) [sizeHigh, sizeLow] = [MOST_SIZE_HIGH, 0xffffffff];
    const bytes = this.#bytes;
    const view = this.#view;
    let at = this.#end;
    frameRow(view, at, length);
    at += NAME_AT;
    for (let i = 0; i < length; i++) bytes[at + i] = name[i];
    at += length;
    view.setInt16(at + 4, kind);
    view.setUint32(at + 10, sizeHigh);
    view.setUint32(at + 14, sizeLow);
    const high = Math.floor(mtime / 2 ** 32);
    view.setInt32(at + 22, high);
    view.setUint32(at + 26, mtime - high * 2 ** 32);
    // 53 bits, as a number of JavaScript holds them.
    view.setUint32(at + 34, inodeHigh & 0x1fffff);
    view.setUint32(at + 38, inodeLow);
    this.#end = at + AFTER_NAME;
    this.#entries++;
    if (kind === KIND.unknown) this.#isCertain = false;
    else if (kind !== KIND.directory) {
      this.#files++;
      this.#size += sizeHigh * 2 ** 32 + sizeLow;
    }
  }

  /** Ends the listing, and gives its print by `digest`. */
  end(digest: (data: Uint8Array) => Digest): void {
    const view = this.#view;
    const start = this.#start;
    const rows = this.#bytes.subarray(this.#rows, this.#end);
    const print = this.#isCertain ? digest(rows) : "";
    for (let i = 0; i < PRINT_BYTES; i++) {
      this.#bytes[start + HEAD_BYTES + i] = print === "" ? 0 : print.charCodeAt(i);
    }
    view.setFloat64(start, this.#files, true);
    view.setFloat64(start + 8, this.#size, true);
    view.setUint32(start + 16, print === "" ? 0 : 1, true);
    view.setUint32(start + 24, this.#end - this.#rows, true);
    this.#start = this.#end;
  }

  /** Drops the listing that was begun, so that it is as if it had never been. */
  drop(): void {
    this.#end = this.#start;
  }

  /** All listings that were ended, for good: the writer is empty then. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#start);
    this.#start = this.#end = this.#entries = 0;
    return taken;
  }

  /** Makes room for `length` bytes of the listing begun. */
  #reserve(length: number): void {
    if (this.#start + length <= this.#bytes.length) return;
    const bigger = new Uint8Array(2 * (this.#start + length));
    bigger.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = bigger;
    this.#view = new DataView(bigger.buffer);
  }
}

/** Writes all of a row that is the same in each with a name of `length` bytes. */
function frameRow(view: DataView, at: number, length: number): void {
  view.setInt16(at, 7);
  view.setInt32(at + 2, 8);
  view.setUint32(at + 6, 0);
  view.setUint32(at + 10, 0);
  view.setInt32(at + NAME_LENGTH_AT, length);
  at += NAME_AT + length;
  view.setInt32(at, 2);
  view.setInt32(at + 6, 8);
  view.setInt32(at + 18, 8);
  view.setInt32(at + 30, 8);
  view.setInt32(at + 42, 8);
  view.setUint32(at + 46, 0);
  view.setUint32(at + 50, 0);
}

/** The row of an entry that is not there any more, by the bytes of its name. */
export function goneRow(name: Uint8Array): Uint8Array<ArrayBuffer> {
  const row = new Uint8Array(ROW_BYTES + name.length);
  frameRow(new DataView(row.buffer), 0, name.length);
  row.set(name, NAME_AT);
  return row;
}

/** The listings in what {@linkcode ListingWriter.take} gave; their rows are views of it. */
export function* readListings(packed: Uint8Array<ArrayBuffer>): Generator<Listing> {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  for (let at = 0; at < packed.length;) {
    const path = at + HEAD_BYTES + PRINT_BYTES;
    const rows = path + view.getUint32(at + 20, true);
    const end = rows + view.getUint32(at + 24, true);
    yield {
      files: view.getFloat64(at, true),
      bytes: view.getFloat64(at + 8, true),
      print: view.getUint32(at + 16, true) === 0
        ? undefined
        : decoder.decode(packed.subarray(at + HEAD_BYTES, path)),
      path: decoder.decode(packed.subarray(path, rows)),
      rows: packed.subarray(rows, end),
    };
    at = end;
  }
}

/** Puts the id of the directory, and the scan that first saw the entries, into the rows of a listing. */
export function stampRows(rows: Uint8Array<ArrayBuffer>, directory: number, scan: number): void {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  const [directoryHigh, scanHigh] = [Math.floor(directory / 2 ** 32), Math.floor(scan / 2 ** 32)];
  for (let at = 0; at < rows.length;) {
    view.setUint32(at + 6, directoryHigh);
    view.setUint32(at + 10, directory >>> 0);
    at += ROW_BYTES + view.getInt32(at + NAME_LENGTH_AT);
    view.setUint32(at - 8, scanHigh);
    view.setUint32(at - 4, scan >>> 0);
  }
}

/** Calls `visit` with where each row of a listing begins, its name begins and ends, and it ends itself. */
export function eachRow(
  rows: Uint8Array<ArrayBuffer>,
  visit: (start: number, name: number, nameEnd: number, end: number) => void,
): void {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  for (let at = 0; at < rows.length;) {
    const nameEnd = at + NAME_AT + view.getInt32(at + NAME_LENGTH_AT);
    visit(at, at + NAME_AT, nameEnd, nameEnd + AFTER_NAME);
    at = nameEnd + AFTER_NAME;
  }
}

/** Reads all of an entry but its name, from a view of its listing's rows. */
export function readFields(view: DataView, nameEnd: number, entry: Omit<ListedEntry, "name">): void {
  entry.kind = view.getInt16(nameEnd + 4);
  entry.size = view.getUint32(nameEnd + 10) * 2 ** 32 + view.getUint32(nameEnd + 14);
  entry.mtime = view.getInt32(nameEnd + 22) * 2 ** 32 + view.getUint32(nameEnd + 26);
  entry.inode = view.getUint32(nameEnd + 34) * 2 ** 32 + view.getUint32(nameEnd + 38);
}

/** Calls `visit` with each entry in the rows of a listing; the object holds until it returns. */
export function visitRows(rows: Uint8Array<ArrayBuffer>, visit: (entry: ListedEntry) => void): void {
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  const entry: ListedEntry = { name: "", kind: 0, size: 0, mtime: 0, inode: 0 };
  eachRow(rows, (_, name, nameEnd) => {
    entry.name = textOf(rows, name, nameEnd);
    readFields(view, nameEnd, entry);
    visit(entry);
  });
}

/** Text of UTF-8. Names are short and mostly ASCII, for which the decoder's call is most of its cost. */
function textOf(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > 24) return decoder.decode(bytes.subarray(start, end));
  let text = "";
  for (let i = start; i < end; i++) {
    if (bytes[i] >= 0x80) return decoder.decode(bytes.subarray(start, end));
    text += String.fromCharCode(bytes[i]);
  }
  return text;
}
