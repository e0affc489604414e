/** Content that comes as a stream, staged as chunks. @module */
import type { Chunking } from "../chunking/chunker.ts";
import { ChunkStream, type CutContent } from "../chunking/chunk_stream.ts";
import { MAX_CHUNK_BYTES } from "../chunking/sizes.ts";
import { type Chunk, type Manifest, unpackManifest } from "../core/chunk.ts";
import type { Digest } from "../core/digest.ts";
import { Sha256 } from "../hashing/sha256.ts";
import type { Receiver } from "./receiver.ts";

/** Bytes after which chunks are staged: not before there are two. */
const GROUP_BYTES = MAX_CHUNK_BYTES;

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
  using cutter = new ChunkStream(chunking, chunking.sizesFor(expectedSize));
  const whole = new Sha256();
  const manifest: Manifest = [];
  let size = 0;
  let group: Chunk[] = [];
  let groupBytes = 0;
  const keep = ({ packedManifest, data }: CutContent) => {
    let start = 0;
    for (const chunk of unpackManifest(packedManifest)) {
      manifest.push(chunk);
      group.push({ digest: chunk.digest, data: new Uint8Array(data.subarray(start, start += chunk.length)) });
    }
    groupBytes += data.length;
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
      if (groupBytes > GROUP_BYTES) await flush();
    }
  }
  keep(cutter.end());
  const digest = whole.digest();
  // An only chunk has the name of the content, and was not sent before it was known.
  if (manifest.length === 1) manifest[0].digest = group[0].digest = digest;
  if (group.length > 0) await flush();
  await receiver.check([{ digest, size, manifest }]);
  return { digest, size };
}
