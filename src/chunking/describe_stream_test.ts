import { assertEquals } from "@std/assert";
import { integer, randomBytes, seededRandom } from "../../tests/support/bytes.ts";
import { DEFAULT_CHUNKING } from "./chunker.ts";
import { describeBytes } from "./describe.ts";
import { DescribeStream } from "./describe_stream.ts";

Deno.test("DescribeStream gives what describeBytes() does, whatever the blocks", () => {
  const random = seededRandom(1);
  for (const size of [1, 20_000, 3_000_000]) {
    const data = randomBytes(2, size);
    using stream = new DescribeStream(DEFAULT_CHUNKING, size);
    for (let at = 0; at < size;) {
      const room = stream.room();
      const part = data.subarray(at, at + Math.min(room.length, 1 + integer(random, 300_000)));
      room.set(part);
      stream.take(room, part.length);
      at += part.length;
    }
    assertEquals(stream.end(), describeBytes(data, DEFAULT_CHUNKING));
  }
  using nothing = new DescribeStream(DEFAULT_CHUNKING, 0);
  assertEquals(nothing.end(), describeBytes(new Uint8Array(), DEFAULT_CHUNKING));
});
