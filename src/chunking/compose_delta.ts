/** A whole delta, from the segments of a new content and the signatures of the old one. @module */
import { BlockTable, matchBlocks, signedRanges } from "./block_match.ts";
import type { Segment } from "./changed_regions.ts";
import { DeltaBuilder } from "./delta.ts";
import type { ByteRange } from "./byte_range.ts";

/** Bytes of the new content that are looked into at a time, so that a big region never is in memory as a whole. */
const WINDOW_BYTES = 4 << 20;

/** The ranges of the old content to ask signatures of, in the order in which {@linkcode composeDelta} takes them. */
export function rangesToSign(segments: readonly Segment[]): ByteRange[] {
  return segments.flatMap((segment) => segment.type === "changed" ? segment.old : []);
}

/** What {@linkcode composeDelta} needs. */
export interface DeltaParts {
  segments: readonly Segment[];
  /** The signature of {@linkcode rangesToSign}. */
  signature: Uint8Array;
  blockSize: number;
  /** The bytes of the new content from `start` to `end`, all of them, at most 4 MiB; may be reused by the next call. */
  read: (start: number, end: number) => Uint8Array | Promise<Uint8Array>;
  /** Most bytes of the delta when encoded. */
  most: number;
}

/**
 * The delta that makes the new content; `undefined` when it has more than `most` bytes.
 *
 * @throws {FilesyncError} `bad-request` when the signature is not that of the segments' ranges.
 */
export async function composeDelta(
  { segments, signature, blockSize, read, most }: DeltaParts,
): Promise<DeltaBuilder | undefined> {
  const signed = signedRanges(rangesToSign(segments), signature, blockSize);
  const delta = new DeltaBuilder();
  let taken = 0;
  for (const segment of segments) {
    if (segment.type === "same") {
      delta.copy(segment.start, segment.length);
    } else {
      const table = new BlockTable(signed.slice(taken, taken += segment.old.length), blockSize);
      for (let at = segment.start; at < segment.end;) {
        const end = Math.min(at + WINDOW_BYTES, segment.end);
        at += matchBlocks(table, await read(at, end), delta, end < segment.end);
        if (delta.encodedBytes > most) return undefined;
      }
    }
  }
  return delta.encodedBytes > most ? undefined : delta;
}
