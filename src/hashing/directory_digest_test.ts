import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { comesBefore, type TreePath } from "../core/path.ts";
import { directoryDigest, listingLine } from "./directory_digest.ts";
import { sha256 } from "./sha256.ts";

const encoder = new TextEncoder();
const digest = sha256(encoder.encode("hello\n"));
const file = (path: string, mode = 0o644): Entry => ({
  kind: "file",
  path: path as TreePath,
  size: 6,
  mtime: 1,
  mode,
  digest,
});
const directory = (path: string): Entry => ({
  kind: "directory",
  path: path as TreePath,
  mtime: 1,
  mode: 0o755,
});
const link = (path: string, target: string): Entry => ({
  kind: "symlink",
  path: path as TreePath,
  mtime: 1,
  target,
});

const TREE = [
  directory("docs"),
  file("docs\n\\x"),
  file("docs/read me.txt"),
  link("latest", "docs/é"),
  file("run.sh", 0o755),
  file("\uE000"),
  file("\u{1F600}"),
];

Deno.test("directoryDigest() is pinned: what is stored is compared with it for years", async () => {
  assertEquals<string>(
    await directoryDigest([]),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
  assertEquals(
    TREE.map(listingLine).join(""),
    `d - docs
f 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 docs\\n\\\\x
f 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 docs/read me.txt
l ffd6badd0fe093eabb61811b98f1eab38f6e050637c428c1dda855b8b0f7d0a5 latest
x 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 run.sh
f 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 \uE000
f 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 \u{1F600}
`,
  );
  assertEquals<string>(
    await directoryDigest(TREE),
    "afb29a392caae72199bd16a7f7e91aa4cedbc639c03a4430c13d43ef6b31e980",
  );
});

Deno.test("directoryDigest() is the SHA-256 of the listing, however long it is", async () => {
  const many = Array.from({ length: 3_000 }, (_, i) => file(String(i).padStart(5, "0")));
  for (const tree of [TREE, many]) {
    assertEquals(await directoryDigest(tree), sha256(encoder.encode(tree.map(listingLine).join(""))));
  }
});

Deno.test("directoryDigest() refuses entries out of order, and an entry twice", async () => {
  await assertRejects(() => directoryDigest([file("b"), file("a")]), RangeError, `"a" is out of order`);
  await assertRejects(() => directoryDigest([file("a"), file("a")]), RangeError);
  // In the order of UTF-16 it would come first.
  await assertRejects(() => directoryDigest([file("\u{1F600}"), file("\uE000")]), RangeError);
});

Deno.test("listingLine() tells kinds, contents, targets and programs apart, and nothing else", () => {
  const lines = [
    file("a"),
    file("a", 0o744),
    { ...file("a"), digest: "0".repeat(64) as Digest } as Entry,
    directory("a"),
    link("a", "b"),
    link("a", "c"),
  ].map(listingLine);
  assertEquals(new Set(lines).size, lines.length);
  assertEquals(listingLine({ ...file("a", 0o600), mtime: 9 }), listingLine(file("a", 0o675)));
  assertEquals(listingLine({ ...directory("a"), mode: 0o700 } as Entry), listingLine(directory("a")));
  assertNotEquals(listingLine(file("a\\n")), listingLine(file("a\n")));
});

Deno.test("directoryDigest() differs for trees that differ, also in names made to look like lines", async () => {
  const name = fc.string({ unit: fc.constantFrom("a", "\n", "\\", "\r", " ", "n", "f", "d -") })
    .filter((text) => text !== "");
  const tree = fc.uniqueArray(name, { maxLength: 6 })
    .map((names) => names.sort((a, b) => comesBefore(a, b) ? -1 : 1).map((text) => directory(text)));
  await fc.assert(fc.asyncProperty(tree, tree, async (a, b) => {
    const same = a.length === b.length && a.every(({ path }, i) => path === b[i].path);
    assertEquals(await directoryDigest(a) === await directoryDigest(b), same);
  }));
});
