import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { copyTree, REAL_TREE_FILES, realPair, realSourceTree } from "./real_tree.ts";
import { withTemp } from "./temp.ts";
import { assertSameTree, link, makeTree, snapshotTree, treeDifferences } from "./trees.ts";

Deno.test("realSourceTree() gives over 10,000 files with symbolic links, all its own", () =>
  withTemp(async (dir) => {
    await realSourceTree(dir);
    const kinds = [...(await snapshotTree(dir, { content: false })).values()].map(({ kind }) => kind);
    assertGreater(kinds.filter((kind) => kind === "file").length, REAL_TREE_FILES);
    assertGreater(kinds.filter((kind) => kind === "symlink").length, 100);
    assertEquals(Deno.lstatSync(`${dir}/node_modules/antd/package.json`).nlink, 1);
  }));

Deno.test("realPair() gives two versions that have most in common", async () => {
  const { before, after } = await realPair();
  const [old, young] = [await snapshotTree(before), await snapshotTree(after)];
  const differences = treeDifferences(old, young, { mtime: false });
  assertGreater(differences.length, 10);
  assertLess(differences.filter((line) => line.includes("content")).length, old.size / 2);
});

Deno.test("copyTree() keeps modes, times and links, and parts the names of one file", () =>
  withTemp(async (dir) => {
    const from = makeTree(`${dir}/from`, { "a/b": "1", "a/l": link("b"), "a/gone": link("nowhere") });
    Deno.linkSync(`${from}/a/b`, `${from}/a/same`);
    Deno.chmodSync(`${from}/a/b`, 0o600);
    Deno.utimeSync(`${from}/a`, 1000, 1000);
    await copyTree(from, `${dir}/to`);
    await assertSameTree(from, `${dir}/to`, { directoryMtime: true });
    assertEquals(Deno.lstatSync(`${dir}/to/a/b`).nlink, 1);
  }));
