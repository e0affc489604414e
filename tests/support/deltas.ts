/** Deltas, made and used in memory. @module */
import { type Segment, wholeRegion } from "../../src/chunking/changed_regions.ts";
import { composeDelta, rangesToSign } from "../../src/chunking/compose_delta.ts";
import { decodeDelta } from "../../src/chunking/delta.ts";
import { SignatureWriter } from "../../src/chunking/signature.ts";
import { sha256 } from "../../src/hashing/sha256.ts";

/** A delta, and the bytes it took to make it. */
export interface MadeDelta {
  encoded: Uint8Array<ArrayBuffer>;
  /** Bytes of the signature that it took. */
  signatureBytes: number;
  literalBytes: number;
}

/** The delta from `old` to `now`, made as a client would that asks a receiver for signatures. */
export async function makeDelta(
  old: Uint8Array,
  now: Uint8Array,
  { segments = wholeRegion(old.length, now.length), blockSize = 512 }: {
    segments?: Segment[];
    blockSize?: number;
  } = {},
): Promise<MadeDelta> {
  const signature = new Uint8Array(
    rangesToSign(segments).flatMap(({ start, end }) => {
      const writer = new SignatureWriter(end - start, blockSize);
      writer.add(old.subarray(start, end));
      return [...writer.signature];
    }),
  );
  const read = (start: number, end: number) => now.subarray(start, end);
  const delta = (await composeDelta({ segments, signature, blockSize, read, most: Infinity }))!;
  return {
    encoded: delta.encode(sha256(old)),
    signatureBytes: signature.length,
    literalBytes: delta.literalBytes,
  };
}

/** What `encoded` makes of `base`. */
export function applyDelta(encoded: Uint8Array, base: Uint8Array): Uint8Array<ArrayBuffer> {
  const { size, operations } = decodeDelta(encoded);
  const made = new Uint8Array(size);
  let at = 0;
  for (const operation of operations()) {
    const bytes = operation.type === "literal"
      ? operation.bytes
      : base.subarray(operation.start, operation.start + operation.length);
    made.set(bytes, at);
    at += bytes.length;
  }
  return made;
}
