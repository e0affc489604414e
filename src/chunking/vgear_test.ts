import { assertEquals, assertGreater, assertLess, assertLessOrEqual } from "@std/assert";
import fc from "fast-check";
import { insertAt, randomBytes, smallInserts } from "../../tests/support/bytes.ts";
import { unpackManifest } from "../core/chunk.ts";
import { chunkDigest } from "../hashing/chunk_digest.ts";
import { sha256 } from "../hashing/sha256.ts";
import { type ChunkSizes, chunkSizesFor } from "./sizes.ts";
import { openVgear } from "./vgear.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;
const SIZES = chunkSizesFor(0);
const SMALL: ChunkSizes = { min: KIB, average: 4 * KIB, max: 16 * KIB };

/** The lengths of the chunks of `data`. */
function cut(data: Uint8Array, sizes = SIZES): number[] {
  using kernel = openVgear(sizes);
  const lengths: number[] = [];
  // More than fits: what is left over is cut again, with what follows it.
  for (let start = 0; start < data.length;) {
    const block = data.subarray(start, start + kernel.buffer.length);
    kernel.buffer.set(block);
    const more = start + block.length < data.length;
    for (const { length } of unpackManifest(kernel.chunks(0, block.length, more))) {
      lengths.push(length);
      start += length;
    }
  }
  return lengths;
}

function endsOf(data: Uint8Array, sizes = SIZES): number[] {
  let end = 0;
  return cut(data, sizes).map((length) => end += length);
}

/** The same cuts from the words of the module comment, byte by byte. */
function cutSlowly(data: Uint8Array, { min, average, max }: ChunkSizes): number[] {
  // deno-fmt-ignore
  const low = [92, 54, 8, 7, 97, 96, 101, 123, 66, 10, 63, 47, 127, 45, 70, 52];
  // deno-fmt-ignore
  const high = [255, 170, 233, 210, 166, 217, 190, 185, 248, 240, 152, 193, 143, 168, 139, 175];
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const isCandidate = (at: number) => {
    let sum = 0;
    for (let back = 0; back < 8; back++) {
      const byte = data[at - back];
      sum += (low[byte & 15] ^ high[byte >> 4]) << back;
    }
    return sum % 256 === 0;
  };
  const [one, two] = [0x9e3779b97f4a7c15n, 0xd6e8feb86659fd93n];
  const hashAt = (at: number) => {
    const word = (back: number) => view.getBigUint64(at - back, true);
    let hash = BigInt.asUintN(64, (word(31) ^ one) * two);
    hash = BigInt.asUintN(64, ((hash ^ hash >> 32n) + word(23)) * one);
    hash = BigInt.asUintN(64, ((hash ^ hash >> 32n) + word(15)) * two);
    hash = BigInt.asUintN(64, ((hash ^ hash >> 32n) + word(7)) * one);
    return Number(hash >> 32n);
  };
  const lengths: number[] = [];
  for (let start = 0; start < data.length;) {
    const end = Math.min(start + max, data.length);
    let next = end;
    let best = 2 ** 32;
    for (let at = start + min; at < end; at++) {
      if (!isCandidate(at)) continue;
      const hash = hashAt(at);
      const isNormal = at >= start + average;
      if (hash < Math.min(2 ** 40 / (isNormal ? average / 4 : average * 4), 2 ** 32 - 1)) {
        next = at + 1;
        break;
      }
      if (isNormal && hash < best && end === start + max) [next, best] = [at + 1, hash];
    }
    lengths.push(next - start);
    start = next;
  }
  return lengths;
}

Deno.test("openVgear() cuts where it always did", () => {
  const data = randomBytes(1, 8 * MIB);
  assertEquals<string>(
    sha256(data),
    "d519b4340398ee22030a17012b0b1f1dfc4eab5f6909ddfc9e50b8e3abceecf8",
    "the data is not what was cut then",
  );
  const lengths = cut(data);
  assertEquals(lengths.slice(0, 8), [16631, 26848, 11548, 17825, 17584, 20748, 19199, 18892]);
  assertEquals<string>(
    sha256(new TextEncoder().encode(lengths.join())),
    "b6e58951bcb575c2668b199d7499548830d0c0218a9417b0fdbe78585246b2e2",
  );
  assertEquals(cut(data, chunkSizesFor(16 * 1024 * MIB)), [
    331596,
    391510,
    328867,
    298942,
    154458,
    387846,
    90796,
    494214,
    265253,
    351550,
    282220,
    267309,
    269208,
    307232,
    311727,
    361195,
    283994,
    387723,
    193891,
    374535,
    401735,
    318611,
    325469,
    278833,
    319556,
    321052,
    289286,
  ]);
});

Deno.test("openVgear() cuts as its description says, whatever the content", () => {
  const random = randomBytes(2, 60_000);
  const few = fc.uint8Array({ minLength: 1, maxLength: 40 }).chain((bytes) =>
    fc.nat(60_000).map((length) => Uint8Array.from({ length }, (_, i) => bytes[random[i] % bytes.length]))
  );
  const periodic = fc.uint8Array({ minLength: 1, maxLength: 300 }).chain((bytes) =>
    fc.nat(60_000).map((length) => Uint8Array.from({ length }, (_, i) => bytes[i % bytes.length]))
  );
  const slice = fc.tuple(fc.nat(30_000), fc.nat(60_000)).map(([a, b]) => random.slice(a, b));
  fc.assert(
    fc.property(
      fc.oneof(slice, few, periodic),
      (data) => assertEquals(cut(data, SMALL), cutSlowly(data, SMALL)),
    ),
    { numRuns: 60 },
  );
});

Deno.test("openVgear() gives every chunk its digest", () => {
  const data = randomBytes(3, MIB);
  using kernel = openVgear(SIZES);
  kernel.buffer.set(data);
  let at = 0;
  for (const { digest, length } of unpackManifest(kernel.chunks(0, data.length, false))) {
    assertEquals(digest, chunkDigest(data.subarray(at, at += length)));
  }
  assertEquals(at, data.length);
});

Deno.test("openVgear() gives no chunk of nothing and one of at most the minimum", () => {
  assertEquals(cut(new Uint8Array(0)), []);
  for (const length of [1, 63, SIZES.min]) assertEquals(cut(randomBytes(1, length)), [length]);
});

Deno.test("openVgear() cuts equal bytes at the maximum", () => {
  for (let byte = 0; byte < 256; byte++) {
    assertEquals(cut(new Uint8Array(2 * SIZES.max + 5).fill(byte)), [SIZES.max, SIZES.max, 5]);
  }
});

Deno.test("openVgear() cuts what repeats itself into few different chunks", () => {
  for (const period of [2, 8, 64, 4_000]) {
    const unit = randomBytes(period, period);
    const data = Uint8Array.from({ length: 2 * MIB }, (_, i) => unit[i % period]);
    let start = 0;
    const chunks = cut(data).map((length) => chunkDigest(data.subarray(start, start += length)));
    assertLess(new Set(chunks).size, chunks.length / 4, `period ${period}`);
  }
});

Deno.test("openVgear() keeps to its bounds, and near the average", () => {
  for (const size of [0, 2 ** 31, 2 ** 33]) {
    const sizes = chunkSizesFor(size);
    const lengths = cut(randomBytes(1, 32 * MIB), sizes);
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

Deno.test("openVgear() cuts the same again soon after an insertion", () => {
  const data = randomBytes(1, 10 * MIB);
  for (const at of [0, 5 * MIB]) {
    const inserted = insertAt(data, [{ at, bytes: Uint8Array.of(1, 2, 3) }]);
    const before = new Set(endsOf(data).map((end) => end > at ? end + 3 : end));
    const after = endsOf(inserted);
    assertLess(after.filter((end) => !before.has(end)).length, 8);
  }
});

Deno.test("openVgear() leaves most of a file known after many small edits", () => {
  const data = randomBytes(1, 16 * MIB);
  const digests = (data: Uint8Array) => {
    let start = 0;
    return cut(data).map((length) => ({
      length,
      digest: chunkDigest(data.subarray(start, start += length)),
    }));
  };
  const known = new Set(digests(data).map(({ digest }) => digest));
  const edited = digests(insertAt(data, smallInserts(2, data.length, 50)));
  const fresh = edited.filter(({ digest }) => !known.has(digest));
  const bytes = fresh.reduce((sum, { length }) => sum + length, 0);
  // The least there can be is the chunk that is edited, some 24 KiB; the next one is often another too.
  assertLess(bytes / 50, 48 * KIB);
});

Deno.test("openVgear() with coarse sizes cuts about half the time where fine sizes do", () => {
  const data = randomBytes(1, 32 * MIB);
  const fine = new Set(endsOf(data));
  for (const average of [32 * KIB, 64 * KIB]) {
    const coarse = endsOf(data, { min: average / 4, average, max: average * 4 });
    const shared = coarse.filter((end) => fine.has(end)).length;
    // By chance it would be one in 16,384.
    assertGreater(shared / coarse.length, 0.4, `${shared / coarse.length}`);
  }
});

Deno.test("openVgear() with more to follow gives a beginning of what the whole gives", () => {
  const data = randomBytes(1, 64 * KIB);
  const whole = cut(data, SMALL);
  using kernel = openVgear(SMALL);
  kernel.buffer.set(data);
  fc.assert(fc.property(fc.nat(data.length), (length) => {
    const lengths = unpackManifest(kernel.chunks(0, length, true)).map((chunk) => chunk.length);
    assertEquals(lengths, whole.slice(0, lengths.length));
    assertLess(length - lengths.reduce((sum, n) => sum + n, 0), SMALL.max);
  }));
});
