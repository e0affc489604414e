/** What a file holds: its size, digest and chunks, all from one pass over it. @module */
import { type ChunkRef, packManifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { Sha256, sha256 } from "../hashing/sha256.ts";
import type { Chunking } from "./chunker.ts";
import { ChunkStream } from "./chunk_stream.ts";

/** The content of a file, described. */
export interface FileContent {
  /** Bytes. */
  size: number;
  /** SHA-256 of the whole. */
  digest: Digest;
  /** Its chunks, to be read by `unpackManifest`; they add up to `size`. */
  packedManifest: Uint8Array<ArrayBuffer>;
}

/** Files up to this many bytes are described from memory in one go. */
export const SMALL_FILE_BYTES = 1 << 20;

// Shared by all calls: describing is synchronous, and nothing of it is given away.
const small = new Uint8Array(SMALL_FILE_BYTES);

/**
 * Describes the regular file at `nativePath`. Of a file that grows meanwhile, the part that was
 * there in the beginning is described; of one that shrinks, what was left: always exactly the
 * bytes that were read.
 *
 * @throws {FilesyncError} When there is no such file, it is not a regular one, or cannot be read.
 */
export function describeFile(nativePath: string, chunking: Chunking): FileContent {
  const operation = `read ${JSON.stringify(nativePath)}`;
  try {
    const { isFile, size } = Deno.statSync(nativePath);
    // Opening a pipe would wait for its writer.
    if (!isFile) {
      throw new FilesyncError({
        code: "conflict",
        operation,
        reason: "it is not a regular file",
        permanent: true,
      });
    }
    using file = Deno.openSync(nativePath);
    if (size > SMALL_FILE_BYTES) return describeLarge(file, size, chunking);
    return describeBytes(small.subarray(0, readInto(file, small.subarray(0, size))), chunking);
  } catch (error) {
    throw toFilesyncError(operation, error);
  }
}

/** Describes `data` as a file would be that holds it. */
export function describeBytes(data: Uint8Array, chunking: Chunking): FileContent {
  const digest = sha256(data);
  const lengths = chunking.cut(data, chunking.sizesFor(data.length), false);
  let start = 0;
  const manifest = lengths.map((length): ChunkRef => {
    const chunk = data.subarray(start, start += length);
    return { length, digest: length === data.length ? digest : sha256(chunk) };
  });
  return { size: data.length, digest, packedManifest: packManifest(manifest) };
}

function describeLarge(file: Deno.FsFile, sizeAtOpen: number, chunking: Chunking): FileContent {
  const stream = new ChunkStream(chunking, chunking.sizesFor(sizeAtOpen));
  const whole = new Sha256();
  const manifest: ChunkRef[] = [];
  const add = (chunk: Uint8Array) => manifest.push({ digest: sha256(chunk), length: chunk.length });
  let size = 0;
  while (size < sizeAtOpen) {
    const room = stream.room().subarray(0, sizeAtOpen - size);
    const length = readInto(file, room);
    if (length === 0) break;
    whole.update(room.subarray(0, length));
    stream.take(length).forEach(add);
    size += length;
  }
  stream.end().forEach(add);
  return { size, digest: whole.digest(), packedManifest: packManifest(manifest) };
}

/** Fills `buffer` from `file`; gives the bytes read, fewer only when the file ends. */
function readInto(file: Deno.FsFile, buffer: Uint8Array): number {
  let filled = 0;
  while (filled < buffer.length) {
    const length = file.readSync(buffer.subarray(filled));
    if (length === null) break;
    filled += length;
  }
  return filled;
}
