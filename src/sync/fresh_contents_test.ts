import { assert, assertEquals } from "@std/assert";
import { describeBytes } from "../chunking/describe.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import type { OpenFile } from "../files/tree_root.ts";
import { FreshContents } from "./fresh_contents.ts";

/** An open file that gives at most `most` bytes at a time, of fewer than its size says when `cut` bytes are gone. */
function fileOf(data: Uint8Array, { most = Infinity, cut = 0 } = {}): OpenFile {
  return {
    nativePath: "",
    stat: { size: data.length } as OpenFile["stat"],
    read(into, position) {
      const part = data.subarray(position, Math.min(position + most, data.length - cut)).subarray(
        0,
        into.length,
      );
      into.set(part);
      return part.length;
    },
    [Symbol.dispose]() {},
  };
}

function noise(length: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(length);
  let state = length + 1;
  for (let i = 0; i < length; i++) data[i] = (state = (state * 1_103_515_245 + 12_345) >>> 0) >>> 16;
  return data;
}

Deno.test("FreshContents.describe() describes as describeFile does, and keeps what it read", () => {
  const fresh = new FreshContents();
  const files = [0, 1, 5_000, 200_000, 1 << 20].map(noise);
  for (const data of files) {
    assertEquals(fresh.describe(fileOf(data, { most: 70_000 })), describeBytes(data, DEFAULT_CHUNKING));
  }
  for (const data of files) assertEquals(fresh.get(describeBytes(data, DEFAULT_CHUNKING).digest), data);
});

Deno.test("FreshContents.describe() takes of a file that shrinks what is left", () => {
  const fresh = new FreshContents();
  const data = noise(100);
  const content = fresh.describe(fileOf(data, { cut: 10 }));
  assertEquals(content, describeBytes(data.subarray(0, 90), DEFAULT_CHUNKING));
  assertEquals(fresh.get(content.digest), data.subarray(0, 90));
});

Deno.test("FreshContents keeps no more than it may, and makes room again", () => {
  const fresh = new FreshContents(1_000);
  const [a, b, c] = [noise(100), noise(101), noise(102)];
  const digests = [a, b, c].map((data) => fresh.describe(fileOf(data)).digest);
  assertEquals(digests.map((digest) => fresh.get(digest)), [a, b, undefined]);
  fresh.drop(digests[0]);
  fresh.drop(digests[0]);
  fresh.describe(fileOf(c));
  assertEquals(digests.map((digest) => fresh.get(digest)), [undefined, b, c]);
  fresh.clear();
  fresh.describe(fileOf(a));
  assertEquals(digests.map((digest) => fresh.get(digest)), [a, undefined, undefined]);
});

Deno.test("FreshContents keeps few of the smallest contents: each costs more than its bytes", () => {
  const fresh = new FreshContents(10_000);
  const digests = Array.from(
    { length: 1_000 },
    (_, i) => fresh.describe(fileOf(new TextEncoder().encode(`${i}`))).digest,
  );
  const kept = digests.filter((digest) => fresh.get(digest) !== undefined).length;
  assert(kept > 10 && kept < 50, `${kept} are kept`);
});
