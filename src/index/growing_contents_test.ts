import { assert, assertEquals } from "@std/assert";
import { randomBytes } from "../../tests/support/bytes.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { describeBytes } from "../chunking/describe.ts";
import type { Digest } from "../core/digest.ts";
import { openDatabase } from "../database/open.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { GrowingContents } from "./growing_contents.ts";
import { INDEX_MIGRATIONS } from "./schema.ts";
import { Staging } from "./staging.ts";
import { TreeIndex } from "./tree_index.ts";

const NOW = Date.UTC(2026, 0, 1);
const WEEK = 7 * 24 * 3600 * 1000;

/** Contents in the making of the tree at `directory`. */
function open(directory: string) {
  const resources = new DisposableStack();
  const root = resources.use(TreeRoot.open(directory));
  const index = resources.use(
    new TreeIndex(
      openDatabase(`${directory}/.filesync/index.db`, { name: "index", migrations: INDEX_MIGRATIONS }),
    ),
  );
  const staging = resources.use(new Staging(index, `${directory}/.filesync/chunks.pack`, NOW));
  const growing = resources.use(new GrowingContents(root, index, (content) => staging.manifestOf(content)));
  return { growing, staging, [Symbol.dispose]: () => resources.dispose() };
}

/** Offers a content and lets all of it arrive. */
function arrive({ growing, staging }: ReturnType<typeof open>, seed: number): Digest {
  const data = randomBytes(seed, 200_000);
  const { digest, packedManifest } = describeBytes(data, DEFAULT_CHUNKING);
  staging.offer(digest, packedManifest, NOW);
  growing.keep([{ content: digest, first: 0, data }], () => {});
  return digest;
}

const filesOf = (directory: string) =>
  Array.from(Deno.readDirSync(`${directory}/.filesync/tmp`), ({ name }) => name);

Deno.test("clear() makes room, also where nobody knows any more what was to come", () => {
  using temp = new TempDirectory();
  {
    using opened = open(temp.path);
    for (const seed of [1, 2]) arrive(opened, seed);
    assertEquals(filesOf(temp.path).length, 2);
  }
  using opened = open(temp.path);
  // As a full disk has it: none of them is open since the start.
  opened.staging.clear();
  opened.growing.clear();
  assertEquals(filesOf(temp.path), []);
});

Deno.test("expire() removes what nobody offers any more, and nothing that is lent", () => {
  using temp = new TempDirectory();
  using opened = open(temp.path);
  const [lent, left] = [1, 2].map((seed) => arrive(opened, seed));
  const growing = opened.growing.take(lent);
  assert(growing !== undefined);
  opened.growing.expire();
  assertEquals(filesOf(temp.path).sort(), [lent, left].sort());
  opened.staging.expire(NOW + WEEK + 1);
  opened.growing.expire();
  assertEquals(filesOf(temp.path), [lent]);
  opened.growing.giveBack(growing);
  opened.growing.expire();
  assertEquals(filesOf(temp.path), []);
});

Deno.test("giveBack() removes what was forgotten while it was lent", () => {
  using temp = new TempDirectory();
  using opened = open(temp.path);
  const content = arrive(opened, 1);
  const growing = opened.growing.take(content);
  assert(growing !== undefined);
  // Another path has got the content, by a copy.
  opened.growing.release([content]);
  opened.growing.giveBack(growing);
  assertEquals(filesOf(temp.path), []);
});

Deno.test("take() can go on with a file that has got its mode, and may not be written by anybody", () => {
  using temp = new TempDirectory();
  using opened = open(temp.path);
  const content = arrive(opened, 1);
  const growing = opened.growing.take(content)!;
  growing.temp.setAttributes({ mode: 0o444 });
  opened.growing.giveBack(growing);
  const again = opened.growing.take(content);
  assert(again !== undefined && again.arrived.every((has) => has === 1));
  // Who is not root could not have opened it otherwise.
  if (Deno.build.os !== "windows") {
    assertEquals(Deno.statSync(`${temp.path}/.filesync/tmp/${content}`).mode! & 0o777, 0o600);
  }
  opened.growing.giveBack(again);
});
