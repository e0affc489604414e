import { existsSync } from "@std/fs";
import { assertEquals, assertRejects } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { directory, file, link, makeTree, treeText } from "../../tests/support/trees.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { DescribePool } from "../chunking/describe_pool.ts";
import type { Action } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { comesBefore, parsePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import { IgnoreRules } from "../files/ignore_rules.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { sha256 } from "../hashing/sha256.ts";
import { type ReadEntry, readTree } from "./read_tree.ts";
import { entriesFor, restorePlan, restoreTree } from "./restore_tree.ts";

const MTIME = 1_500_000_000_000;

/** Entries by a line each, in the order of paths: `d/`, `f content`, `l -> target`. */
function entries(...lines: string[]): Entry[] {
  return lines.map((line): Entry => {
    const [name, target] = line.split(" -> ");
    if (target !== undefined) return { kind: "symlink", path: parsePath(name), mtime: MTIME, target };
    if (line.endsWith("/")) {
      return { kind: "directory", path: parsePath(line.slice(0, -1)), mtime: MTIME, mode: 0o755 };
    }
    const [path, text = ""] = line.split(" ");
    const data = new TextEncoder().encode(text);
    return {
      kind: "file",
      path: parsePath(path),
      size: data.length,
      mtime: MTIME,
      mode: 0o644,
      digest: sha256(data),
    };
  }).sort((a, b) => comesBefore(a.path, b.path) ? -1 : 1);
}

async function plan(wanted: string[], current: string[], deleteExtra = false): Promise<string[]> {
  const actions = await restorePlan(entries(...wanted), entries(...current), deleteExtra);
  return actions.map(({ type, path }) => `${type} ${path}`);
}

Deno.test("restorePlan() does nothing where nothing differs, and leaves alone what came since", async () => {
  const tree = ["d/", "d/f 1", "l -> d"];
  assertEquals(await plan(tree, [...tree, "new 1", "d/new 2"]), []);
  assertEquals(await plan(tree, ["d/", "d/f 2", "new 1"]), ["put d/f", "symlink l"]);
});

Deno.test("restorePlan() removes from the bottom up, after everything else, and only when it is told to", async () => {
  assertEquals(await plan(["a 1"], ["x/", "x/y/", "x/y/z 1"], true), [
    "put a",
    "remove x/y/z",
    "remove x/y",
    "remove x",
  ]);
});

Deno.test("restorePlan() makes room before anything is put there", async () => {
  // A directory where a file was, with all that is in it; a file where a directory was; links too.
  assertEquals(
    await plan(["d was", "f/", "f/in 1", "l/", "m -> d"], ["d/", "d/e/", "d/e/g 1", "f 1", "l -> x", "m/"]),
    [
      ...["remove m", "remove l", "remove f", "remove d/e/g", "remove d/e", "remove d"],
      ...["put d", "directory f", "put f/in", "directory l", "symlink m"],
    ],
  );
});

Deno.test("entriesFor() gives what is at and below the paths, and the directories above them", async () => {
  const all = entries("a/", "a/b/", "a/b/c 1", "a/d 1", "ab 1");
  const paths = async (...wanted: string[]) =>
    (await Array.fromAsync(entriesFor(all, wanted.map((path) => parsePath(path))))).map(({ path }) => path);
  assertEquals(await paths("a/b"), ["a", "a/b", "a/b/c"]);
  assertEquals(await paths("a/d", "ab"), ["a", "a/d", "ab"]);
});

/** A directory, what was seen in it, and what became of restoring it. */
class Scene implements Disposable {
  readonly #temp = new TempDirectory();
  readonly path = this.#temp.path;
  readonly root = TreeRoot.open(this.path);
  readonly contents = new Map<Digest, Uint8Array>();
  readonly problems: Problem[] = [];
  readonly done: Action[] = [];

  /** Reads what stands there now. */
  async seen(): Promise<ReadEntry[]> {
    using pool = new DescribePool(DEFAULT_CHUNKING);
    const rules = IgnoreRules.load(this.root);
    return await Array.fromAsync(readTree(this.root, { pool, rules, onProblem: () => {} }));
  }

  /** Restores `wanted`; `meanwhile` is done between the look and the work. */
  async restore(
    wanted: Entry[],
    { deleteExtra = false, meanwhile = () => {}, signal, onDone = () => {} }: {
      deleteExtra?: boolean;
      meanwhile?: () => void;
      signal?: AbortSignal;
      onDone?: () => void;
    } = {},
  ): Promise<void> {
    const current = await this.seen();
    const plan = await restorePlan(wanted, current.map(({ entry }) => entry), deleteExtra);
    meanwhile();
    await restoreTree(this.root, plan, {
      current,
      signal,
      writeTo: (sink, digest) => {
        const content = this.contents.get(digest);
        if (content === undefined) {
          sink.write(new Uint8Array(7));
          return Promise.reject(
            new FilesyncError({ code: "digest-mismatch", operation: "read", reason: "it is damaged" }),
          );
        }
        sink.write(content);
        return Promise.resolve();
      },
      onDone: (action) => {
        this.done.push(action);
        onDone();
      },
      onProblem: (problem) => this.problems.push(problem),
    });
  }

  /** Entries whose contents can be had. */
  wanted(...lines: string[]): Entry[] {
    for (const line of lines) {
      const data = new TextEncoder().encode(line.split(" ")[1] ?? "");
      this.contents.set(sha256(data), data);
    }
    return entries(...lines);
  }

  get left(): string[] {
    const place = `${this.path}/.filesync/tmp`;
    return existsSync(place) ? [...Deno.readDirSync(place)].map(({ name }) => name) : [];
  }

  [Symbol.dispose](): void {
    this.root[Symbol.dispose]();
    this.#temp[Symbol.dispose]();
  }
}

Deno.test("restoreTree() changes kinds, and sets times and modes after all is in place", async () => {
  using scene = new Scene();
  makeTree(scene.path, { d: { "e/g": "1" }, f: "1", l: link("x"), m: {}, extra: { of: "theirs" } });
  const wanted = scene.wanted("d was", "f/", "f/in 1", "l/", "m -> d");
  await scene.restore(wanted, { deleteExtra: true });
  assertEquals(scene.problems, []);
  assertEquals(await treeText(scene.path), 'd "was"\nf/\nf/in "1"\nl/\nm -> d');
  assertEquals((await scene.seen()).map(({ entry }) => entry), wanted);
});

Deno.test("restoreTree() leaves the time of a directory in which only content differed", async () => {
  using scene = new Scene();
  makeTree(scene.path, {
    d: directory({ e: directory({ f: "edited in place", extra: "1" }, { mtime: MTIME }), g: "1" }, {
      mtime: MTIME,
      mode: 0o700,
    }),
  });
  const wanted = scene.wanted("d/", "d/e/", "d/e/f 1", "d/g 2").map((entry) =>
    entry.path === "d" ? { ...entry, mode: 0o700 } as Entry : entry
  );
  await scene.restore(wanted, { deleteExtra: true });
  assertEquals((await scene.seen()).map(({ entry }) => entry), wanted);
});

Deno.test("restoreTree() fills a directory that nobody may write", async () => {
  using scene = new Scene();
  const wanted = scene.wanted("d/", "d/e/", "d/e/f 1").map((entry) =>
    entry.kind === "directory" ? { ...entry, mode: 0o555 } : entry
  );
  await scene.restore(wanted);
  try {
    assertEquals(scene.problems, []);
    assertEquals((await scene.seen()).map(({ entry }) => entry), wanted);
  } finally {
    for (const path of ["d", "d/e"]) Deno.chmodSync(`${scene.path}/${path}`, 0o755);
  }
});

Deno.test("restoreTree() replaces nothing that was not seen", async () => {
  using scene = new Scene();
  makeTree(scene.path, { a: "old", b: "old", c: {} });
  await scene.restore(scene.wanted("a 1", "b 1", "c/", "c/new 1", "z 1"), {
    meanwhile: () => makeTree(scene.path, { b: file("edited"), c: { new: "theirs" } }),
  });
  assertEquals(scene.problems.map(({ path, code }) => [path, code]), [
    ["b", "conflict"],
    ["c/new", "conflict"],
  ]);
  assertEquals(await treeText(scene.path), 'a "1"\nb "edited"\nc/\nc/new "theirs"\nz "1"');
  assertEquals(scene.left, []);
});

Deno.test("restoreTree() puts no content in place that is not whole, and all else", async () => {
  for (const files of [2, 40]) {
    using scene = new Scene();
    makeTree(scene.path, { lost: "stays" });
    const others = Array.from({ length: files }, (_, i) => `f${i} ${i}`);
    await scene.restore([...entries("lost damaged"), ...scene.wanted(...others)]
      .sort((a, b) => comesBefore(a.path, b.path) ? -1 : 1));
    assertEquals(scene.problems.map(({ path, code }) => [path, code]), [["lost", "digest-mismatch"]]);
    assertEquals(Deno.readTextFileSync(`${scene.path}/lost`), "stays");
    assertEquals(scene.done.length, files);
    assertEquals(scene.left, []);
  }
});

Deno.test("restoreTree() ends when it is told to, with nothing half-way", async () => {
  using scene = new Scene();
  const lines = Array.from({ length: 2_100 }, (_, i) => `f${i} ${i}`);
  const stop = new AbortController();
  await assertRejects(
    () => scene.restore(scene.wanted(...lines), { signal: stop.signal, onDone: () => stop.abort() }),
    DOMException,
  );
  const standing = [...Deno.readDirSync(scene.path)].filter(({ isFile }) => isFile);
  assertEquals(standing.length, scene.done.length);
  for (const { name } of standing) {
    assertEquals(Deno.readTextFileSync(`${scene.path}/${name}`), name.slice(1));
  }
  assertEquals(scene.left, []);
});

Deno.test("restoreTree() removes what one that was killed left, but not what a server is writing", async () => {
  using scene = new Scene();
  makeTree(scene.path, { ".filesync": { tmp: { half: "wri" } } });
  await scene.restore(scene.wanted("a 1"));
  assertEquals([await treeText(scene.path), scene.left], ['a "1"', []]);
  makeTree(scene.path, { ".filesync": { lock: "", tmp: { half: "wri" } } });
  await scene.restore(scene.wanted("a 2"));
  assertEquals([await treeText(scene.path), scene.left], ['a "2"', ["half"]]);
});
