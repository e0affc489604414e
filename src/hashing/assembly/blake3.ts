/**
 * BLAKE3 in AssemblyScript, with 128-bit SIMD: eight pieces of input side by side.
 *
 * Source: J. O'Connor, J.-P. Aumasson, S. Neves, Z. Wilcox-O'Hearn, "BLAKE3: one function, fast
 * everywhere", 2021. Hash mode only: no keys, 32 bytes of output.
 *
 * A *job* is what is compressed one 64-byte block after the other: a leaf (up to 1 KiB of input) or
 * a parent (two chaining values). Jobs of one level do not depend on each other, so they are put
 * into lanes as they come, those of many messages together, and eight run at once. A group of four
 * lanes is what a vector holds; the two groups keep the processor busy while each waits for its own
 * results. The state lies in memory and not in variables: the sixteen vectors of two groups would not
 * fit into registers, and a processor forwards what it has just stored.
 */

const LANES: usize = 8;
const GROUPS: usize = 2;

const ALL_DONE: usize = usize.MAX_VALUE;

const LEAF_BYTES: usize = 1024;
const BLOCK_BYTES: usize = 64;
const DIGEST_BYTES: usize = 32;
/** A digest and a length, as in a packed manifest. */
const ROW_BYTES: usize = DIGEST_BYTES + 4;

const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const PARENT: u32 = 4;
export const ROOT: u32 = 8;

const IV: usize = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);

/** For each of the seven rounds the order of message words, as offsets of their vectors. */
const SCHEDULE: usize = memory.data<u8>([
  0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0, 0xb0, 0xc0, 0xd0, 0xe0, 0xf0,
  0x20, 0x60, 0x30, 0xa0, 0x70, 0x00, 0x40, 0xd0, 0x10, 0xb0, 0xc0, 0x50, 0x90, 0xe0, 0xf0, 0x80,
  0x30, 0x40, 0xa0, 0xc0, 0xd0, 0x20, 0x70, 0xe0, 0x60, 0x50, 0x90, 0x00, 0xb0, 0xf0, 0x80, 0x10,
  0xa0, 0x70, 0xc0, 0x90, 0xe0, 0x30, 0xd0, 0xf0, 0x40, 0x00, 0xb0, 0x20, 0x50, 0x80, 0x10, 0x60,
  0xc0, 0xd0, 0x90, 0xb0, 0xf0, 0xa0, 0xe0, 0x80, 0x70, 0x20, 0x50, 0x30, 0x00, 0x10, 0x60, 0x40,
  0x90, 0xe0, 0xb0, 0x50, 0x80, 0xc0, 0xf0, 0x10, 0xd0, 0x30, 0x00, 0xa0, 0x20, 0x60, 0x40, 0x70,
  0xb0, 0xf0, 0x50, 0x00, 0x10, 0x90, 0x80, 0x60, 0xe0, 0xa0, 0x20, 0xc0, 0x30, 0x40, 0x70, 0xd0,
]);
const ROUNDS: usize = 7;

/** A word of four lanes is a vector; sixteen of them are what a group works on. */
const GROUP_BYTES: usize = 256;
const STATE: usize = memory.data(512, 16);
const MESSAGE: usize = memory.data(512, 16);
/** What the lower half of a group's state is at the start of a block: constants, counter, length, flags. */
const LOWER: usize = memory.data(512, 16);
const LOWER_ROWS: usize = 8 << 4;
const COUNTER_LOW: usize = 12 << 4;
const COUNTER_HIGH: usize = 13 << 4;
const LENGTH: usize = 14 << 4;
const FLAGS: usize = 15 << 4;

/** The last block of each lane, filled up with zeros. */
const PADDED: usize = memory.data(512, 16);

/** What each lane is doing. */
@unmanaged
class Job {
  /** Where its input is. */
  at: usize;
  length: usize;
  /** Flags of the first and of the last block. */
  first: u32;
  last: u32;
  /** Where the chaining value goes; 0 when it is there. */
  out: usize;
}
const JOB_BYTES: usize = 20;
const JOBS: usize = memory.data(160, 16);
/** Lanes that have a job. */
let taken: usize = 0;

@inline function job(lane: usize): Job {
  return changetype<Job>(JOBS + lane * JOB_BYTES);
}

/** The place of a lane in the vectors of its group. */
@inline function place(lane: usize): usize {
  return (lane >> 2) * GROUP_BYTES + ((lane & 3) << 2);
}

@inline function rotate16(x: v128): v128 {
  return i8x16.shuffle(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

@inline function rotate12(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 12), i32x4.shl(x, 20));
}

@inline function rotate8(x: v128): v128 {
  return i8x16.shuffle(x, x, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
}

@inline function rotate7(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 7), i32x4.shl(x, 25));
}

/** The quarter-round of `group`, on rows a to d, with the message words at `order` and after it. */
@inline function mix(group: usize, a: usize, b: usize, c: usize, d: usize, order: usize): void {
  const state = STATE + group, message = MESSAGE + group;
  let va = v128.load(state + (a << 4)), vb = v128.load(state + (b << 4));
  let vc = v128.load(state + (c << 4)), vd = v128.load(state + (d << 4));
  va = i32x4.add(i32x4.add(va, vb), v128.load(message + load<u8>(order)));
  vd = rotate16(v128.xor(vd, va));
  vc = i32x4.add(vc, vd);
  vb = rotate12(v128.xor(vb, vc));
  va = i32x4.add(i32x4.add(va, vb), v128.load(message + load<u8>(order, 1)));
  vd = rotate8(v128.xor(vd, va));
  vc = i32x4.add(vc, vd);
  vb = rotate7(v128.xor(vb, vc));
  v128.store(state + (a << 4), va);
  v128.store(state + (b << 4), vb);
  v128.store(state + (c << 4), vc);
  v128.store(state + (d << 4), vd);
}

@inline function mixColumns(group: usize, order: usize): void {
  mix(group, 0, 4, 8, 12, order);
  mix(group, 1, 5, 9, 13, order + 2);
  mix(group, 2, 6, 10, 14, order + 4);
  mix(group, 3, 7, 11, 15, order + 6);
}

@inline function mixDiagonals(group: usize, order: usize): void {
  mix(group, 0, 5, 10, 15, order + 8);
  mix(group, 1, 6, 11, 12, order + 10);
  mix(group, 2, 7, 8, 13, order + 12);
  mix(group, 3, 4, 9, 14, order + 14);
}

/** Turns four words of four lanes, from `word` of their blocks at `offset`, into one vector for each word. */
@inline function transpose(lane: usize, offset: usize, word: usize): void {
  const from = offset + (word << 2);
  const a = v128.load(job(lane).at + from), b = v128.load(job(lane + 1).at + from);
  const c = v128.load(job(lane + 2).at + from), d = v128.load(job(lane + 3).at + from);
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5), cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const AB = i32x4.shuffle(a, b, 2, 6, 3, 7), CD = i32x4.shuffle(c, d, 2, 6, 3, 7);
  const to = MESSAGE + (lane >> 2) * GROUP_BYTES + (word << 4);
  v128.store(to, i64x2.shuffle(ab, cd, 0, 2));
  v128.store(to, i64x2.shuffle(ab, cd, 1, 3), 16);
  v128.store(to, i64x2.shuffle(AB, CD, 0, 2), 32);
  v128.store(to, i64x2.shuffle(AB, CD, 1, 3), 48);
}

/** Compresses the block at `offset` of every lane into the lane's chaining value, the upper half of the state. */
function compress(offset: usize): void {
  for (let lane: usize = 0; lane < LANES; lane += 4) {
    for (let word: usize = 0; word < 16; word += 4) transpose(lane, offset, word);
  }
  for (let group: usize = 0; group < GROUPS * GROUP_BYTES; group += GROUP_BYTES) {
    for (let row = LOWER_ROWS; row < GROUP_BYTES; row += 16) {
      v128.store(STATE + group + row, v128.load(LOWER + group + row));
    }
  }
  for (let order = SCHEDULE; order < SCHEDULE + ROUNDS * 16; order += 16) {
    mixColumns(0, order);
    mixColumns(GROUP_BYTES, order);
    mixDiagonals(0, order);
    mixDiagonals(GROUP_BYTES, order);
  }
  for (let group: usize = 0; group < GROUPS * GROUP_BYTES; group += GROUP_BYTES) {
    for (let row: usize = 0; row < LOWER_ROWS; row += 16) {
      const at = STATE + group + row;
      v128.store(at, v128.xor(v128.load(at), v128.load(at, LOWER_ROWS)));
    }
  }
}

/** Does the jobs that are in the lanes. */
function run(): void {
  for (let group: usize = 0; group < GROUPS * GROUP_BYTES; group += GROUP_BYTES) {
    for (let word: usize = 0; word < 8; word++) {
      const iv = v128.load32_splat(IV + (word << 2));
      v128.store(STATE + group + (word << 4), iv);
      if (word < 4) v128.store(LOWER + group + LOWER_ROWS + (word << 4), iv);
    }
  }
  // Lanes without a job compress what happens to be there, for nobody.
  for (let lane = taken; lane < LANES; lane++) job(lane).at = PADDED;
  let offset: usize = 0;
  for (let pause = review(offset); pause != ALL_DONE;) {
    compress(offset);
    offset += BLOCK_BYTES;
    // After the first block its flags must go; then there is nothing to do until some lane's last block.
    if (offset == BLOCK_BYTES || offset >= pause) pause = review(offset);
  }
  taken = 0;
}

/** Sees to it that lanes compress their blocks at `offset`; gives the next offset that needs that, or `ALL_DONE`. */
function review(offset: usize): usize {
  let pause = ALL_DONE;
  for (let lane: usize = 0; lane < taken; lane++) {
    const it = job(lane);
    if (it.out == 0) continue;
    const lastBlock = (max(it.length, 1) - 1) & ~(BLOCK_BYTES - 1);
    if (offset > lastBlock) {
      for (let word: usize = 0; word < 8; word++) {
        store<u32>(it.out + (word << 2), load<u32>(STATE + place(lane) + (word << 4)));
      }
      it.out = 0;
      continue;
    }
    let flags: u32 = offset == 0 ? it.first : 0;
    let length = BLOCK_BYTES;
    if (offset == lastBlock) {
      flags |= it.last;
      length = it.length - offset;
      if (length < BLOCK_BYTES) pad(lane, offset, length);
    }
    store<u32>(LOWER + place(lane), <u32>length, LENGTH);
    store<u32>(LOWER + place(lane), flags, FLAGS);
    pause = min(pause, max(lastBlock, offset + BLOCK_BYTES));
  }
  return pause;
}

/** Lets a lane read its last block, of `length` bytes, from where it is filled up with zeros. */
function pad(lane: usize, offset: usize, length: usize): void {
  const it = job(lane), padded = PADDED + lane * BLOCK_BYTES;
  memory.fill(padded, 0, BLOCK_BYTES);
  memory.copy(padded, it.at + offset, length);
  it.at = padded - offset;
}

/** Gives a lane a job; runs all when none is left. */
function add(at: usize, length: usize, counter: u64, first: u32, last: u32, out: usize): void {
  const it = job(taken);
  it.at = at;
  it.length = length;
  it.first = first;
  it.last = last;
  it.out = out;
  store<u32>(LOWER + place(taken), <u32>counter, COUNTER_LOW);
  store<u32>(LOWER + place(taken), <u32>(counter >> 32), COUNTER_HIGH);
  if (++taken == LANES) run();
}

@inline function leavesOf(length: usize): usize {
  return length == 0 ? 1 : (length + LEAF_BYTES - 1) / LEAF_BYTES;
}

/**
 * Hashes messages that lie one after the other from `at`. Their lengths are in `rows`, where their
 * digests go.
 *
 * @param counter Leaves before the first message, when it is a part of a bigger one.
 * @param root `ROOT`, or 0 for the chaining values of parts.
 * @param scratch 64 bytes for each leaf.
 */
export function digestRows(
  at: usize, rows: usize, count: usize, counter: u64, root: u32, scratch: usize,
): void {
  const end = rows + count * ROW_BYTES;
  let from = scratch;
  let most: usize = 1;
  for (let row = rows; row < end; row += ROW_BYTES) {
    const length = <usize>load<u32>(row, DIGEST_BYTES);
    const leaves = leavesOf(length);
    if (leaves == 1) add(at, length, counter, CHUNK_START, CHUNK_END | root, row);
    else {
      for (let leaf: usize = 0; leaf < leaves; leaf++) {
        const offset = leaf * LEAF_BYTES;
        const part = min(LEAF_BYTES, length - offset);
        add(at + offset, part, counter + leaf, CHUNK_START, CHUNK_END, from + leaf * DIGEST_BYTES);
      }
    }
    at += length;
    from += leaves * DIGEST_BYTES;
    if (leaves > most) most = leaves;
  }
  run();
  // Level by level, all messages at once, to and fro between two halves of the scratch.
  let to = from;
  from = scratch;
  for (let level: usize = 0; ((most - 1) >> level) > 0; level++) {
    let offset: usize = 0;
    for (let row = rows; row < end; row += ROW_BYTES) {
      const leaves = leavesOf(load<u32>(row, DIGEST_BYTES));
      joinPairs(((leaves - 1) >> level) + 1, from + offset, to + offset, root, row);
      offset += leaves * DIGEST_BYTES;
    }
    run();
    const other = from;
    from = to;
    to = other;
  }
}

/** Joins the `count` chaining values at `from`, by pairs, into those at `to`; the last two into the digest. */
@inline function joinPairs(count: usize, from: usize, to: usize, root: u32, digest: usize): void {
  if (count == 2) add(from, BLOCK_BYTES, 0, PARENT, root, digest);
  if (count <= 2) return;
  const pairs = count >> 1;
  for (let pair: usize = 0; pair < pairs; pair++) {
    add(from + pair * BLOCK_BYTES, BLOCK_BYTES, 0, PARENT, 0, to + pair * DIGEST_BYTES);
  }
  if (count & 1) memory.copy(to + pairs * DIGEST_BYTES, from + pairs * BLOCK_BYTES, DIGEST_BYTES);
}

/** Joins two chaining values, which lie one after the other, into the digest or chaining value at `out`. */
export function joinPair(pair: usize, root: u32, out: usize): void {
  add(pair, BLOCK_BYTES, 0, PARENT, root, out);
  run();
}
