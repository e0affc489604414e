import { assertEquals, assertLess, assertThrows } from "@std/assert";
import fc from "fast-check";
import { randomBytes } from "../../tests/support/bytes.ts";
import { FilesyncError } from "../core/errors.ts";
import { sha256 } from "../hashing/sha256.ts";
import { applyDelta } from "../../tests/support/deltas.ts";
import { BlockTable, matchBlocks, signedRanges } from "./block_match.ts";
import { decodeDelta, DeltaBuilder, type DeltaOperation } from "./delta.ts";
import { signatureOf } from "./signature.ts";

const BLOCK = 64;

function tableOf(old: Uint8Array, blockSize = BLOCK): BlockTable {
  const range = { start: 0, end: old.length };
  return new BlockTable(signedRanges([range], signatureOf(old, blockSize), blockSize), blockSize);
}

/** The operations that make `now` of `old`, literals as their length; after having checked that they do. */
function matched(old: Uint8Array, now: Uint8Array, blockSize = BLOCK): (number | [number, number])[] {
  const delta = new DeltaBuilder();
  matchBlocks(tableOf(old, blockSize), now, delta);
  const encoded = delta.encode(sha256(old));
  assertEquals(applyDelta(encoded, old), new Uint8Array(now));
  return [...decodeDelta(encoded).operations()].map((operation: DeltaOperation) =>
    operation.type === "literal" ? operation.bytes.length : [operation.start, operation.length]
  );
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

Deno.test("matchBlocks() takes what is the same in one piece, with its short end", () => {
  const old = randomBytes(1, 1_000);
  assertEquals(matched(old, old), [[0, 1_000]]);
  assertEquals(matched(old, new Uint8Array()), []);
  assertEquals(matched(new Uint8Array(), old), [1_000]);
});

Deno.test("matchBlocks() finds what was moved by an insert, and costs a block where bytes were changed", () => {
  const old = randomBytes(2, 1_024);
  const insert = randomBytes(3, 7);
  assertEquals(matched(old, joined(insert, old)), [7, [0, 1_024]]);
  assertEquals(matched(old, joined(old, insert)), [[0, 1_024], 7]);
  assertEquals(matched(old, joined(old.subarray(0, 128), insert, old.subarray(128))), [
    [0, 128],
    7,
    [128, 896],
  ]);
  const changed = old.slice();
  changed[200] ^= 1;
  assertEquals(matched(old, changed), [[0, 192], 64, [256, 768]]);
});

Deno.test("matchBlocks() copies from anywhere, backwards and again", () => {
  const old = randomBytes(4, 256);
  const [a, b, c, d] = [0, 1, 2, 3].map((i) => old.subarray(i * 64, i * 64 + 64));
  assertEquals(matched(old, joined(d, a, b, a, c)), [[192, 64], [0, 128], [0, 64], [128, 64]]);
});

Deno.test("matchBlocks() goes on from the last copy when blocks are alike", () => {
  const zeros = new Uint8Array(10 * BLOCK);
  const old = joined(zeros, randomBytes(5, BLOCK), zeros);
  assertEquals(matched(old, old), [[0, old.length]]);
  assertEquals(matched(zeros, zeros.subarray(0, 3 * BLOCK + 1)), [[0, 3 * BLOCK], 1]);
});

Deno.test("matchBlocks() takes the short block at the end alone", () => {
  const old = randomBytes(6, 3 * BLOCK + 10);
  const tail = old.subarray(3 * BLOCK);
  assertEquals(matched(old, joined(randomBytes(7, 5), tail)), [5, [3 * BLOCK, 10]]);
  assertEquals(matched(old, joined(tail, randomBytes(8, 5))), [15]);
  assertEquals(matched(old, tail), [[3 * BLOCK, 10]]);
});

Deno.test("matchBlocks() knows the blocks of several ranges", () => {
  const old = randomBytes(9, 10_000);
  const ranges = [{ start: 100, end: 400 }, { start: 9_000, end: 9_500 }];
  const signature = joined(
    signatureOf(old.subarray(100, 400), BLOCK),
    signatureOf(old.subarray(9_000, 9_500), BLOCK),
  );
  const delta = new DeltaBuilder();
  const now = joined(old.subarray(9_064, 9_500), old.subarray(100, 400));
  matchBlocks(new BlockTable(signedRanges(ranges, signature, BLOCK), BLOCK), now, delta);
  assertEquals(applyDelta(delta.encode(sha256(old)), old), new Uint8Array(now));
  assertLess(delta.literalBytes, 2 * BLOCK);
});

Deno.test("signedRanges() refuses a signature of another length", () => {
  for (const bytes of [0, 15, 16, 100]) {
    const ranges = [{ start: 0, end: 100 }, { start: 7, end: 8 }];
    if (bytes === 15) assertEquals(signedRanges(ranges, new Uint8Array(bytes), BLOCK).length, 2);
    else assertThrows(() => signedRanges(ranges, new Uint8Array(bytes), BLOCK), FilesyncError);
  }
});

Deno.test("matchBlocks() leaves the end, where a block may begin, for when there is more", () => {
  const old = randomBytes(10, 256);
  const delta = new DeltaBuilder();
  const now = joined(randomBytes(11, 5), old);
  assertEquals(matchBlocks(tableOf(old), now.subarray(0, 100), delta, true), 69);
  assertEquals(matchBlocks(tableOf(old), now.subarray(69, 100), delta, true), 0);
  assertEquals(matchBlocks(tableOf(old), now.subarray(69), delta), 192);
  assertEquals([delta.literalBytes, delta.size], [5, 261]);
});

Deno.test("matchBlocks() makes the new content of any old one", () => {
  const piece = fc.integer({ min: 0, max: 5 }).map((seed) => randomBytes(seed, 40 + 30 * seed));
  const content = fc.array(fc.oneof(piece, fc.uint8Array({ maxLength: 100, max: 1 })), { maxLength: 12 })
    .map((parts) => joined(...parts));
  fc.assert(fc.property(content, content, fc.constantFrom(16, 64, 100), (old, now, blockSize) => {
    matched(old, now, blockSize);
  }));
});
