import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { file, link, makeTree, snapshotTree, type TreeSpec } from "../../tests/support/trees.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { DescribePool } from "../chunking/describe_pool.ts";
import { systemClock } from "../core/clock.ts";
import { parsePath } from "../core/path.ts";
import { openDatabase } from "../database/open.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { refresh, type RefreshOptions } from "./refresh.ts";
import { INDEX_MIGRATIONS } from "./schema.ts";
import { TreeIndex } from "./tree_index.ts";

const mtime = Date.UTC(2024, 0, 1, 0, 0, 0, 5);

/** A tree with its index. */
class Indexed implements Disposable {
  readonly #resources = new DisposableStack();
  readonly directory: string;
  readonly root: TreeRoot;
  readonly index: TreeIndex;
  readonly pool: DescribePool;

  constructor(spec: TreeSpec) {
    const temp = this.#resources.use(new TempDirectory());
    this.directory = makeTree(temp.directory("tree"), spec);
    this.root = this.#resources.use(TreeRoot.open(this.directory));
    const db = openDatabase(`${temp.path}/index.db`, { name: "index", migrations: INDEX_MIGRATIONS });
    this.index = this.#resources.use(new TreeIndex(db));
    this.pool = this.#resources.use(new DescribePool(DEFAULT_CHUNKING));
  }

  refresh(options: Partial<RefreshOptions> = {}) {
    return refresh(this.root, this.index, { clock: systemClock, pool: this.pool, ...options });
  }

  /** What the history got since `sequence`, without order. */
  found(sequence: number): string[] {
    return this.index.history({ limit: 10_000 }).filter((row) => row.sequence > sequence)
      .map(({ what, path }) => `${what} ${path}`).sort();
  }

  /** The index knows exactly what stands on the disk. */
  async assertTrue(): Promise<void> {
    const known = [...this.index.entries()].map((entry) => {
      const { kind, mtime } = entry;
      if (kind === "symlink") return [entry.path, { kind, mtime, target: entry.target }];
      if (kind === "directory") return [entry.path, { kind, mtime, mode: entry.mode }];
      return [entry.path, { kind, mtime, size: entry.size, mode: entry.mode, sha256: String(entry.digest) }];
    });
    assertEquals(Object.fromEntries(known), Object.fromEntries(await snapshotTree(this.directory)));
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}

Deno.test("refresh() takes in a whole tree, large and empty files, links, and strange names", async () => {
  using tree = new Indexed({
    empty: "",
    large: new Uint8Array(3 << 20).fill(7),
    "new\nline": { "é": "nfc", "e\u0301": "nfd", "😀": link("nowhere") },
    "a": { "b": { "c": { d: {} } } },
    ".filesyncignore": "x",
  });
  const { seen, read, readBytes, problems } = await tree.refresh();
  assertEquals({ seen, read, problems }, { seen: 11, read: 5, problems: [] });
  assertEquals(readBytes, (3 << 20) + 3 + 3 + 1);
  await tree.assertTrue();
  assertEquals(tree.found(0), [], "the first look is no history");
  assertEquals(tree.index.sequence, 11, "but it counts");
});

Deno.test("refresh() remembers what was given where the file system keeps less of it", async () => {
  const shown = { mode: 0o777, mtime: 1_700_000_002_000 };
  using tree = new Indexed({ a: file("1", shown), new: file("2", shown), d: {} });
  Deno.chmodSync(`${tree.directory}/d`, 0o777);
  Object.defineProperty(tree.root, "kept", { value: { modes: false, tick: 2_000 } });
  await tree.refresh();
  const modeOf = (path: string) => {
    const entry = tree.index.get(parsePath(path));
    return entry?.kind === "symlink" ? undefined : entry?.mode;
  };
  assertEquals([modeOf("new"), modeOf("d")], [0o644, 0o755], "nobody gave one");
  const a = tree.index.get(parsePath("a"))!;
  const given = { ...a, mode: 0o640, mtime: 1_700_000_003_987 };
  tree.index.put(given as typeof a, a);
  assertEquals((await tree.refresh()).read, 0);
  // As after it was taken out and put in again: all inodes are others.
  tree.index.put(given as typeof a, { ...a, ino: 1 });
  const again = await tree.refresh();
  assertEquals([again.read, again.changed, modeOf("a")], [1, 0, 0o640]);
  Deno.writeTextFileSync(`${tree.directory}/a`, "edited");
  const edited = await tree.refresh();
  assertEquals([edited.read, edited.changed, modeOf("a")], [1, 1, 0o640]);
});

Deno.test("refresh() reads nothing when nothing has changed", async () => {
  using tree = new Indexed({
    a: file("a", { mtime }),
    d: { b: file("b", { mtime }), l: link("b", { mtime }) },
  });
  await tree.refresh();
  const { sequence } = tree.index;
  const { read, changed, removed } = await tree.refresh();
  assertEquals([read, changed, removed, tree.index.sequence], [0, 0, 0, sequence]);
});

Deno.test("refresh() reads only what was changed, and tells what it found", async () => {
  using tree = new Indexed({
    kept: file("kept", { mtime }),
    grown: file("grown", { mtime }),
    "same size": file("1", { mtime }),
    removed: file("removed", { mtime }),
    renamed: file("renamed", { mtime }),
    mode: file("mode", { mtime, mode: 0o644 }),
    "to directory": file("x", { mtime }),
    "to file": { below: { deep: file("x", { mtime }) } },
    "to link": { below: file("x", { mtime }) },
    link: link("kept", { mtime }),
    gone: { a: file("a", { mtime }), b: { c: file("c", { mtime }) } },
  });
  await tree.refresh();
  const { sequence } = tree.index;
  const at = (name: string) => `${tree.directory}/${name}`;
  Deno.writeTextFileSync(at("grown"), "grown bigger");
  Deno.writeTextFileSync(at("same size"), "2");
  Deno.removeSync(at("removed"));
  Deno.renameSync(at("renamed"), at("anew"));
  Deno.chmodSync(at("mode"), 0o600);
  Deno.removeSync(at("to directory"));
  makeTree(at("to directory"), { below: "new" });
  Deno.removeSync(at("to file"), { recursive: true });
  Deno.writeTextFileSync(at("to file"), "new");
  Deno.renameSync(at("to link"), `${tree.directory}.aside`);
  Deno.symlinkSync(`${tree.directory}.aside`, at("to link"));
  Deno.removeSync(at("link"));
  Deno.symlinkSync("elsewhere", at("link"));
  Deno.removeSync(at("gone"), { recursive: true });
  const { read, problems } = await tree.refresh();
  assertEquals([read, problems], [6, []]);
  await tree.assertTrue();
  assertEquals(tree.found(sequence), [
    "found anew",
    "found grown",
    "found link",
    "found mode",
    "found same size",
    "found to directory",
    "found to directory/below",
    "found to file",
    "found to link",
    "found-gone gone",
    "found-gone removed",
    "found-gone renamed",
    "found-gone to directory",
    "found-gone to file",
    "found-gone to link",
  ]);
});

Deno.test("refresh() reads a file again that was written while it was looked at", async () => {
  using tree = new Indexed({ a: "one" });
  const { mtime } = Deno.statSync(`${tree.directory}/a`);
  await tree.refresh({ clock: { ...systemClock, now: () => mtime!.getTime() + 1 } });
  assertEquals((await tree.refresh()).read, 1);
  await tree.refresh({ clock: { ...systemClock, now: () => mtime!.getTime() + 5_000 } });
  assertEquals((await tree.refresh()).read, 0);
});

Deno.test("refresh() tells of names that cannot travel, and passes over what is no file", async () => {
  if (Deno.build.os !== "linux") return;
  using tree = new Indexed({ a: "a" });
  const made = await new Deno.Command("sh", {
    args: ["-c", `mkfifo pipe && : > "$(printf 'bad\\377name')"`],
    cwd: tree.directory,
  }).output();
  assert(made.success);
  const { problems, seen } = await tree.refresh();
  assertEquals(problems.map(({ code, permanent }) => [code, permanent]), [["bad-path", true]]);
  assertEquals(seen, 1);
  assertEquals([...tree.index.entries()].map(({ path }) => String(path)), ["a"]);
});

Deno.test("refresh() goes on where it was interrupted, however often", async () => {
  const directories = Object.fromEntries(
    Array.from({ length: 12 }, (_, d) => [
      `d${d}`,
      Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, file(`${d} ${i}`, { mtime })])),
    ]),
  );
  using tree = new Indexed(directories);
  let read = 0;
  for (let interruptions = 0; interruptions < 2; interruptions++) {
    const stop = new AbortController();
    await assertRejects(
      () =>
        tree.refresh({
          signal: stop.signal,
          onProgress(progress) {
            read += progress.read;
            stop.abort(new Error("enough"));
          },
        }),
      Error,
      "enough",
    );
  }
  assert(read > 0);
  const last = await tree.refresh();
  assertLess(last.read, 1_200);
  assertEquals(read + last.read, 1_200);
  await tree.assertTrue();
  assertEquals(tree.found(0), [], "all of it was the first look");
});

Deno.test("refresh() finds gone what was more than a call can have arguments", async () => {
  using tree = new Indexed({ stays: "" });
  await tree.refresh();
  const many = 150_000;
  tree.index.transaction(() => {
    for (let i = 0; i < many; i++) {
      const entry = { kind: "directory", path: parsePath(`d${i}`), mtime: 1, mode: 0o755 } as const;
      tree.index.put(entry, { ctime: 1, dev: 1, ino: i, lookedAt: 1 });
    }
  });
  assertEquals((await tree.refresh()).removed, many);
  await tree.assertTrue();
});

Deno.test("refresh() gives others a turn, however little it finds", async () => {
  const files = Object.fromEntries(Array.from({ length: 2_500 }, (_, i) => [`${i}`, file("", { mtime })]));
  using tree = new Indexed({ a: files, b: files, c: files });
  await tree.refresh();
  const seen: number[] = [];
  assertEquals((await tree.refresh({ onProgress: (at) => seen.push(at.seen) })).seen, 7_503);
  assertEquals(seen.length, 2, "in between, and at the end");
  for (const { name } of Deno.readDirSync(`${tree.directory}/a`)) {
    Deno.removeSync(`${tree.directory}/a/${name}`);
  }
  const left: number[] = [];
  const { removed } = await tree.refresh({ onProgress: () => left.push(tree.index.count().entries) });
  assertEquals([removed, left.slice(-2)], [2_500, [5_503, 5_003]]);
  await tree.assertTrue();
});

Deno.test({
  name: "refresh() tells of a link whose target is not valid Unicode",
  ignore: Deno.build.os !== "linux",
}, async () => {
  using tree = new Indexed({ a: "a" });
  const path = new Uint8Array([...new TextEncoder().encode("to"), 0xff, 0]);
  const library = Deno.dlopen("libc.so.6", { symlink: { parameters: ["buffer", "buffer"], result: "i32" } });
  assertEquals(library.symbols.symlink(path, new TextEncoder().encode(`${tree.directory}/l\0`)), 0);
  library.close();
  const { problems } = await tree.refresh();
  assertEquals(problems.map(({ code, path }) => [code, path]), [["unsupported", "l"]]);
});
