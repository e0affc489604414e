/**
 * Outlines: the chunks of a content in order, each named by the first bytes of its digest only. Enough
 * to guess what two contents have in common, where a SHA-256 of the whole has the last word.
 *
 * @module
 */
import { PACKED_CHUNK_BYTES } from "../core/chunk.ts";
import { DIGEST_BYTES } from "../core/digest.ts";

/** Bytes of a prefix: among 2^20 chunks two have the same by chance once in 2^25 contents. */
export const PREFIX_BYTES = 8;

/** A chunk, named by a prefix of its digest. */
export interface OutlineChunk {
  /** The first {@linkcode PREFIX_BYTES} of its digest, in hexadecimal. */
  prefix: string;
  /** Bytes. */
  length: number;
}

/** The chunks of a content, in order. */
export type Outline = OutlineChunk[];

/** The outline of a packed manifest. */
export function outlineOf(packedManifest: Uint8Array): Outline {
  const view = new DataView(packedManifest.buffer, packedManifest.byteOffset, packedManifest.byteLength);
  const outline: Outline = [];
  for (let at = 0; at < packedManifest.length; at += PACKED_CHUNK_BYTES) {
    outline.push({
      prefix: packedManifest.subarray(at, at + PREFIX_BYTES).toHex(),
      length: view.getUint32(at + DIGEST_BYTES, true),
    });
  }
  return outline;
}

/** Bytes of the content. */
export function outlineSize(outline: Outline): number {
  return outline.reduce((sum, { length }) => sum + length, 0);
}
