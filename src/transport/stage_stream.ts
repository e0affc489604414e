/** Content that comes as a stream, staged as chunks. @module */
import type { Chunking } from "../chunking/chunker.ts";
import { ChunkStream } from "../chunking/chunk_stream.ts";
import type { Chunk, Manifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { Sha256, sha256 } from "../hashing/sha256.ts";
import type { Receiver } from "./receiver.ts";

/** Bytes staged in one go. */
const GROUP_BYTES = 4 << 20;

/**
 * Stages what `receiver` lacks of `content` and offers it, so that a `put` of the digest
 * given back can follow.
 *
 * @param expectedSize Bytes, when known: bigger files are cut into bigger chunks.
 */
export async function stageStream(
  receiver: Receiver,
  content: AsyncIterable<Uint8Array>,
  chunking: Chunking,
  expectedSize = 0,
): Promise<{ digest: Digest; size: number }> {
  const cutter = new ChunkStream(chunking, chunking.sizesFor(expectedSize));
  const whole = new Sha256();
  const manifest: Manifest = [];
  let size = 0;
  let group: Chunk[] = [];
  let groupBytes = 0;
  const keep = (pieces: Uint8Array[]) => {
    for (const piece of pieces) {
      const chunk: Chunk = { digest: sha256(piece), data: new Uint8Array(piece) };
      manifest.push({ digest: chunk.digest, length: piece.length });
      group.push(chunk);
      groupBytes += piece.length;
    }
  };
  const flush = async () => {
    await receiver.stage(group);
    group = [];
    groupBytes = 0;
  };
  for await (const block of content) {
    whole.update(block);
    size += block.length;
    for (let at = 0; at < block.length;) {
      const room = cutter.room();
      const part = block.subarray(at, at + room.length);
      room.set(part);
      keep(cutter.take(part.length));
      at += part.length;
      if (groupBytes >= GROUP_BYTES) await flush();
    }
  }
  keep(cutter.end());
  if (group.length > 0) await flush();
  const digest = whole.digest();
  await receiver.check([{ digest, size, manifest }]);
  return { digest, size };
}
