/**
 * Content-defined cuts in AssemblyScript with 128-bit SIMD; `../vgear.ts` says what is computed.
 */
import { digestRows, ROOT } from "../../hashing/assembly/blake3";

/** A digest and a length, as in a packed manifest. */
const ROW_BYTES: usize = 36;
const DIGEST_BYTES: usize = 32;

/** Bytes that one step looks at. */
const STEP: usize = 16;

const K1: u64 = 0x9e3779b97f4a7c15;
const K2: u64 = 0xd6e8feb86659fd93;

/** Sixteen bytes, each replaced by its gear. All indices are below 16, where every processor gives the same. */
@inline function gears(bytes: v128): v128 {
  const low = i8x16(92, 54, 8, 7, 97, 96, 101, 123, 66, 10, 63, 47, 127, 45, 70, 52);
  const high = i8x16(-1, -86, -23, -46, -90, -39, -66, -71, -8, -16, -104, -63, -113, -88, -117, -81);
  return v128.xor(
    i8x16.swizzle(low, v128.and(bytes, i8x16.splat(15))),
    i8x16.swizzle(high, i8x16.shr_u(bytes, 4)),
  );
}

/** Mixes the 32 bytes that end with the one at `last`. */
@inline function mix(last: usize): u32 {
  let hash = (load<u64>(last - 31) ^ K1) * K2;
  hash = ((hash ^ (hash >> 32)) + load<u64>(last - 23)) * K1;
  hash = ((hash ^ (hash >> 32)) + load<u64>(last - 15)) * K2;
  hash = ((hash ^ (hash >> 32)) + load<u64>(last - 7)) * K1;
  return <u32>(hash >> 32);
}

/** Where the chunk ends that begins at `start` of content that ends at `contentEnd`. */
function firstCut(
  start: usize,
  contentEnd: usize,
  least: usize,
  average: usize,
  most: usize,
  hard: u32,
  easy: u32,
): usize {
  const first = start + least, normal = start + average;
  if (contentEnd <= first) return contentEnd;
  const end = min(start + most, contentEnd);
  let best = end;
  let bestHash = u32.MAX_VALUE;
  // Gear sums of the last 1, 2 and 4 bytes. Those of the step before the first are not whole, but no cut comes of it.
  let one = i8x16.splat(0), two = one, four = one;
  for (let at = first - STEP; at < end; at += STEP) {
    const one0 = one, two0 = two, four0 = four;
    one = gears(v128.load(at));
    let before = i8x16.shuffle(one0, one, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
    two = i8x16.add(one, i8x16.shl(before, 1));
    before = i8x16.shuffle(two0, two, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29);
    four = i8x16.add(two, i8x16.shl(before, 2));
    before = i8x16.shuffle(four0, four, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27);
    const eight = i8x16.add(four, i8x16.shl(before, 4));
    const candidates = i8x16.eq(eight, i8x16.splat(0));
    if (!v128.any_true(candidates)) continue;
    for (let bits = i8x16.bitmask(candidates); bits != 0; bits &= bits - 1) {
      const last = at + ctz(bits);
      if (last < first) continue;
      if (last >= end) break;
      const hash = mix(last);
      if (hash < (last < normal ? hard : easy)) return last + 1;
      if (last >= normal && hash < bestHash) {
        best = last + 1;
        bestHash = hash;
      }
    }
  }
  return end == start + most ? best : end;
}

/** One candidate in `2 ** 32 / threshold` becomes a cut, which makes one place in `places`. */
@inline function threshold(places: u64): u32 {
  return <u32>min<u64>((<u64>1 << 40) / places, u32.MAX_VALUE);
}

/**
 * Cuts the bytes from `start` to `end` into chunks and writes a row for each into `rows`: its
 * digest, then its length. `start` is a cut.
 *
 * @param keep Bytes to leave uncut: only as long as at least so many are left is another chunk cut.
 * @param scratch For `digestRows`.
 * @returns The number of rows.
 */
export function chunks(
  start: usize,
  end: usize,
  keep: usize,
  least: usize,
  average: usize,
  most: usize,
  rows: usize,
  scratch: usize,
): usize {
  const hard = threshold(average << 2), easy = threshold(average >> 2);
  let count: usize = 0;
  for (let at = start; end - at >= keep; count++) {
    const cut = firstCut(at, end, least, average, most, hard, easy);
    store<u32>(rows + count * ROW_BYTES, <u32>(cut - at), DIGEST_BYTES);
    at = cut;
  }
  digestRows(start, rows, count, 0, ROOT, scratch);
  return count;
}
