import { assertEquals, assertGreater, assertThrows } from "@std/assert";
import { stub } from "@std/testing/mock";
import { randomBytes } from "../../tests/support/bytes.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { unpackManifest } from "../core/chunk.ts";
import { FilesyncError } from "../core/errors.ts";
import { chunkDigest } from "../hashing/chunk_digest.ts";
import { sha256 } from "../hashing/sha256.ts";
import { DEFAULT_CHUNKING } from "./chunker.ts";
import {
  contentOf,
  cutFile,
  describeBytes,
  describeFile,
  digestFile,
  type FileContent,
  SMALL_FILE_BYTES,
} from "./describe.ts";

const MIN = DEFAULT_CHUNKING.sizesFor(0).min;

function describeOf(data: Uint8Array): FileContent {
  using temp = new TempDirectory();
  Deno.writeFileSync(`${temp.path}/file`, data);
  return describeFile(`${temp.path}/file`, DEFAULT_CHUNKING);
}

/** Describes a file that holds `data` and had `size` bytes when it was looked at. */
function describeChanged(data: Uint8Array, size: number): FileContent {
  const { statSync } = Deno;
  using _ = stub(Deno, "statSync", (path) => ({ ...statSync(path), size }));
  return describeOf(data);
}

/** Checks every part of `content` against `data` by other means. */
function assertDescribes(content: FileContent, data: Uint8Array): void {
  assertEquals([content.size, content.digest], [data.length, sha256(data)]);
  let at = 0;
  const chunks = unpackManifest(content.packedManifest);
  // An only chunk has the name of the content.
  const nameOf = chunks.length === 1 ? sha256 : chunkDigest;
  for (const { digest, length } of chunks) assertEquals(digest, nameOf(data.subarray(at, at += length)));
  assertEquals(at, data.length);
}

Deno.test("describeFile() gives an empty file an empty manifest", () => {
  const content = describeOf(new Uint8Array(0));
  assertDescribes(content, new Uint8Array(0));
  assertEquals(content.packedManifest.length, 0);
});

Deno.test("describeFile() gives a tiny file one chunk, which is the file", () => {
  for (const length of [1, MIN]) {
    const { digest, packedManifest } = describeOf(randomBytes(1, length));
    assertEquals(unpackManifest(packedManifest), [{ digest, length }]);
  }
});

Deno.test("describeFile() and describeBytes() describe the same, small or large", () => {
  for (const length of [MIN + 1, 300_000, SMALL_FILE_BYTES, SMALL_FILE_BYTES + 1, 5_000_000]) {
    const data = randomBytes(2, length);
    const content = describeOf(data);
    assertDescribes(content, data);
    assertEquals(content, describeBytes(data, DEFAULT_CHUNKING));
  }
});

Deno.test("digestFile() and cutFile() find what describeFile() does", () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/file`;
  for (const length of [0, 1, MIN, MIN + 1, SMALL_FILE_BYTES, 3_000_000]) {
    const data = randomBytes(8, length);
    Deno.writeFileSync(path, data);
    const whole = digestFile(path);
    assertEquals(whole, { size: length, digest: sha256(data) });
    assertEquals(contentOf(whole, cutFile(path, DEFAULT_CHUNKING)), describeFile(path, DEFAULT_CHUNKING));
  }
});

Deno.test("cutFile() cuts a range, and leaves out what could be cut otherwise with what follows", () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/file`;
  const data = randomBytes(9, 4_000_000);
  Deno.writeFileSync(path, data);
  const cut = (start: number, end: number) => unpackManifest(cutFile(path, DEFAULT_CHUNKING, { start, end }));
  const whole = cut(0, data.length);
  const second = whole[0].length;
  assertEquals(cut(second, data.length), whole.slice(1));
  const part = cut(second, 2_000_000);
  assertEquals(part, whole.slice(1, 1 + part.length));
  const end = part.reduce((sum, { length }) => sum + length, second);
  assertGreater(end, 2_000_000 - DEFAULT_CHUNKING.sizesFor(0).max);
});

Deno.test("digestFile() reads exactly the file that was there in the beginning", () => {
  const data = randomBytes(10, 3_000_000);
  const { statSync } = Deno;
  using temp = new TempDirectory();
  Deno.writeFileSync(`${temp.path}/file`, data);
  for (const size of [0, 70_000, 2_500_000, 4_000_000]) {
    using _ = stub(Deno, "statSync", (path) => ({ ...statSync(path), size }));
    const expected = data.subarray(0, size);
    assertEquals(digestFile(`${temp.path}/file`), { size: expected.length, digest: sha256(expected) });
  }
});

Deno.test("describeFile() does not mix up a file with the one before it", () => {
  const data = randomBytes(3, 100_000);
  describeOf(data);
  assertDescribes(describeOf(data.subarray(0, 50_000)), data.subarray(0, 50_000));
});

Deno.test("describeFile() describes the beginning of a file that grows", () => {
  const data = randomBytes(4, 4_000_000);
  for (const size of [0, 10, 70_000, 2_500_000]) {
    assertDescribes(describeChanged(data, size), data.subarray(0, size));
  }
});

Deno.test("describeFile() describes what is left of a file that shrinks", () => {
  for (const [left, size] of [[0, 10], [70_000, 70_001], [0, 3_000_000], [2_500_000, 3_000_000]]) {
    const data = randomBytes(5, left);
    assertDescribes(describeChanged(data, size), data);
  }
});

Deno.test({
  name: "describeFile() reads an open file by its number",
  ignore: Deno.build.os !== "linux",
  fn() {
    using temp = new TempDirectory();
    const data = randomBytes(6, 1000);
    const path = `${temp.path}/file`;
    Deno.writeFileSync(path, data);
    using _file = Deno.openSync(path);
    const links = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => `/proc/self/fd/${name}`);
    const link = links.find((link) => readLink(link) === path)!;
    assertDescribes(describeFile(link, DEFAULT_CHUNKING), data);
  },
});

Deno.test("describeFile() says what stands in its way", () => {
  using temp = new TempDirectory();
  const missing = `${temp.path}/missing`;
  const error = assertThrows(() => describeFile(missing, DEFAULT_CHUNKING), FilesyncError);
  assertEquals([error.code, error.message], ["not-found", `Cannot read "${missing}": it does not exist`]);
  assertThrows(() => describeFile(temp.path, DEFAULT_CHUNKING), FilesyncError, "not a regular file");
});

Deno.test({
  name: "describeFile() does not wait for the writer of a pipe",
  ignore: Deno.build.os === "windows",
  fn() {
    using temp = new TempDirectory();
    new Deno.Command("mkfifo", { args: [`${temp.path}/pipe`] }).outputSync();
    assertThrows(
      () => describeFile(`${temp.path}/pipe`, DEFAULT_CHUNKING),
      FilesyncError,
      "not a regular file",
    );
  },
});

Deno.test("describeBytes() finds the chunks that two files share", () => {
  const data = randomBytes(7, 1_000_000);
  const changed = data.slice();
  changed[500_000] ^= 1;
  const digests = (data: Uint8Array) =>
    unpackManifest(describeBytes(data, DEFAULT_CHUNKING).packedManifest).map(({ digest }) => digest);
  const known = new Set(digests(data));
  const shared = digests(changed).filter((digest) => known.has(digest));
  assertGreater(shared.length / known.size, 0.9);
});

function readLink(path: string): string | undefined {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return undefined; // The number by which the directory itself was read.
  }
}
