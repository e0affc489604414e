/** The rows of a listing by the bytes of their names, in memory that is used again. @module */
import { eachRow } from "./listing.ts";

/** Where a row begins, its name ends, and it ends itself, among the rows of its listing. */
export interface RowPlace {
  start: number;
  nameEnd: number;
  end: number;
}

/** Finds rows, each once. */
export class NameTable {
  #rows = new Uint8Array();
  #count = 0;
  /** Four numbers for each row: where it begins, its name begins and ends, and it ends itself. */
  #places = new Int32Array(4 << 10);
  #taken = new Uint8Array(1 << 10);
  /** A hash table of row numbers, from 1; so many slots of it are used, a power of two. */
  #slots = new Int32Array(2 << 10);
  #size = 0;

  /** Takes the rows of a listing in place of those before. */
  fill(rows: Uint8Array<ArrayBuffer>): void {
    this.#rows = rows;
    this.#count = 0;
    eachRow(rows, (start, name, nameEnd, end) => {
      if (this.#count === this.#taken.length) this.#grow();
      const at = 4 * this.#count;
      this.#places[at] = start;
      this.#places[at + 1] = name;
      this.#places[at + 2] = nameEnd;
      this.#places[at + 3] = end;
      this.#taken[this.#count++] = 0;
    });
    this.#size = 2;
    while (this.#size < 2 * this.#count) this.#size *= 2;
    this.#slots.fill(0, 0, this.#size);
    for (let row = 0; row < this.#count; row++) {
      this.#slots[this.#slotOf(rows, this.#places[4 * row + 1], this.#places[4 * row + 2])] = row + 1;
    }
  }

  /** The place of the row whose name is `bytes` from `start` to `end`; `undefined` when there is none. */
  take(bytes: Uint8Array, start: number, end: number): RowPlace | undefined {
    const row = this.#slots[this.#slotOf(bytes, start, end)] - 1;
    if (row < 0) return undefined;
    this.#taken[row] = 1;
    return this.#placeOf(row);
  }

  /** The places of the rows that were not taken. */
  *rest(): Generator<RowPlace> {
    for (let row = 0; row < this.#count; row++) if (this.#taken[row] === 0) yield this.#placeOf(row);
  }

  /** The slot with the row of a name, or the one that is free for it. */
  #slotOf(bytes: Uint8Array, start: number, end: number): number {
    // FNV-1a.
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
    for (let slot = hash;; slot++) {
      const row = this.#slots[slot &= this.#size - 1] - 1;
      if (row < 0 || this.#isNamed(row, bytes, start, end)) return slot;
    }
  }

  #isNamed(row: number, bytes: Uint8Array, start: number, end: number): boolean {
    const name = this.#places[4 * row + 1];
    if (this.#places[4 * row + 2] - name !== end - start) return false;
    for (let i = start; i < end; i++) if (this.#rows[name + i - start] !== bytes[i]) return false;
    return true;
  }

  #placeOf(row: number): RowPlace {
    const at = 4 * row;
    return { start: this.#places[at], nameEnd: this.#places[at + 2], end: this.#places[at + 3] };
  }

  /** Doubles all memory. */
  #grow(): void {
    const [places, taken] = [this.#places, this.#taken];
    this.#places = new Int32Array(2 * places.length);
    this.#places.set(places);
    this.#taken = new Uint8Array(2 * taken.length);
    this.#taken.set(taken);
    this.#slots = new Int32Array(4 * taken.length);
  }
}
