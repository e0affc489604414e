import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type Manifest, packManifest } from "../core/chunk.ts";
import { FilesyncError } from "../core/errors.ts";
import { sha256 } from "../hashing/sha256.ts";
import {
  differingGroups,
  groupsOf,
  packGroupChunks,
  packGroups,
  rebuildOutline,
  unpackGroups,
} from "./manifest_groups.ts";
import { outlineOf, outlineSize } from "./outline.ts";

function manifestOf(names: readonly number[]): Manifest {
  return names.map((name) => ({
    digest: sha256(new Uint8Array(new Float64Array([name]).buffer)),
    length: name + 1,
  }));
}

function numbers(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

/** Rebuilds the outline of `theirs` on the side that has `mine`; gives the bytes that it took. */
function compared(theirs: Uint8Array, mine: Uint8Array): number {
  const packed = packGroups(groupsOf(theirs));
  const groups = unpackGroups(packed);
  assertEquals(groups, groupsOf(theirs));
  const chunks = packGroupChunks(theirs, differingGroups(groups, groupsOf(mine)));
  const size = outlineSize(outlineOf(theirs));
  assertEquals(rebuildOutline(groups, mine, chunks, size), outlineOf(theirs));
  return packed.length + chunks.length;
}

Deno.test("packGroups() gives the bytes it always gave", () => {
  const groups = groupsOf(packManifest(manifestOf(numbers(300))));
  assertEquals(
    packGroups(groups).toHex(),
    "548bf541b72e9a71ce01" + "49456ad272c320f45712" + "1207d2925a1d8507",
  );
});

Deno.test("groupsOf() has all chunks in groups of some 64, none of more than 512", () => {
  const groups = groupsOf(packManifest(manifestOf(numbers(20_000))));
  assertEquals(groups.reduce((sum, { count }) => sum + count, 0), 20_000);
  assert(groups.length > 200 && groups.length < 450, `${groups.length}`);
  const zeros = groupsOf(packManifest(manifestOf(new Array(2_000).fill(7))));
  assertEquals(zeros.map(({ count }) => count), [512, 512, 512, 464]);
  assertEquals(new Set(zeros.map(({ prefix }) => prefix)).size, 2);
  assertEquals(groupsOf(new Uint8Array()), []);
});

Deno.test("rebuildOutline() takes few bytes for few differences, also when all has moved", () => {
  const names = numbers(57_000);
  const mine = packManifest(manifestOf(names));
  assertLess(compared(mine, mine), 10_000);
  const changed = packManifest(manifestOf([-0.5, ...names.slice(0, 30_000), -0.25, ...names.slice(30_001)]));
  assertLess(compared(mine, changed), 13_000);
  assertLess(compared(changed, mine), 13_000);
});

Deno.test("rebuildOutline() gives the other side's outline, whatever both are", () => {
  const part = fc.tuple(fc.nat(30), fc.nat(300)).map(([from, count]) => numbers(count, 100 * from));
  const manifest = fc.array(part, { maxLength: 6 }).map((parts) => packManifest(manifestOf(parts.flat())));
  fc.assert(fc.property(manifest, manifest, (theirs, mine) => void compared(theirs, mine)), { numRuns: 40 });
});

Deno.test("packGroupChunks() passes over groups that are not there", () => {
  const packed = packManifest(manifestOf(numbers(10)));
  assertEquals(packGroupChunks(packed, [1_000, Number.MAX_SAFE_INTEGER]).length, 0);
});

Deno.test("rebuildOutline() refuses answers that do not fit together", () => {
  const theirs = packManifest(manifestOf(numbers(100)));
  const mine = packManifest(manifestOf(numbers(100, 50)));
  const groups = groupsOf(theirs);
  const chunks = packGroupChunks(theirs, differingGroups(groups, groupsOf(mine)));
  const size = outlineSize(outlineOf(theirs));
  const refused = (act: () => unknown) => assertEquals(assertThrows(act, FilesyncError).code, "bad-request");
  rebuildOutline(groups, mine, chunks, size);
  refused(() => rebuildOutline(groups, mine, chunks, size + 1));
  refused(() => rebuildOutline(groups, mine, chunks.subarray(0, -1), size));
  refused(() => rebuildOutline(groups, mine, new Uint8Array(), size));
  refused(() => rebuildOutline(groups, mine, new Uint8Array([...chunks, ...chunks]), size));
  refused(() => rebuildOutline([{ prefix: groups[0].prefix, count: 2 ** 50 }], mine, chunks, size));
  refused(() => unpackGroups(new Uint8Array(5)));
});
