/** What a file holds: its size, digest and chunks, all from one pass over it or each by itself. @module */
import { PACKED_CHUNK_BYTES, packManifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { Sha256, sha256 } from "../hashing/sha256.ts";
import type { Chunking } from "./chunker.ts";
import { ChunkStream } from "./chunk_stream.ts";
import type { ChunkSizes } from "./sizes.ts";

/** What tells one content from another. */
export interface FileDigest {
  /** Bytes. */
  size: number;
  /** SHA-256 of the whole. */
  digest: Digest;
}

/** The content of a file, described. */
export interface FileContent extends FileDigest {
  /** Its chunks, to be read by `unpackManifest`; they add up to `size`. */
  packedManifest: Uint8Array<ArrayBuffer>;
}

/** A part of a file: its first byte, and the byte after the last. */
export interface FileRange {
  start: number;
  end: number;
}

/** Files up to this many bytes are described from memory in one go. */
export const SMALL_FILE_BYTES = 1 << 20;

// Shared by all calls: reading is synchronous, and nothing of it is given away.
const block = new Uint8Array(SMALL_FILE_BYTES);

/**
 * Describes the regular file at `nativePath`. Of a file that grows meanwhile, the part that was
 * there in the beginning is described; of one that shrinks, what was left: always exactly the
 * bytes that were read.
 *
 * @param size What {@linkcode sizeOfFile} says, when it was asked already.
 * @throws {FilesyncError} When there is no such file, it is not a regular one, or cannot be read.
 */
export function describeFile(
  nativePath: string,
  chunking: Chunking,
  size: number = sizeOfFile(nativePath),
): FileContent {
  return reading(nativePath, (file) => {
    if (size <= SMALL_FILE_BYTES) return describeBytes(readBlock(file, size), chunking);
    const whole = new Sha256();
    const look = (data: Uint8Array) => void whole.update(data);
    const { size: found, manifest } = cut(
      (room) => readInto(file, room),
      size,
      chunking,
      chunking.sizesFor(size),
      { look },
    );
    return contentOf({ size: found, digest: whole.digest() }, manifest);
  });
}

/**
 * Size and digest of the regular file at `nativePath`, of the same bytes as {@linkcode describeFile}.
 *
 * @throws {FilesyncError} As {@linkcode describeFile} does.
 */
export function digestFile(nativePath: string, size: number = sizeOfFile(nativePath)): FileDigest {
  return reading(nativePath, (file) => {
    if (size <= SMALL_FILE_BYTES) {
      const data = readBlock(file, size);
      return { size: data.length, digest: sha256(data) };
    }
    const whole = new Sha256();
    let read = 0;
    while (read < size) {
      const data = readBlock(file, size - read);
      if (data.length === 0) break;
      whole.update(data);
      read += data.length;
    }
    return { size: read, digest: whole.digest() };
  });
}

/**
 * The packed manifest of the regular file at `nativePath`, or of a range of it, as though a chunk began
 * there. Of a range that is not the file's last, the end is left out that could be cut otherwise with
 * what follows. An only chunk is named like any other: {@linkcode contentOf} gives it its name.
 *
 * @throws {FilesyncError} As {@linkcode describeFile} does.
 */
export function cutFile(
  nativePath: string,
  chunking: Chunking,
  range?: FileRange,
  size: number = sizeOfFile(nativePath),
): Uint8Array<ArrayBuffer> {
  return reading(nativePath, (file) => {
    const { start, end } = range ?? { start: 0, end: size };
    if (start > 0) file.seekSync(start, Deno.SeekMode.Start);
    const length = Math.min(end, size) - start;
    const more = end < size;
    return cut((room) => readInto(file, room), length, chunking, chunking.sizesFor(size), { more }).manifest;
  });
}

/** Describes `data` as a file would be that holds it. */
export function describeBytes(data: Uint8Array, chunking: Chunking): FileContent {
  const whole = { size: data.length, digest: sha256(data) };
  const sizes = chunking.sizesFor(data.length);
  // Most files of most trees: nothing to cut.
  if (data.length <= sizes.min) return contentOf(whole, new Uint8Array());
  let at = 0;
  const read = (room: Uint8Array) => {
    const part = data.subarray(at, at += room.length);
    room.set(part);
    return part.length;
  };
  return contentOf(whole, cut(read, data.length, chunking, sizes).manifest);
}

/** The content that is `whole` and has the chunks of `manifest`, which names an only chunk as the content. */
export function contentOf(whole: FileDigest, manifest: Uint8Array<ArrayBuffer>): FileContent {
  if (manifest.length > PACKED_CHUNK_BYTES) return { ...whole, packedManifest: manifest };
  const { size: length, digest } = whole;
  return { ...whole, packedManifest: packManifest(length === 0 ? [] : [{ digest, length }]) };
}

/**
 * The size of the regular file at `nativePath`, in bytes: to be known before it is opened, because opening a pipe
 * would wait for its writer.
 *
 * @throws {FilesyncError} When there is no such file, or it is not a regular one.
 */
export function sizeOfFile(nativePath: string): number {
  const operation = operationOn(nativePath);
  try {
    const { isFile, size } = Deno.statSync(nativePath);
    if (isFile) return size;
  } catch (error) {
    throw toFilesyncError(operation, error);
  }
  throw new FilesyncError({
    code: "conflict",
    operation,
    reason: "it is not a regular file",
    permanent: true,
  });
}

/** Opens a regular file to do something with it. */
function reading<T>(nativePath: string, read: (file: Deno.FsFile) => T): T {
  try {
    using file = Deno.openSync(nativePath);
    return read(file);
  } catch (error) {
    throw toFilesyncError(operationOn(nativePath), error);
  }
}

function operationOn(nativePath: string): string {
  return `read ${JSON.stringify(nativePath)}`;
}

/**
 * Cuts the next `length` bytes of what `read` fills a room with, giving how many there were; shows each
 * block to `look`.
 */
function cut(
  read: (room: Uint8Array) => number,
  length: number,
  chunking: Chunking,
  sizes: ChunkSizes,
  { look, more = false }: { look?: (data: Uint8Array) => void; more?: boolean } = {},
): { size: number; manifest: Uint8Array<ArrayBuffer> } {
  using stream = new ChunkStream(chunking, sizes);
  const parts: Uint8Array[] = [];
  let size = 0;
  while (size < length) {
    const room = stream.room().subarray(0, length - size);
    const filled = read(room);
    if (filled === 0) break;
    look?.(room.subarray(0, filled));
    parts.push(stream.take(filled).packedManifest.slice());
    size += filled;
  }
  if (!more) parts.push(stream.end().packedManifest);
  return { size, manifest: joined(parts) };
}

/** The next bytes of `file`, at most `most`; void with the next call. */
function readBlock(file: Deno.FsFile, most: number): Uint8Array {
  return block.subarray(0, readInto(file, block.subarray(0, most)));
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

/** Copies `parts` one after the other. */
export function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
