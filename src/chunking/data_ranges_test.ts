import { assert, assertEquals, assertLess } from "@std/assert";
import { randomBytes } from "../../tests/support/bytes.ts";
import { unpackManifest } from "../core/chunk.ts";
import { blake3 } from "../hashing/blake3.ts";
import { DEFAULT_CHUNKING } from "./chunker.ts";
import { dataRanges } from "./data_ranges.ts";
import { describeBytes } from "./describe.ts";
import { MAX_CHUNK_BYTES } from "./sizes.ts";

const MiB = 1 << 20;

function rangesOf(data: Uint8Array<ArrayBuffer>) {
  return dataRanges(unpackManifest(describeBytes(data, DEFAULT_CHUNKING).packedManifest!));
}

Deno.test("dataRanges() is all of what has no zeros, or the same bytes again and again", () => {
  for (const data of [randomBytes(1, MiB), new Uint8Array(MiB).fill(1), new Uint8Array(10)]) {
    assertEquals(rangesOf(data), [{ start: 0, end: data.length }]);
  }
  assertEquals(dataRanges([]), []);
});

Deno.test("dataRanges() leaves long runs of zeros out", () => {
  const data = new Uint8Array(16 * MiB);
  data.set(randomBytes(1, 50_000), 1_000);
  data.set(randomBytes(2, 10_000), 9 * MiB + 5);
  const ranges = rangesOf(data);
  const isCovered = (at: number) => ranges.some(({ start, end }) => start <= at && at < end);
  for (const [at, byte] of data.entries()) if (byte !== 0) assert(isCovered(at), `${at}`);
  assertLess(ranges.reduce((sum, { start, end }) => sum + end - start, 0), MiB / 2);
});

Deno.test("dataRanges() is not kept busy by a manifest that nobody cut", () => {
  const digest = blake3(new Uint8Array());
  const manifest = Array.from({ length: 20_000 }, (_, i) => ({ digest, length: 0xffff_ffff - i }));
  const size = manifest.reduce((sum, { length }) => sum + length, 0);
  assertEquals(dataRanges(manifest), [{ start: 0, end: size }]);
  const many = manifest.map((chunk, i) => ({ ...chunk, length: MAX_CHUNK_BYTES - (i >> 1) }));
  assertEquals(dataRanges(many).length, 1);
});
