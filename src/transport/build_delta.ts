/** Builds the content of a file from a delta and the file that the delta starts from. @module */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { decodeDelta, type DeltaOperation } from "../chunking/delta.ts";
import { DescribeStream } from "../chunking/describe_stream.ts";
import type { PutAction } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import type { TreePath } from "../core/path.ts";
import type { Anchor, OpenFile, TempFile } from "../files/tree_root.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { openBase } from "./base_file.ts";
import { contentMismatch, contentMissing } from "./content_faults.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";

/** A read takes as long as copying so many bytes, however few it reads: there can be millions in one delta. */
const READ_COST_BYTES = 16 << 10;

/** Where a delta's base is looked for. */
export interface DeltaSources {
  anchor: Anchor;
  index: TreeIndex;
  /** Told of a path that does not hold `content`, though the index says so. */
  onStale: (path: TreePath, content: Digest) => void;
}

/**
 * Writes what `encoded` makes into `temp`, and verifies it. Never more than some blocks are in memory.
 *
 * @returns The packed manifest of what was written.
 * @throws {FilesyncError} `bad-request` when the delta is malformed; `digest-mismatch` when it makes
 * another size; `content-missing` when its base is not here, or it made something else of it, by a
 * false match or because the base has changed: in each case the client must send the content itself.
 */
export async function buildFromDelta(
  encoded: Uint8Array,
  put: PutAction,
  { anchor, index, onStale }: DeltaSources,
  temp: TempFile,
): Promise<Uint8Array<ArrayBuffer>> {
  const delta = decodeDelta(encoded);
  if (delta.size !== put.size) throw contentMismatch(put, "size");
  const base = openBase(delta.base, anchor, index);
  if (base === undefined) throw contentMissing(put);
  using file = base.file;
  if (delta.baseSize > file.stat.size) throw contentMissing(put);
  using description = new DescribeStream(DEFAULT_CHUNKING, put.size);

  let room = description.room();
  let used = 0;
  let sinceTurn = 0;
  const flush = () => {
    temp.write(room.subarray(0, used));
    description.take(room, used);
    room = description.room();
    used = 0;
  };
  for (const operation of delta.operations()) {
    const length = operation.type === "copy" ? operation.length : operation.bytes.length;
    for (let at = 0; at < length;) {
      const filled = take(operation, at, room.subarray(used, used + length - at), file);
      if (filled === 0) throw contentMissing(put);
      at += filled;
      used += filled;
      if (used === room.length) flush();
      sinceTurn += filled + READ_COST_BYTES;
      if (sinceTurn >= TURN_BYTES) {
        sinceTurn = 0;
        await turn();
      }
    }
  }
  flush();
  const { digest, packedManifest } = description.end();
  if (digest === put.digest) return packedManifest;
  onStale(base.path, delta.base);
  throw contentMissing(put);
}

/** Fills `room` with what comes `at` bytes after the start of the operation; gives the bytes, 0 at the end of the base. */
function take(operation: DeltaOperation, at: number, room: Uint8Array, base: OpenFile): number {
  if (operation.type === "copy") return base.read(room, operation.start + at);
  room.set(operation.bytes.subarray(at, at + room.length));
  return room.length;
}
