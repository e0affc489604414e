/**
 * Chunks, manifests, and their packed form.
 *
 * A chunk is named by its BLAKE3 digest. The exception is a content that has only one chunk: there the
 * chunk is the content, and has the name of the content, its SHA-256. So a small file needs no second
 * digest, and whoever knows the digest of a content that is not cut knows its manifest. What verifies a
 * chunk on its own accepts either (`namesChunk` in `src/hashing`): both say what the bytes are.
 *
 * @module
 */
import { type Digest, DIGEST_BYTES, digestFromBytes, digestToBytes } from "./digest.ts";

/** A content-defined piece of a file, named by its digest: see above which. */
export interface ChunkRef {
  digest: Digest;
  /** Bytes. */
  length: number;
}

/** A file's chunks in order; their lengths add up to the file's size. */
export type Manifest = ChunkRef[];

/** A chunk with its content. */
export interface Chunk {
  digest: Digest;
  data: Uint8Array<ArrayBuffer>;
}

/** Chunks of a content that lie one after the other. */
export interface ChunkRun {
  content: Digest;
  /** The position of the first in the content's manifest. */
  first: number;
  /** All bytes of all of them. */
  data: Uint8Array<ArrayBuffer>;
}

/** Bytes of one chunk in a packed manifest: the digest, then the length as unsigned 32-bit little-endian. */
export const PACKED_CHUNK_BYTES = DIGEST_BYTES + 4;

/** The packed form of a manifest, as stored and sent. */
export function packManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(manifest.length * PACKED_CHUNK_BYTES);
  const view = new DataView(packed.buffer);
  manifest.forEach(({ digest, length }, i) => {
    packed.set(digestToBytes(digest), i * PACKED_CHUNK_BYTES);
    view.setUint32(i * PACKED_CHUNK_BYTES + DIGEST_BYTES, length, true);
  });
  return packed;
}

/**
 * The manifest in `packed`.
 *
 * @throws {RangeError} When its length is not a multiple of {@linkcode PACKED_CHUNK_BYTES}.
 */
export function unpackManifest(packed: Uint8Array): Manifest {
  if (packed.length % PACKED_CHUNK_BYTES !== 0) {
    throw new RangeError("A packed manifest has whole chunks only");
  }
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const manifest: Manifest = [];
  for (let at = 0; at < packed.length; at += PACKED_CHUNK_BYTES) {
    manifest.push({
      digest: digestFromBytes(packed.subarray(at, at + DIGEST_BYTES)),
      length: view.getUint32(at + DIGEST_BYTES, true),
    });
  }
  return manifest;
}

/** The sum of the lengths in a packed manifest. */
export function packedLength(packed: Uint8Array): number {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  let length = 0;
  for (let at = DIGEST_BYTES; at < packed.length; at += PACKED_CHUNK_BYTES) {
    length += view.getUint32(at, true);
  }
  return length;
}
