/**
 * A long manifest as a tree of two levels, so that two of them can be compared without sending either:
 * its chunks in groups whose ends depend on the chunks alone, each group named by a prefix of its
 * digest. Groups that both sides have need no more words; of the others the chunks are asked for.
 * For 1 GiB this is 9 kB, and 700 bytes for each group that differs. Version 1:
 *
 *     groups    for each, 8 bytes of its digest, and the number of its chunks
 *     chunks    for each, 8 bytes of its digest, and its bytes
 *
 * Numbers are varints. The digest of a group is the SHA-256 of its part of the packed manifest.
 *
 * @module
 */
import { PACKED_CHUNK_BYTES } from "../core/chunk.ts";
import { DIGEST_BYTES } from "../core/digest.ts";
import { sha256 } from "../hashing/sha256.ts";
import { type Outline, outlineOf, outlineSize, PREFIX_BYTES } from "./outline.ts";
import { ByteReader, ByteWriter } from "./varint.ts";

/** A group ends at a chunk whose digest has these bits of its last byte unset: one in 64. */
const END_MASK = 63;
/** No group has more chunks; only what repeats itself gets there. */
const MOST_CHUNKS = 512;

/** Some chunks of a manifest that follow each other. */
export interface ChunkGroup {
  /** The first 8 bytes of its digest, in hexadecimal. */
  prefix: string;
  /** Number of chunks. */
  count: number;
}

/** The groups of a packed manifest, in order. */
export function groupsOf(packedManifest: Uint8Array): ChunkGroup[] {
  const groups: ChunkGroup[] = [];
  let start = 0;
  for (let end = PACKED_CHUNK_BYTES; end <= packedManifest.length; end += PACKED_CHUNK_BYTES) {
    const count = (end - start) / PACKED_CHUNK_BYTES;
    // The last byte of the digest: prefixes are the first.
    const isEnd = (packedManifest[end - PACKED_CHUNK_BYTES + DIGEST_BYTES - 1] & END_MASK) === 0;
    if (!isEnd && count < MOST_CHUNKS && end < packedManifest.length) continue;
    groups.push({ prefix: sha256(packedManifest.subarray(start, end)).slice(0, 2 * PREFIX_BYTES), count });
    start = end;
  }
  return groups;
}

/** The packed form of groups. */
export function packGroups(groups: readonly ChunkGroup[]): Uint8Array<ArrayBuffer> {
  const packed = new ByteWriter();
  for (const { prefix, count } of groups) {
    packed.write(Uint8Array.fromHex(prefix));
    packed.varint(count);
  }
  return packed.bytes;
}

/**
 * The groups in `packed`.
 *
 * @throws {FilesyncError} `bad-request` when it is malformed.
 */
export function unpackGroups(packed: Uint8Array): ChunkGroup[] {
  return [...named(packed, "the groups of a manifest")].map(({ prefix, number: count }) => ({
    prefix,
    count,
  }));
}

/** The packed chunks of some groups of a packed manifest, by their positions; those it has not are passed over. */
export function packGroupChunks(
  packedManifest: Uint8Array,
  positions: readonly number[],
): Uint8Array<ArrayBuffer> {
  const starts = startsOf(groupsOf(packedManifest)).map((chunk) => chunk * PACKED_CHUNK_BYTES);
  const packed = new ByteWriter();
  for (const position of positions) {
    if (position + 1 >= starts.length) continue;
    const part = packedManifest.subarray(starts[position], starts[position + 1]);
    for (const { prefix, length } of outlineOf(part)) {
      packed.write(Uint8Array.fromHex(prefix));
      packed.varint(length);
    }
  }
  return packed.bytes;
}

/** Positions of the groups of `theirs` that `mine` has not: those whose chunks must be asked for. */
export function differingGroups(theirs: readonly ChunkGroup[], mine: readonly ChunkGroup[]): number[] {
  const known = new Set(mine.map(nameOf));
  return theirs.flatMap((group, position) => known.has(nameOf(group)) ? [] : [position]);
}

/**
 * The whole outline that `theirs` are the groups of: from the groups that both sides have, and the
 * chunks of those that differ.
 *
 * @param packedManifest The manifest of this side.
 * @param chunks What {@linkcode packGroupChunks} gave for the {@linkcode differingGroups}.
 * @param size Bytes of the content.
 * @throws {FilesyncError} `bad-request` when they do not fit together.
 */
export function rebuildOutline(
  theirs: readonly ChunkGroup[],
  packedManifest: Uint8Array,
  chunks: Uint8Array,
  size: number,
): Outline {
  const outline = outlineOf(packedManifest);
  const groups = groupsOf(packedManifest);
  const starts = startsOf(groups);
  const known = new Map(groups.map((group, position) => [nameOf(group), position]));
  const rest = named(chunks, "the chunks of a manifest");
  const rebuilt: Outline = [];
  for (const group of theirs) {
    const position = known.get(nameOf(group));
    if (position !== undefined) {
      for (let i = starts[position]; i < starts[position + 1]; i++) rebuilt.push(outline[i]);
      continue;
    }
    for (let i = 0; i < group.count; i++) {
      const { value } = rest.next();
      if (value === undefined) throw misfit("its groups have more chunks than came");
      rebuilt.push({ prefix: value.prefix, length: value.number });
    }
  }
  if (!rest.next().done) throw misfit("its groups have fewer chunks than came");
  if (outlineSize(rebuilt) !== size) throw misfit("its chunks do not add up to its size");
  return rebuilt;
}

/** Both prefix and count, so that an answer cannot claim a group that is longer than it is. */
function nameOf({ prefix, count }: ChunkGroup): string {
  return `${prefix} ${count}`;
}

function startsOf(groups: readonly ChunkGroup[]): number[] {
  const starts = [0];
  for (const { count } of groups) starts.push(starts.at(-1)! + count);
  return starts;
}

/** Prefixes, each with a number. */
function* named(packed: Uint8Array, what: string): Generator<{ prefix: string; number: number }, undefined> {
  const reader = new ByteReader(packed, what);
  while (reader.left > 0) {
    const prefix = reader.read(PREFIX_BYTES).toHex();
    yield { prefix, number: reader.varint() };
  }
}

function misfit(reason: string) {
  return new ByteReader(new Uint8Array(), "the outline of a manifest").fault(reason);
}
