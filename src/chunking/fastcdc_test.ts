import { assert, assertEquals, assertGreater, assertLess, assertLessOrEqual } from "@std/assert";
import fc from "fast-check";
import { randomBytes } from "../../tests/support/bytes.ts";
import { sha256 } from "../hashing/sha256.ts";
import { fastcdcCuts } from "./fastcdc.ts";
import { type ChunkSizes, chunkSizesFor } from "./sizes.ts";

const MIB = 1 << 20;
const SIZES = chunkSizesFor(0);
const TINY: ChunkSizes = { min: 64, average: 256, max: 1024 };

/** Where the chunks of `data` end. */
function endsOf(data: Uint8Array, sizes = SIZES): number[] {
  let end = 0;
  return fastcdcCuts(data, sizes, false).map((length) => end += length);
}

Deno.test("fastcdcCuts() cuts where it always did", () => {
  const data = randomBytes(1, 8 * MIB);
  assertEquals<string>(
    sha256(data),
    "d519b4340398ee22030a17012b0b1f1dfc4eab5f6909ddfc9e50b8e3abceecf8",
    "the data is not what was cut then",
  );
  const lengths = fastcdcCuts(data, SIZES, false);
  assertEquals(lengths.slice(0, 8), [17380, 19438, 19548, 19703, 11219, 21493, 17734, 16765]);
  assertEquals<string>(
    sha256(new TextEncoder().encode(lengths.join())),
    "aa1d5a7a7f92e5c64cb180c9f52fb78be4c270861c5882f1e9dd3c729a2ed111",
  );
  const coarse = fastcdcCuts(data, { min: 64 << 10, average: 256 << 10, max: MIB }, false);
  assertEquals(coarse, [
    382826,
    123235,
    314026,
    433628,
    107906,
    375083,
    406142,
    268861,
    285699,
    182550,
    404879,
    337029,
    104965,
    289198,
    281399,
    307841,
    346345,
    334721,
    309904,
    283029,
    189792,
    159553,
    387447,
    304645,
    207208,
    294151,
    278935,
    262929,
    323277,
    101405,
  ]);
});

Deno.test("fastcdcCuts() gives no chunk of nothing and one of at most the minimum", () => {
  assertEquals(fastcdcCuts(new Uint8Array(0), SIZES, false), []);
  assertEquals(fastcdcCuts(randomBytes(1, 1), SIZES, false), [1]);
  assertEquals(fastcdcCuts(randomBytes(1, SIZES.min), SIZES, false), [SIZES.min]);
});

Deno.test("fastcdcCuts() cuts equal bytes at the maximum", () => {
  assertEquals(fastcdcCuts(new Uint8Array(2 * SIZES.max + 5), SIZES, false), [SIZES.max, SIZES.max, 5]);
});

Deno.test("fastcdcCuts() keeps to its bounds, and near the average", () => {
  for (const size of [0, 2 ** 31, 2 ** 33]) {
    const sizes = chunkSizesFor(size);
    const lengths = fastcdcCuts(randomBytes(1, 32 * MIB), sizes, false);
    const last = lengths.pop()!;
    for (const length of lengths) {
      assertGreater(length, sizes.min);
      assertLessOrEqual(length, sizes.max);
    }
    assertLessOrEqual(last, sizes.max);
    const average = (32 * MIB - last) / lengths.length;
    assertLess(Math.abs(average - sizes.average), 0.2 * sizes.average, `average ${average}`);
  }
});

Deno.test("fastcdcCuts() cuts the same again soon after an insertion at the front", () => {
  const data = randomBytes(1, 10 * MIB);
  const inserted = new Uint8Array(data.length + 3);
  inserted.set([1, 2, 3]);
  inserted.set(data, 3);
  const before = endsOf(data).map((end) => end + 3);
  const after = endsOf(inserted);
  const same = after.findIndex((end) => before.includes(end));
  assertLess(same, 8);
  assertEquals(after.slice(same), before.slice(before.indexOf(after[same])));
});

Deno.test("fastcdcCuts() with coarse sizes cuts about half the time where fine sizes do", () => {
  const data = randomBytes(1, 32 * MIB);
  const fine = new Set(endsOf(data));
  for (const average of [32 << 10, 64 << 10]) {
    const coarse = endsOf(data, { min: average / 4, average, max: average * 4 });
    const shared = coarse.filter((end) => fine.has(end)).length;
    // By chance it would be one in 16,384.
    assertGreater(shared / coarse.length, 0.4);
  }
});

Deno.test("fastcdcCuts() with more to follow gives a beginning of what the whole gives", () => {
  const data = randomBytes(1, 16 << 10);
  const whole = fastcdcCuts(data, TINY, false);
  fc.assert(fc.property(fc.nat(data.length), (length) => {
    const lengths = fastcdcCuts(data.subarray(0, length), TINY, true);
    assertEquals(lengths, whole.slice(0, lengths.length));
    const rest = length - lengths.reduce((sum, n) => sum + n, 0);
    assert(rest >= 0 && rest < TINY.max);
  }));
});
