import { assertEquals, assertLess } from "@std/assert";
import { randomBytes } from "../../tests/support/bytes.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { describeBytes } from "../chunking/describe.ts";
import { type Chunk, unpackManifest } from "../core/chunk.ts";
import { chunkDigest } from "../hashing/chunk_digest.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { ContentOffer, Receiver } from "./receiver.ts";
import { stageStream } from "./stage_stream.ts";

/** A receiver that keeps what it is given. */
function keeper() {
  const groups: Chunk[][] = [];
  const offers: ContentOffer[] = [];
  const receiver = {
    stage: (chunks: Chunk[]) => Promise.resolve(void groups.push(chunks)),
    check: (given: ContentOffer[]) => Promise.resolve(void offers.push(...given)),
  } as unknown as Receiver;
  return { groups, offers, receiver };
}

for (const pieces of [1, 1_000, 65_536, 9 << 20]) {
  Deno.test(`stageStream() cuts content that comes in pieces of ${pieces} bytes as it cuts the whole`, async () => {
    const content = randomBytes(1, pieces === 1 ? 30_000 : 9 << 20);
    const { groups, offers, receiver } = keeper();
    const stream = ReadableStream.from(function* () {
      for (let at = 0; at < content.length; at += pieces) yield content.slice(at, at + pieces);
    }());
    const given = await stageStream(receiver, stream, DEFAULT_CHUNKING, content.length);
    const whole = describeBytes(content, DEFAULT_CHUNKING);
    assertEquals(given, { digest: whole.digest, size: content.length });
    assertEquals(offers, [{ ...given, manifest: unpackManifest(whole.packedManifest) }]);
    const staged = groups.flat();
    for (const { digest, data } of staged) assertEquals(chunkDigest(data), digest);
    assertEquals(await new Blob(staged.map(({ data }) => data)).bytes(), content);
    // In several goes, so that no more than some megabytes are held in memory.
    for (const group of groups) assertLess(group.reduce((sum, { data }) => sum + data.length, 0), 8 << 20);
  });
}

Deno.test("stageStream() offers an empty file, and stages nothing", async () => {
  const { groups, offers, receiver } = keeper();
  const given = await stageStream(receiver, new Blob([]).stream(), DEFAULT_CHUNKING);
  assertEquals(given, { digest: sha256(new Uint8Array()), size: 0 });
  assertEquals(offers, [{ ...given, manifest: [] }]);
  assertEquals(groups, []);
});

Deno.test("stageStream() names the only chunk of a content as the content", async () => {
  const content = randomBytes(2, 4_000);
  const { groups, offers, receiver } = keeper();
  const given = await stageStream(receiver, new Blob([content]).stream(), DEFAULT_CHUNKING);
  const digest = sha256(content);
  assertEquals(given, { digest, size: content.length });
  assertEquals(offers, [{ ...given, manifest: [{ digest, length: content.length }] }]);
  assertEquals(groups, [[{ digest, data: content }]]);
});
