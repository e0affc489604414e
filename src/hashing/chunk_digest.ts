/**
 * The names of chunks: BLAKE3, which is computed together with the cuts. A content that has only one
 * chunk is the exception: its chunk is the content, and named by the content's SHA-256.
 *
 * @module
 */
import type { Digest } from "../core/digest.ts";
import { blake3 } from "./blake3.ts";
import { sha256 } from "./sha256.ts";

/** The digest that names a chunk of a content that has several. */
export function chunkDigest(data: Uint8Array): Digest {
  return blake3(data);
}

/** Whether `digest` names a chunk with the bytes of `data`, be it one of several or a whole content. */
export function namesChunk(digest: Digest, data: Uint8Array): boolean {
  return digest === chunkDigest(data) || digest === sha256(data);
}
