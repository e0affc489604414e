import { assertEquals, assertThrows } from "@std/assert";
import { randomBytes } from "../../tests/support/bytes.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { type Chunk, packManifest } from "../core/chunk.ts";
import { FilesyncError } from "../core/errors.ts";
import { openDatabase } from "../database/open.ts";
import { chunkDigest } from "../hashing/chunk_digest.ts";
import { sha256 } from "../hashing/sha256.ts";
import { INDEX_MIGRATIONS } from "./schema.ts";
import { Staging } from "./staging.ts";
import { TreeIndex } from "./tree_index.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY = 24 * 3600 * 1000;

function chunk(seed: number, length = 1_000): Chunk {
  const data = randomBytes(seed, length);
  return { digest: chunkDigest(data), data };
}

function open(directory: string, now = NOW) {
  const index = new TreeIndex(
    openDatabase(`${directory}/index.db`, { name: "index", migrations: INDEX_MIGRATIONS }),
  );
  const staging = new Staging(index, `${directory}/pack`, now);
  return {
    staging,
    bytesOf({ digest }: Chunk) {
      const place = staging.placeOf(digest);
      if (place === undefined) return undefined;
      const into = new Uint8Array(place.length);
      assertEquals(staging.read(into, place.start), place.length);
      return into;
    },
    [Symbol.dispose]() {
      staging[Symbol.dispose]();
      index[Symbol.dispose]();
    },
  };
}

const packSize = (directory: string) => Deno.statSync(`${directory}/pack`).size;

Deno.test("keep() keeps chunks over a restart, each once", () => {
  using temp = new TempDirectory();
  const chunks = [chunk(1), chunk(2, 70_000), chunk(3, 1)];
  {
    using opened = open(temp.path);
    opened.staging.keep([chunks[0], chunks[1], chunks[0]], NOW);
    opened.staging.keep([chunks[1], chunks[2]], NOW);
    assertEquals(packSize(temp.path), 71_001);
  }
  using opened = open(temp.path);
  for (const one of chunks) assertEquals(opened.bytesOf(one), one.data);
  assertEquals(opened.staging.placeOf(chunk(4).digest), undefined);
});

Deno.test("keep() keeps none of the chunks when one is not what its digest says", () => {
  using temp = new TempDirectory();
  using opened = open(temp.path);
  const [good, wrong] = [chunk(1), { digest: chunk(2).digest, data: chunk(3).data }];
  const error = assertThrows(() => opened.staging.keep([good, wrong], NOW), FilesyncError) as FilesyncError;
  assertEquals([error.code, error.permanent], ["digest-mismatch", false]);
  assertEquals([opened.bytesOf(good), packSize(temp.path)], [undefined, 0]);
});

Deno.test("release() drops an offer with its chunks, and makes the pack small again", () => {
  using temp = new TempDirectory();
  using opened = open(temp.path);
  const { staging } = opened;
  const [a, b, c] = [chunk(1), chunk(2), chunk(3)];
  const manifestOf = (...chunks: Chunk[]) =>
    packManifest(chunks.map(({ digest, data }) => ({ digest, length: data.length })));
  const [one, two] = [sha256(randomBytes(8, 1)), sha256(randomBytes(9, 1))];
  staging.offer(one, manifestOf(a, b), NOW);
  staging.offer(two, manifestOf(c), NOW);
  staging.keep([a, b, c], NOW);
  assertEquals(staging.manifestOf(one), manifestOf(a, b) as Uint8Array);
  staging.release([one, one, sha256(randomBytes(10, 1))]);
  assertEquals([opened.bytesOf(a), opened.bytesOf(b), opened.bytesOf(c)], [undefined, undefined, c.data]);
  assertEquals([staging.manifestOf(one), packSize(temp.path)], [undefined, 3_000]);
  staging.release([two]);
  assertEquals(packSize(temp.path), 0);
  staging.keep([a], NOW);
  assertEquals(opened.bytesOf(a), a.data);
});

Deno.test("keep() takes a chunk that is a whole content, by the name of the content", () => {
  using temp = new TempDirectory();
  using opened = open(temp.path);
  const data = randomBytes(1, 1_000);
  const only = { digest: sha256(data), data };
  opened.staging.keep([only], NOW);
  assertEquals(opened.bytesOf(only), data);
});

Deno.test("offer() goes by the manifest that was given last", () => {
  using temp = new TempDirectory();
  using opened = open(temp.path);
  const { digest } = chunk(1);
  opened.staging.offer(digest, new Uint8Array(36), NOW);
  opened.staging.offer(digest, new Uint8Array(72), NOW);
  assertEquals(opened.staging.manifestOf(digest)?.length, 72);
});

Deno.test("clear() forgets everything", () => {
  using temp = new TempDirectory();
  using opened = open(temp.path);
  opened.staging.keep([chunk(1)], NOW);
  opened.staging.offer(chunk(2).digest, new Uint8Array(), NOW);
  opened.staging.clear();
  assertEquals([opened.bytesOf(chunk(1)), opened.staging.manifestOf(chunk(2).digest)], [
    undefined,
    undefined,
  ]);
  assertEquals(packSize(temp.path), 0);
});

Deno.test("Staging drops after a week what nobody came back for", () => {
  using temp = new TempDirectory();
  const [old, young] = [chunk(1), chunk(2)];
  {
    using opened = open(temp.path);
    opened.staging.keep([old], NOW);
    opened.staging.offer(old.digest, new Uint8Array(), NOW);
    opened.staging.keep([young], NOW + 5 * DAY);
  }
  using opened = open(temp.path, NOW + 8 * DAY);
  assertEquals([opened.bytesOf(old), opened.bytesOf(young)], [undefined, young.data]);
  assertEquals(opened.staging.manifestOf(old.digest), undefined);
});

Deno.test("Staging forgets chunks whose bytes a power cut took", () => {
  using temp = new TempDirectory();
  {
    using opened = open(temp.path);
    opened.staging.keep([chunk(1), chunk(2)], NOW);
  }
  Deno.truncateSync(`${temp.path}/pack`, 1_500);
  using opened = open(temp.path);
  assertEquals([opened.bytesOf(chunk(1)), opened.bytesOf(chunk(2))], [chunk(1).data, undefined]);
  opened.staging.keep([chunk(2)], NOW);
  assertEquals(opened.bytesOf(chunk(2)), chunk(2).data);
});

Deno.test("read() gives fewer bytes when the pack ends", () => {
  using temp = new TempDirectory();
  using opened = open(temp.path);
  opened.staging.keep([chunk(1)], NOW);
  assertEquals(opened.staging.read(new Uint8Array(50), 990), 10);
  assertEquals(opened.staging.read(new Uint8Array(50), 2_000), 0);
});

Deno.test("release() gives back the room after a chunk that nobody comes for", () => {
  using temp = new TempDirectory();
  using opened = open(temp.path);
  const [left, ...wanted] = [chunk(1), chunk(2, 70_000), chunk(3)];
  opened.staging.keep([left, ...wanted], NOW);
  const content = sha256(new Uint8Array());
  const manifest = wanted.map(({ digest, data }) => ({ digest, length: data.length }));
  opened.staging.offer(content, packManifest(manifest), NOW);
  opened.staging.release([content]);
  assertEquals(packSize(temp.path), 1_000);
  opened.staging.keep([wanted[1]], NOW);
  assertEquals([opened.bytesOf(left), opened.bytesOf(wanted[1])], [left.data, wanted[1].data]);
  opened.staging.expire(NOW + 8 * DAY);
  assertEquals([packSize(temp.path), opened.bytesOf(left)], [0, undefined]);
});
