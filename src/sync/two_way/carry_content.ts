/** Brings content from one receiver to another, as far as the other lacks it. @module */
import { pooledMap } from "@std/async";
import type { ByteRange } from "../../chunking/byte_range.ts";
import type { PutAction } from "../../core/action.ts";
import type { Chunk, ChunkRef } from "../../core/chunk.ts";
import type { Digest } from "../../core/digest.ts";
import { FilesyncError } from "../../core/errors.ts";
import type { PieceRequest, Receiver, ReceiverInfo } from "../../transport/receiver.ts";

/** Content of more bytes is carried in chunks, and only those that are missing. */
export const INLINE_BYTES = 1 << 20;

/** Calls that carry chunks at the same time, for one content. */
const IN_FLIGHT = 2;

/** A receiver, and what it says of itself. */
export interface Party {
  receiver: Receiver;
  info: ReceiverInfo;
}

/** Content on its way. */
export interface Carried {
  /** To be sent along with the actions. All else is staged, or was there. */
  contents: Map<Digest, Uint8Array<ArrayBuffer>>;
  /** What could not be had, and why. */
  failed: Map<Digest, FilesyncError>;
  /** Bytes of content that were carried. */
  bytes: number;
}

/**
 * Makes everything ready that `puts` need at `to`. Those of up to {@linkcode INLINE_BYTES} must fit into one
 * batch together.
 */
export async function carryContent(puts: readonly PutAction[], from: Party, to: Party): Promise<Carried> {
  const carried: Carried = { contents: new Map(), failed: new Map(), bytes: 0 };
  const wanted = [...new Map(puts.map((put) => [put.digest, put])).values()];
  const missing = await missingAt(to, wanted);
  await carryWhole(missing.filter(({ size }) => size <= INLINE_BYTES), from, carried);
  for (const put of missing) if (put.size > INLINE_BYTES) await carryChunks(put, from, to, carried);
  return carried;
}

async function missingAt({ receiver, info }: Party, puts: PutAction[]): Promise<PutAction[]> {
  if (!info.hasContents) return puts;
  const missing: PutAction[] = [];
  for (let at = 0; at < puts.length; at += info.maxBatchItems) {
    const asked = puts.slice(at, at + info.maxBatchItems);
    const needs = await receiver.check(asked.map(({ digest, size }) => ({ digest, size })));
    missing.push(...asked.filter((_, i) => needs[i] !== "nothing"));
  }
  return missing;
}

/** Small contents, many in one call. What they are is verified where they are put. */
async function carryWhole(puts: PutAction[], { receiver, info }: Party, carried: Carried): Promise<void> {
  const groups = grouped(puts, ({ size }) => size, info);
  for (const group of groups) {
    const requests = group.map(({ digest, size }): PieceRequest => ({
      content: digest,
      ranges: [{ start: 0, end: size }],
    }));
    const pieces = await receiver.pieces(requests);
    for (const [i, put] of group.entries()) {
      const piece = pieces[i];
      if (piece === undefined) {
        carried.failed.set(put.digest, changedMeanwhile(put));
      } else {
        carried.contents.set(put.digest, piece);
        carried.bytes += piece.length;
      }
    }
  }
}

/** The chunks of a big content that are missing; `stage` verifies them. */
async function carryChunks(put: PutAction, from: Party, to: Party, carried: Carried): Promise<void> {
  const { digest, size } = put;
  const manifest = await from.receiver.manifest(digest);
  if (manifest === undefined) return void carried.failed.set(digest, changedMeanwhile(put));
  const [need] = await to.receiver.check([{ digest, size, manifest }]);
  if (typeof need === "string") return;
  const needed = new Set(need);
  let start = 0;
  const chunks: (ChunkRef & ByteRange)[] = [];
  for (const [position, chunk] of manifest.entries()) {
    if (needed.has(position)) chunks.push({ ...chunk, start, end: start + chunk.length });
    start += chunk.length;
  }
  const limits = {
    maxBatchBytes: Math.min(from.info.maxBatchBytes, to.info.maxBatchBytes),
    maxBatchItems: Math.min(from.info.maxBatchItems, to.info.maxBatchItems),
  };
  const carry = async (group: (ChunkRef & ByteRange)[]) => {
    const ranges = group.map(({ start, end }) => ({ start, end }));
    const [bytes] = await from.receiver.pieces([{ content: digest, ranges }]);
    if (bytes === undefined) throw changedMeanwhile(put);
    let at = 0;
    await to.receiver.stage(group.map((chunk): Chunk => ({
      digest: chunk.digest,
      data: bytes.subarray(at, at += chunk.length),
    })));
    carried.bytes += bytes.length;
  };
  try {
    const groups = grouped(chunks, ({ length }) => length, limits);
    for await (const _ of pooledMap(IN_FLIGHT, groups, carry));
  } catch (error) {
    const failure = error instanceof AggregateError ? error.errors[0] : error;
    // That is of this content only; anything else is of the receiver.
    const isItsOwn = failure instanceof FilesyncError &&
      ["conflict", "digest-mismatch"].includes(failure.code);
    if (!isItsOwn) throw failure;
    carried.failed.set(digest, changedMeanwhile(put));
  }
}

/** Splits `items` so that each group fits into one call. */
function* grouped<T>(
  items: readonly T[],
  sizeOf: (item: T) => number,
  { maxBatchBytes, maxBatchItems }: Pick<ReceiverInfo, "maxBatchBytes" | "maxBatchItems">,
): Generator<T[]> {
  let group: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (group.length > 0 && (group.length >= maxBatchItems || bytes + size > maxBatchBytes)) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(item);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

function changedMeanwhile({ path }: PutAction): FilesyncError {
  return new FilesyncError({
    code: "conflict",
    operation: `read "${path}"`,
    reason: "it changed since it was looked at",
    hint: "It is looked at again with the next sync",
  });
}
