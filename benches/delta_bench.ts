/** Finding what two contents have in common: signatures, matching, manifests, and a whole delta. @module */
import { BlockTable, matchBlocks } from "../src/chunking/block_match.ts";
import { changedRegions } from "../src/chunking/changed_regions.ts";
import { DEFAULT_CHUNKING } from "../src/chunking/chunker.ts";
import { composeDelta, rangesToSign } from "../src/chunking/compose_delta.ts";
import { decodeDelta, DeltaBuilder } from "../src/chunking/delta.ts";
import { describeBytes } from "../src/chunking/describe.ts";
import { groupsOf } from "../src/chunking/manifest_groups.ts";
import { outlineOf } from "../src/chunking/outline.ts";
import { DEFAULT_BLOCK_BYTES, signatureOf } from "../src/chunking/signature.ts";
import { sha256 } from "../src/hashing/sha256.ts";
import { insertAt, randomBytes, smallInserts } from "../tests/support/bytes.ts";

const MIB = 1 << 20;
const SIZE = 64 * MIB;

const old = randomBytes(1, SIZE);
const other = randomBytes(2, SIZE);
const edited = insertAt(old, smallInserts(3, SIZE, 100));
const manifest = describeBytes(old, DEFAULT_CHUNKING).packedManifest;
const outline = outlineOf(manifest);
const editedOutline = outlineOf(describeBytes(edited, DEFAULT_CHUNKING).packedManifest);
const segments = changedRegions(outline, editedOutline);
const base = sha256(old);
const table = new BlockTable([{ start: 0, end: SIZE, signature: signatureOf(old) }], DEFAULT_BLOCK_BYTES);

Deno.bench("sign 64 MiB in blocks of 512", { group: "blocks" }, () => {
  signatureOf(old);
});

Deno.bench("match 64 MiB that have nothing in common", { group: "blocks", n: 10 }, () => {
  matchBlocks(table, other, new DeltaBuilder());
});

Deno.bench("match 64 MiB that are the same", { group: "blocks", n: 10 }, () => {
  matchBlocks(table, old, new DeltaBuilder());
});

Deno.bench("regions of 64 MiB with 100 edits", { group: "manifests" }, () => {
  changedRegions(outline, editedOutline);
});

Deno.bench("groups of the manifest of 64 MiB", { group: "manifests" }, () => {
  groupsOf(manifest);
});

Deno.bench("delta of 64 MiB with 100 edits", { group: "delta" }, async () => {
  const signature = signaturesOf(rangesToSign(segments));
  const read = (start: number, end: number) => edited.subarray(start, end);
  const parts = { segments, signature, blockSize: DEFAULT_BLOCK_BYTES, read, most: SIZE };
  decodeDelta((await composeDelta(parts))!.encode(base));
});

function signaturesOf(ranges: ReturnType<typeof rangesToSign>): Uint8Array {
  const signatures = ranges.map(({ start, end }) => signatureOf(old.subarray(start, end)));
  const joined = new Uint8Array(signatures.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const signature of signatures) {
    joined.set(signature, at);
    at += signature.length;
  }
  return joined;
}
