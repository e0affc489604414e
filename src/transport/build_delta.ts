/** Builds the content of a file from a delta and the file that the delta starts from. @module */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { decodeDelta } from "../chunking/delta.ts";
import { contentOf } from "../chunking/describe.ts";
import { type CommonRange, isRecutInVain, recut } from "../chunking/recut.ts";
import type { PutAction } from "../core/action.ts";
import { PACKED_CHUNK_BYTES } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import type { TreePath } from "../core/path.ts";
import type { Anchor, TempFile } from "../files/tree_root.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { openBase } from "./base_file.ts";
import { contentMismatch, contentMissing } from "./content_faults.ts";
import { ContentWriter, type WriterTools } from "./content_writer.ts";

/** Where a delta's base is looked for. */
export interface DeltaSources extends WriterTools {
  anchor: Anchor;
  index: TreeIndex;
  /** Told of a path that does not hold `content`, though the index says so. */
  onStale: (path: TreePath, content: Digest) => void;
}

/**
 * Writes what `encoded` makes into `temp`, and verifies it. The base's chunks are the new content's where
 * they were copied; only around what is new it is cut again.
 *
 * @returns The packed manifest of what was written.
 * @throws {FilesyncError} `bad-request` when the delta is malformed; `digest-mismatch` when it makes
 * another size; `content-missing` when its base is not here, or it made something else of it, by a
 * false match or because the base has changed: in each case the client must send the content itself.
 */
export async function buildFromDelta(
  encoded: Uint8Array,
  put: PutAction,
  { anchor, index, onStale, ...tools }: DeltaSources,
  temp: TempFile,
): Promise<Uint8Array<ArrayBuffer>> {
  const delta = decodeDelta(encoded);
  if (delta.size !== put.size) throw contentMismatch(put, "size");
  const base = openBase(delta.base, anchor, index);
  if (base === undefined) throw contentMissing(put);
  using file = base.file;
  if (delta.baseSize > file.stat.size) throw contentMissing(put);

  const writer = new ContentWriter(temp, put.size, tools);
  const common: CommonRange[] = [];
  let size = 0;
  for (const operation of delta.operations()) {
    if (operation.type === "literal") {
      await writer.write(operation.bytes);
      size += operation.bytes.length;
    } else {
      const { start, length } = operation;
      if (!await writer.copy(file, start, length)) throw contentMissing(put);
      common.push({ start: size, base: start, length });
      size += length;
    }
  }
  const sizes = DEFAULT_CHUNKING.sizesFor(size);
  const wasCutAlike = DEFAULT_CHUNKING.sizesFor(file.stat.size).average === sizes.average;
  const isInVain = !wasCutAlike || isRecutInVain(common.length, size, sizes);
  const before = isInVain ? undefined : index.manifestOf(delta.base);
  // The only chunk of a content has another name than one of several.
  const isKnown = before !== undefined && before.length > PACKED_CHUNK_BYTES;
  const { digest, packedManifest } = isKnown
    ? contentOf(
      { size, digest: await writer.digest() },
      recut({ chunking: DEFAULT_CHUNKING, base: before, sizes, size, common, read: readAll(temp) }),
    )
    : await writer.describe();
  if (digest === put.digest) return packedManifest;
  onStale(base.path, delta.base);
  throw contentMissing(put);
}

/** Fills rooms from `temp`; what is missing because somebody else cut it short stays as it was, as a digest will tell. */
function readAll(temp: TempFile): (into: Uint8Array, start: number) => void {
  return (into, start) => {
    for (let at = 0; at < into.length;) {
      const length = temp.read(into.subarray(at), start + at);
      if (length === 0) return;
      at += length;
    }
  };
}
