/** Finds blocks of an old content, known by their signature, in a new one. @module */
import type { ByteRange } from "./byte_range.ts";
import type { DeltaBuilder } from "./delta.ts";
import {
  blockCount,
  leavingFactor,
  roll,
  signatureBytes,
  strongBytesFor,
  WEAK_BYTES,
  weakChecksum,
} from "./signature.ts";
import { ByteReader } from "./varint.ts";
import { xxh32 } from "./xxh32.ts";

/** Ranges of an old content, with their signature. */
export interface SignedRange extends ByteRange {
  signature: Uint8Array;
}

/** No such block. */
const NONE = -1;
/** Places that a search looks at before it gives up: crafted content could make it look at all. */
const MOST_PROBES = 16;
/** Bits of the filter for each block: so that 63 of 64 positions that match nothing end there. */
const FILTER_BITS = 64;
/** 2^32 divided by the golden ratio: spreads what differs in any bits over the highest (D. Knuth, TAOCP 3, 6.4). */
const SPREAD = 0x9e3779b1 | 0;

/**
 * Takes the signature that answers for several ranges apart.
 *
 * @throws {FilesyncError} `bad-request` when it is not as long as the signatures of these ranges.
 */
export function signedRanges(
  ranges: readonly ByteRange[],
  signature: Uint8Array,
  blockSize: number,
): SignedRange[] {
  const reader = new ByteReader(signature, "a signature");
  const signed = ranges.map(({ start, end }): SignedRange => ({
    start,
    end,
    signature: reader.read(signatureBytes(end - start, blockSize)),
  }));
  if (reader.left > 0) throw reader.fault("it is longer than was asked for");
  return signed;
}

/** The blocks of some ranges of an old content, to be looked up by what they hold. */
export class BlockTable {
  readonly blockSize: number;
  readonly #leavingFactor: number;
  /** By block: the checksums, where it starts in the old content, and how long it is. */
  readonly #weak: Int32Array;
  readonly #strong: Int32Array;
  readonly #masks: Int32Array;
  readonly #starts: Float64Array;
  readonly #lengths: Int32Array;
  /** Open addressing: the block in each slot, or {@linkcode NONE}. Only whole blocks. */
  readonly #slots: Int32Array;
  readonly #slotShift: number;
  readonly #filter: Int32Array;
  readonly #filterShift: number;
  /** The shorter blocks that ranges may end with. */
  readonly #tails: number[] = [];

  constructor(ranges: readonly SignedRange[], blockSize: number) {
    this.blockSize = blockSize;
    this.#leavingFactor = leavingFactor(blockSize);
    const count = ranges.reduce((sum, { start, end }) => sum + blockCount(end - start, blockSize), 0);
    this.#weak = new Int32Array(count);
    this.#strong = new Int32Array(count);
    this.#masks = new Int32Array(count);
    this.#starts = new Float64Array(count);
    this.#lengths = new Int32Array(count);
    const slotBits = bitsFor(2 * count);
    const filterBits = Math.max(bitsFor(FILTER_BITS * count), 5);
    this.#slots = new Int32Array(2 ** slotBits).fill(NONE);
    this.#slotShift = 32 - slotBits;
    this.#filter = new Int32Array(2 ** filterBits / 32);
    this.#filterShift = 32 - filterBits;
    let block = 0;
    for (const range of ranges) block = this.#add(range, block);
  }

  /** Where a block starts in the old content. */
  startOf(block: number): number {
    return this.#starts[block];
  }

  /**
   * The first whole block in `data`, from `at` on.
   *
   * @param preferred The block to take, when several are alike.
   */
  find(data: Uint8Array, at: number, preferred: number): { block: number; at: number } | undefined {
    const last = data.length - this.blockSize;
    if (at > last || this.#weak.length === 0) return undefined;
    const position = { at, weak: weakChecksum(data, at, at + this.blockSize) };
    while (seek(data, position, this.blockSize, this.#leavingFactor, this.#filter, this.#filterShift)) {
      const block = this.#lookUp(position.weak, data, position.at, preferred);
      if (block !== NONE) return { block, at: position.at };
      if (position.at === last) return undefined;
      step(data, position, this.blockSize, this.#leavingFactor);
    }
    return undefined;
  }

  /** The block that is like the bytes of `data` from `at`, whose rolling checksum is `weak`. */
  #lookUp(weak: number, data: Uint8Array, at: number, preferred: number): number {
    const end = at + this.blockSize;
    let strong: number | undefined;
    if (this.#weak[preferred] === weak && this.#lengths[preferred] === this.blockSize) {
      strong = xxh32(data, at, end);
      if (this.#isStrong(preferred, strong)) return preferred;
    }
    const last = this.#slots.length - 1;
    let slot = Math.imul(weak, SPREAD) >>> this.#slotShift;
    for (let probes = 0; probes < MOST_PROBES; probes++, slot = (slot + 1) & last) {
      const block = this.#slots[slot];
      if (block === NONE) return NONE;
      if (this.#weak[block] !== weak) continue;
      strong ??= xxh32(data, at, end);
      if (this.#isStrong(block, strong)) return block;
    }
    return NONE;
  }

  /** The longest of the short blocks that `data` ends with, not before `from`. */
  findTail(data: Uint8Array, from: number): { block: number; length: number } | undefined {
    let found: { block: number; length: number } | undefined;
    for (const block of this.#tails) {
      const length = this.#lengths[block];
      const start = data.length - length;
      if (start < from || (found !== undefined && found.length >= length)) continue;
      if (this.#weak[block] !== weakChecksum(data, start, data.length)) continue;
      if (this.#isStrong(block, xxh32(data, start, data.length))) found = { block, length };
    }
    return found;
  }

  #isStrong(block: number, strong: number): boolean {
    return ((strong ^ this.#strong[block]) & this.#masks[block]) === 0;
  }

  #add({ start, end, signature }: SignedRange, first: number): number {
    const { blockSize } = this;
    const strongBytes = strongBytesFor(end - start, blockSize);
    const mask = strongBytes === 4 ? -1 : (1 << (8 * strongBytes)) - 1;
    const view = new DataView(signature.buffer, signature.byteOffset, signature.byteLength);
    let block = first;
    for (let at = 0; start < end; start += blockSize, block++) {
      this.#weak[block] = view.getInt32(at, true);
      at += WEAK_BYTES;
      for (let i = 0; i < strongBytes; i++) this.#strong[block] |= signature[at++] << (8 * i);
      this.#masks[block] = mask;
      this.#starts[block] = start;
      this.#lengths[block] = Math.min(blockSize, end - start);
      if (this.#lengths[block] === blockSize) this.#insert(block);
      else this.#tails.push(block);
    }
    return block;
  }

  #insert(block: number): void {
    const weak = this.#weak[block];
    const bit = Math.imul(weak, SPREAD) >>> this.#filterShift;
    this.#filter[bit >>> 5] |= 1 << (bit & 31);
    const last = this.#slots.length - 1;
    let slot = Math.imul(weak, SPREAD) >>> this.#slotShift;
    for (let probes = 0; probes < MOST_PROBES; probes++, slot = (slot + 1) & last) {
      const other = this.#slots[slot];
      if (other === NONE) {
        this.#slots[slot] = block;
        return;
      }
      // The first of blocks that are alike will do for all.
      if (this.#weak[other] === weak && this.#isStrong(other, this.#strong[block])) return;
    }
  }
}

/**
 * Adds `data`, the next part of the new content, to `delta`: as copies of the blocks of `table` that are
 * found in it at any offset, and as literal bytes between them. Greedy: the first match is taken, of
 * several the one that goes on from the last.
 *
 * @param more Whether more will come, so that a block may begin at the end of `data`. @default {false}
 * @returns Bytes added. Less than all when there is more: what then comes must begin with the rest.
 */
export function matchBlocks(table: BlockTable, data: Uint8Array, delta: DeltaBuilder, more = false): number {
  let literal = 0;
  let next = 0;
  const copy = (at: number, block: number, length: number) => {
    delta.literal(data.subarray(literal, at));
    delta.copy(table.startOf(block), length);
    literal = at + length;
    next = block + 1;
  };
  for (let found = table.find(data, 0, next); found !== undefined; found = table.find(data, literal, next)) {
    copy(found.at, found.block, table.blockSize);
  }
  const end = more ? Math.max(literal, data.length - table.blockSize + 1) : data.length;
  const tail = more ? undefined : table.findTail(data, literal);
  if (tail !== undefined) copy(data.length - tail.length, tail.block, tail.length);
  delta.literal(data.subarray(literal, end));
  return end;
}

/** A place in the new content, and the rolling checksum of the block there. */
interface Position {
  at: number;
  weak: number;
}

/**
 * Moves `position` on to where the filter lets it pass; `false` when that is nowhere. A function of its own,
 * with all it needs in arguments: so the loop in which the time is spent runs three times as fast.
 */
function seek(
  data: Uint8Array,
  position: Position,
  blockSize: number,
  factor: number,
  filter: Int32Array,
  filterShift: number,
): boolean {
  const last = data.length - blockSize;
  let { at, weak } = position;
  for (;;) {
    const bit = Math.imul(weak, SPREAD) >>> filterShift;
    if ((filter[bit >>> 5] & (1 << (bit & 31))) !== 0) break;
    if (at >= last) return false;
    weak = roll(weak, data[at], data[at + blockSize], factor);
    at++;
  }
  position.at = at;
  position.weak = weak;
  return true;
}

/** Moves `position` on by a byte. */
function step(data: Uint8Array, position: Position, blockSize: number, factor: number): void {
  const { at } = position;
  position.weak = roll(position.weak, data[at], data[at + blockSize], factor);
  position.at = at + 1;
}

function bitsFor(count: number): number {
  return Math.max(1, Math.ceil(Math.log2(Math.max(count, 1))));
}
