import { assertEquals } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { DescribePool } from "../chunking/describe_pool.ts";
import type { Entry } from "../core/entry.ts";
import type { Problem } from "../core/problem.ts";
import { IgnoreRules } from "../files/ignore_rules.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { readTree } from "./read_tree.ts";
import { type Finding, verifyTree } from "./verify_tree.ts";

async function read(path: string, ignore: string[] = []): Promise<{ entries: Entry[]; problems: Problem[] }> {
  using root = TreeRoot.open(path);
  using pool = new DescribePool(DEFAULT_CHUNKING);
  const problems: Problem[] = [];
  const entries: Entry[] = [];
  const options = {
    pool,
    rules: IgnoreRules.load(root, ignore),
    onProblem: (p: Problem) => problems.push(p),
  };
  for await (const { entry } of readTree(root, options)) entries.push(entry);
  return { entries, problems };
}

async function verify(path: string, recorded: Entry[]): Promise<Finding[]> {
  using root = TreeRoot.open(path);
  using pool = new DescribePool(DEFAULT_CHUNKING);
  const options = { pool, rules: IgnoreRules.load(root), onProblem: () => {} };
  return await Array.fromAsync(verifyTree(root, recorded, options));
}

Deno.test("readTree() gives all entries in the order of paths, and only them", async () => {
  using temp = new TempDirectory();
  Deno.mkdirSync(`${temp.path}/a/b`, { recursive: true });
  Deno.mkdirSync(`${temp.path}/.filesync`);
  Deno.writeTextFileSync(`${temp.path}/a/b/c`, "1");
  Deno.writeTextFileSync(`${temp.path}/a.txt`, "2");
  Deno.writeTextFileSync(`${temp.path}/left.tmp`, "3");
  Deno.symlinkSync("/etc/passwd", `${temp.path}/z`);
  const { entries, problems } = await read(temp.path, ["*.tmp"]);
  assertEquals(entries.map(({ kind, path }) => `${kind} ${path}`), [
    "directory a",
    "file a.txt",
    "directory a/b",
    "file a/b/c",
    "symlink z",
  ]);
  assertEquals(problems, []);
});

Deno.test("verifyTree() tells damage from change", async () => {
  using temp = new TempDirectory();
  const write = (name: string, text: string, time = 1_600_000_000) => {
    Deno.writeTextFileSync(`${temp.path}/${name}`, text);
    Deno.utimeSync(`${temp.path}/${name}`, time, time);
  };
  for (const name of ["damaged", "edited", "grown", "removed", "same", "touched"]) write(name, "0123");
  const { entries } = await read(temp.path);
  write("damaged", "0124");
  write("edited", "0124", 1_700_000_000);
  write("grown", "01234");
  write("touched", "0123", 1_700_000_000);
  write("new", "!");
  Deno.removeSync(`${temp.path}/removed`);
  const found = await verify(temp.path, entries);
  assertEquals(Object.fromEntries(found.map(({ path, verdict }) => [path, verdict])), {
    damaged: "damaged",
    edited: "changed",
    grown: "changed",
    new: "added",
    removed: "missing",
    same: "same",
    touched: "changed",
  });
});

Deno.test("verifyTree() says nothing of what it could not list", async () => {
  using temp = new TempDirectory();
  Deno.mkdirSync(`${temp.path}/d`);
  Deno.writeTextFileSync(`${temp.path}/d/f`, "1");
  const { entries } = await read(temp.path);
  Deno.removeSync(`${temp.path}/d`, { recursive: true });
  // A rule file that is a directory cannot be read, so nothing is known of what is beside it.
  Deno.mkdirSync(`${temp.path}/d/.filesyncignore`, { recursive: true });
  Deno.utimeSync(`${temp.path}/d`, 1, 1);
  const found = await verify(temp.path, entries);
  assertEquals(found.map(({ path, verdict }) => `${path} ${verdict}`), ["d changed"]);
});
