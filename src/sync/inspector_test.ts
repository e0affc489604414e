import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { randomBytes } from "../../tests/support/bytes.ts";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { SourceBench, type SourceBenchOptions } from "../../tests/support/source_bench.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { directory, file, link, makeTree, type TreeSpec } from "../../tests/support/trees.ts";
import { packedLength } from "../core/chunk.ts";
import type { FileEntry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { childOf, type TreePath } from "../core/path.ts";
import { RULE_FILE } from "../files/ignore_rules.ts";
import { type Anchor, TreeRoot } from "../files/tree_root.ts";

/** Long ago, so that nobody has to suspect a change since. */
const OLD = Date.UTC(2020, 0, 1);

/** A tree that has been looked at, and whose queue is empty. */
class Scene implements Disposable {
  readonly #temp = new TempDirectory();
  readonly source = this.#temp.directory("source");
  #options: SourceBenchOptions;
  bench: SourceBench;

  private constructor(spec: TreeSpec, options: SourceBenchOptions) {
    makeTree(this.source, spec);
    this.#options = options;
    this.bench = this.#open();
  }

  static async of(spec: TreeSpec, options: SourceBenchOptions = {}): Promise<Scene> {
    const scene = new Scene(spec, options);
    await scene.bench.settle();
    scene.bench.describer.reads = 0;
    return scene;
  }

  at(path: string): string {
    return `${this.source}/${path}`;
  }

  /** As after a restart of the program. */
  reopen(options: SourceBenchOptions = {}): void {
    this.bench[Symbol.dispose]();
    this.#options = { ...this.#options, ...options };
    this.bench = this.#open();
  }

  [Symbol.dispose](): void {
    this.bench[Symbol.dispose]();
    this.#temp[Symbol.dispose]();
  }

  #open(): SourceBench {
    return new SourceBench(this.source, `${this.#temp.path}/state`, this.#options);
  }
}

const FIVE = { one: "1", two: "2", three: "3", four: "4", five: "5" };
/** Enough to fill a tree that loses a few entries with something that stays. */
const BALLAST = { ballast: { ...FIVE, more: FIVE, most: FIVE } };

function old(content: string) {
  return file(content, { mtime: OLD });
}

function sh(script: string, cwd: string): void {
  const { success, stderr } = new Deno.Command("sh", { args: ["-ec", script], cwd }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
}

/** Each kind of change, and exactly what it queues. */
const CHANGES: { what: string; before: TreeSpec; change: string; dirty: string[]; queued: string[] }[] = [
  { what: "a new file", before: {}, change: "echo > f", dirty: ["f"], queued: ["put f"] },
  { what: "an edit", before: { f: old("a") }, change: "echo x > f", dirty: ["f"], queued: ["put f"] },
  { what: "a removed file", before: { f: "a" }, change: "rm f", dirty: ["f"], queued: ["remove f"] },
  {
    what: "a renamed file",
    before: { f: "a" },
    change: "mv f g",
    dirty: ["f", "g"],
    queued: ["move f -> g"],
  },
  {
    what: "a file renamed in nothing but case",
    before: { f: "a" },
    change: "mv f F",
    dirty: ["f", "F"],
    queued: ["move f -> F"],
  },
  {
    what: "a file renamed and edited",
    before: { f: old("a") },
    change: "mv f g; echo x > g",
    dirty: ["f", "g"],
    queued: ["put g", "remove f"],
  },
  {
    what: "a file renamed over another",
    before: { f: old("a"), g: "b" },
    change: "mv f g",
    dirty: ["f", "g"],
    queued: ["put g", "remove f"],
  },
  {
    what: "an editor's backup",
    before: { f: old("a") },
    change: "mv f f.bak; echo x > f",
    dirty: ["f", "f.bak"],
    queued: ["move f -> f.bak", "put f"],
  },
  {
    what: "a backup that leaves an equal copy behind",
    before: { f: old("a") },
    change: "mv f f.bak; cp -p f.bak f",
    dirty: ["f", "f.bak"],
    queued: ["move f -> f.bak", "put f"],
  },
  {
    what: "two files that changed places",
    before: { f: old("a"), g: file("b", { mtime: OLD + 1 }) },
    change: "mv f t; mv g f; mv t g",
    dirty: ["f", "g", "t"],
    queued: ["put f", "put g"],
  },
  {
    what: "another name of a file",
    before: { f: "a" },
    change: "ln f g",
    dirty: ["f", "g"],
    queued: ["put g"],
  },
  { what: "another mode", before: { f: "a" }, change: "chmod 700 f", dirty: ["f"], queued: ["put f"] },
  {
    what: "another time",
    before: { f: "a" },
    change: "touch -d 2021-01-01 f",
    dirty: ["f"],
    queued: ["put f"],
  },
  {
    what: "another mode of a directory",
    before: { d: {} },
    change: "chmod 700 d",
    dirty: ["d"],
    queued: ["directory d"],
  },
  {
    what: "a new directory",
    before: {},
    change: "mkdir -p d/e; echo > d/f; echo > d/e/g",
    dirty: ["d"],
    queued: ["directory d", "directory d/e", "put d/e/g", "put d/f"],
  },
  {
    what: "a removed directory",
    before: { d: { e: { f: "a" }, g: "b" }, ...BALLAST },
    change: "rm -r d",
    dirty: ["d", "d/e", "d/e/f", "d/g"],
    queued: ["remove d"],
  },
  {
    what: "a renamed directory",
    before: { d: { e: { f: old("a") }, g: old("b") } },
    change: "mv d n",
    dirty: ["d", "n"],
    queued: ["move d -> n"],
  },
  {
    what: "a directory renamed, and a file in it edited",
    before: { d: { f: old("a"), g: old("b") } },
    change: "mv d n; echo x > n/f",
    dirty: ["d", "n", "n/f"],
    queued: ["move d -> n", "put n/f"],
  },
  {
    what: "a directory renamed, and a file in it too",
    before: { d: directory({ f: "a" }, { mtime: OLD }) },
    change: "mv d n; mv n/f n/g; touch -d @1577836800 n",
    dirty: ["d", "d/f", "n", "n/f", "n/g"],
    queued: ["move d -> n", "move n/f -> n/g"],
  },
  {
    what: "a directory and its parent renamed",
    before: { p: directory({ d: { f: "a" } }, { mtime: OLD }) },
    change: "mv p/d p/e; mv p q; touch -d @1577836800 q",
    dirty: ["p", "p/d", "p/e", "q"],
    queued: ["move p -> q", "move q/d -> q/e"],
  },
  {
    what: "a directory renamed, and another made in its place",
    before: { d: { f: old("a") } },
    change: "mv d n; mkdir d; echo x > d/f",
    dirty: ["d", "d/f", "n"],
    queued: ["directory d", "move d -> n", "put d/f"],
  },
  {
    what: "a directory moved out of one that is then removed",
    before: { d: { e: { f: "a" }, g: "b" }, ...BALLAST },
    change: "mv d/e n; rm -r d",
    dirty: ["d", "d/e", "d/g", "n"],
    queued: ["move d/e -> n", "remove d"],
  },
  {
    what: "a file moved into a directory",
    before: { f: "a", d: directory({}, { mtime: OLD }) },
    change: "mv f d/g; touch -d @1577836800 d",
    dirty: ["f", "d", "d/g"],
    queued: ["move f -> d/g"],
  },
  {
    what: "a file moved into a directory that is new",
    before: { f: "a" },
    change: "mkdir d; mv f d/g",
    dirty: ["f", "d/g"],
    queued: ["directory d", "move f -> d/g"],
  },
  {
    what: "a new directory around an old one",
    before: { d: { f: "a" } },
    change: "mv d t; mkdir d; mv t d/d",
    dirty: ["d", "d/d", "t"],
    queued: ["directory d", "directory d/d", "move d/f -> d/d/f"],
  },
  {
    what: "a directory replaced by what was in it",
    before: {
      d: directory({ d: directory({ f: old("a") }, { mtime: OLD }), g: "b" }, { mtime: OLD }),
      ...BALLAST,
    },
    change: "mv d t; mv t/d d; rm -r t",
    dirty: ["d", "d/d", "d/f", "t"],
    queued: ["move d/d/f -> d/f", "remove d/d", "remove d/g"],
  },
  {
    what: "a file that became a directory",
    before: { f: "a" },
    change: "rm f; mkdir f; echo > f/g",
    dirty: ["f", "f/g"],
    queued: ["directory f", "put f/g", "remove f"],
  },
  {
    what: "a directory that became a file",
    before: { d: { f: "a" } },
    change: "rm -r d; echo > d",
    dirty: ["d"],
    queued: ["put d", "remove d"],
  },
  {
    what: "a file that became a link",
    before: { f: "a" },
    change: "rm f; ln -s x f",
    dirty: ["f"],
    queued: ["symlink f"],
  },
  {
    what: "a file renamed, and a link left in its place",
    before: { f: old("a") },
    change: "mv f g; ln -s g f",
    dirty: ["f", "g"],
    queued: ["move f -> g", "symlink f"],
  },
  {
    what: "a link that became a file",
    before: { l: link("x") },
    change: "rm l; echo > l",
    dirty: ["l"],
    queued: ["put l"],
  },
  {
    what: "a directory that became a link to another",
    before: { d: { f: "a" }, e: {} },
    change: "rm -r d; ln -s e d",
    dirty: ["d", "d/f"],
    queued: ["remove d", "symlink d"],
  },
  {
    what: "another target",
    before: { l: link("x") },
    change: "ln -sfn y l",
    dirty: ["l"],
    queued: ["symlink l"],
  },
  {
    what: "nothing",
    before: { f: "a", d: { g: "b" }, l: link("x") },
    change: "true",
    dirty: ["f", "d", "l"],
    queued: [],
  },
];

for (const { what, before, change, dirty, queued } of CHANGES) {
  for (const how of ["look", "lookAtAll", "lookAtAll after a restart"] as const) {
    Deno.test(`${how.split(" ")[0]}()${how.slice(9)} queues what ${what} needs`, async () => {
      using scene = await Scene.of({ ...before, stays: "s" });
      if (how.endsWith("restart")) scene.reopen();
      sh(change, scene.source);
      const findings = how === "look"
        ? await scene.bench.look(...dirty)
        : await scene.bench.inspector.lookAtAll();
      assertEquals(scene.bench.queued.toSorted(), queued);
      assertEquals([findings.problems, findings.unstable, findings.brake], [[], [], undefined]);
      // And what is known now is all there is.
      scene.bench.drain();
      await scene.bench.inspector.lookAtAll();
      assertEquals(scene.bench.queued, []);
    });
  }
}

Deno.test("lookAtAll() makes a move to only one of the names that a file has now", async () => {
  using scene = await Scene.of({ f: "a" });
  sh("ln f g; mv f h", scene.source);
  await scene.bench.inspector.lookAtAll();
  assert(["move f -> g,put h", "move f -> h,put g"].includes(scene.bench.queued.join()));
});

Deno.test("lookAtAll() loses nothing in a chain of renames, whatever the order of names", async () => {
  for (const [first, next, last] of [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"], ["b", "c", "a"]]) {
    using scene = await Scene.of({ [first]: "first", [next]: "next", ...BALLAST });
    Deno.renameSync(scene.at(next), scene.at(last));
    Deno.renameSync(scene.at(first), scene.at(next));
    await scene.bench.inspector.lookAtAll();
    assertEquals(scene.bench.queued, [`move ${next} -> ${last}`, `move ${first} -> ${next}`]);
    const held = [first, next, last].map((path) => scene.bench.state.index.get(path as TreePath));
    assertEquals(held.map((entry) => (entry as FileEntry | undefined)?.size), [undefined, 5, 4]);
  }
});

Deno.test("lookAtAll() queues removals after the moves that save something from them", async () => {
  using scene = await Scene.of({ d: { e: { f: "a" }, g: "b" }, ...BALLAST });
  sh("mv d/e n; rm -r d", scene.source);
  await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued, ["move d/e -> n", "remove d"]);
});

Deno.test("lookAtAll() reads nothing of a tree that is as it was", async () => {
  using scene = await Scene.of({ a: old("a"), d: { b: old("b"), l: link("x", { mtime: OLD }) } });
  for (const restart of [false, true]) {
    if (restart) scene.reopen();
    const { queued } = await scene.bench.inspector.lookAtAll();
    assertEquals([queued, scene.bench.describer.reads], [0, 0]);
  }
});

Deno.test("lookAtAll() makes one move of a renamed directory, and reads none of its files", async () => {
  const files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, old(`${i}`)]));
  using scene = await Scene.of({ d: { ...files, e: files } });
  Deno.renameSync(scene.at("d"), scene.at("n"));
  const { queued } = await scene.bench.inspector.lookAtAll();
  assertEquals([scene.bench.queued, queued], [["move d -> n"], 1]);
  assertEquals(scene.bench.describer.reads, 0);
});

Deno.test("lookAtAll() records more files than fit into one transaction", async () => {
  const files = Object.fromEntries(Array.from({ length: 1_300 }, (_, i) => [`f${i}`, `${i}`]));
  using scene = await Scene.of({});
  makeTree(scene.source, files);
  const { queued } = await scene.bench.inspector.lookAtAll();
  assertEquals([queued, scene.bench.state.queue.size, scene.bench.state.index.count().entries], [
    1300,
    1300,
    1300,
  ]);
});

Deno.test("look() finds all that is above and below a path nobody knew of", async () => {
  using scene = await Scene.of({});
  makeTree(scene.source, { "a/b/c": "c", "a/d": "d", e: "e" });
  const { appeared } = await scene.bench.look("a/b/c");
  assertEquals(scene.bench.queued.toSorted(), ["directory a", "directory a/b", "put a/b/c", "put a/d"]);
  assertEquals(appeared.toSorted(), ["a", "a/b"] as TreePath[]);
});

Deno.test("look() looks below a known directory only when it is told to", async () => {
  using scene = await Scene.of({ d: directory({ f: old("a") }, { mtime: OLD }) });
  Deno.writeTextFileSync(scene.at("d/f"), "x");
  await scene.bench.look("d");
  assertEquals(scene.bench.queued, []);
  await scene.bench.inspector.look([{ path: "d" as TreePath, deep: true }]);
  assertEquals(scene.bench.queued, ["put d/f"]);
});

Deno.test("look() looks into each directory once, however many above it are to be looked into", async () => {
  using scene = await Scene.of({ d: { e: { f: { g: "1" } } }, ...BALLAST });
  const looks = ["d", "d/e", "d/e/f"].map((path) => ({ path: path as TreePath, deep: true }));
  makeTree(scene.source, { d: { e: { f: { h: "2" } } } });
  await scene.bench.inspector.look(looks);
  assertEquals([scene.bench.progress?.directories, scene.bench.queued.includes("put d/e/f/h")], [3, true]);
});

Deno.test("look() is fine with a path that was never there", async () => {
  using scene = await Scene.of({ f: "a" });
  const { problems } = await scene.bench.look("x", "x/y", "f/g");
  assertEquals([scene.bench.queued, problems], [[], []]);
});

Deno.test("lookAtAll() names what has no valid name, and goes on", async () => {
  using scene = await Scene.of({ f: "a" });
  sh(
    "printf a > \"$(printf 'bad\\377')\"; mkdir \"$(printf 'dir\\377')\"; echo > \"$(printf 'dir\\377')/x\"; echo > g",
    scene.source,
  );
  const { problems } = await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued, ["put g"]);
  assertEquals(problems.map(({ code }) => code), ["bad-path", "bad-path"]);
  assertEquals(scene.bench.state.problems().length, 2);

  assertEquals((await scene.bench.inspector.lookAtAll()).problems, [], "no news");
  sh("rm -r bad* dir*", scene.source);
  await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.state.problems(), []);
});

Deno.test("lookAtAll() leaves pipes and sockets out, and says so", async () => {
  using scene = await Scene.of({ f: "a", g: "b" });
  sh("mkfifo pipe; rm g; mkfifo g", scene.source);
  using _socket = Deno.listen({ transport: "unix", path: scene.at("socket") });
  const { problems } = await scene.bench.inspector.lookAtAll();
  assertEquals(problems.map(({ path, code, permanent }) => [path, code, permanent]).toSorted(), [
    ["g", "unsupported", true],
    ["pipe", "unsupported", true],
    ["socket", "unsupported", true],
  ]);
  assertEquals(scene.bench.queued, ["remove g"]);
});

/** A root whose anchors fail with `permission` where `isSpoiled` says so. */
function spoiledRoot(
  isSpoiled: (method: keyof Anchor, path: string) => boolean,
): (root: TreeRoot) => TreeRoot {
  const refusal = (method: string, path: string) =>
    new FilesyncError({ code: "permission", operation: `${method} "${path}"`, reason: "no" });
  const wrap = (anchor: Anchor) =>
    new Proxy(anchor, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (path: TreePath, ...rest: unknown[]) => {
          if (typeof name === "string" && isSpoiled(name as keyof Anchor, path)) throw refusal(name, path);
          const result = value.call(target, path, ...rest);
          if (name !== "listWithStats") return result;
          return (result as ReturnType<Anchor["listWithStats"]>).map(({ name, stat }) => {
            const child = childOf(path, name);
            return { name, stat: isSpoiled("lstat", child) ? refusal("lstat", child) : stat };
          });
        };
      },
    });
  return (root) => {
    const { path, dev, ino } = root;
    return {
      path,
      dev,
      ino,
      anchor: () => wrap(root.anchor()),
      isInPlace: () => root.isInPlace(),
    } as TreeRoot;
  };
}

Deno.test("lookAtAll() judges nothing gone below a directory that it cannot list", async () => {
  let spoiled = false;
  const wrapRoot = spoiledRoot((method, path) => spoiled && method === "listWithStats" && path === "d");
  using scene = await Scene.of({ d: { f: "a", e: { g: "b" } }, h: "c", ...BALLAST }, { wrapRoot });
  spoiled = true;
  sh("rm d/f d/e/g h", scene.source);
  const { problems } = await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued.filter((action) => !action.startsWith("directory")), ["remove h"]);
  assertEquals(problems.map(({ path, code }) => [path, code]), [["d", "permission"]]);
  spoiled = false;
  await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued.slice(-2).toSorted(), ["remove d/e/g", "remove d/f"]);
  assertEquals(scene.bench.state.problems(), []);
});

Deno.test("lookAtAll() reports a file that it cannot read, and takes it when it can", async () => {
  let spoiled = true;
  const wrapRoot = spoiledRoot((method, path) => spoiled && method === "openRead" && path === "f");
  using scene = await Scene.of({ g: "b" }, { wrapRoot });
  makeTree(scene.source, { f: "a", h: "c" });
  const { problems } = await scene.bench.inspector.lookAtAll();
  assertEquals([scene.bench.queued, problems.map(({ path }) => path)], [["put h"], ["f"]]);
  spoiled = false;
  await scene.bench.look("f");
  assertEquals([scene.bench.queued, scene.bench.state.problems()], [["put h", "put f"], []]);
});

Deno.test("lookAtAll() goes on when a known place cannot be looked at any more", async () => {
  let spoiled = false;
  const wrapRoot = spoiledRoot((method, path) => spoiled && method === "lstat" && path.startsWith("d/"));
  using scene = await Scene.of({ d: { f: "a", l: link("x") }, ...BALLAST }, { wrapRoot });
  spoiled = true;
  // Its inode is that of a place that cannot be looked at: a second name, as far as anybody knows.
  sh("ln d/f g; rm d/l", scene.source);
  const { problems } = await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued.toSorted(), ["directory d", "put g"]);
  assertEquals(problems.map(({ path }) => path), ["d/f"]);
});

Deno.test("lookAtAll() takes a file that vanishes before it is opened for one that changed", async () => {
  const wrapRoot = spoiledRoot((method, path) => {
    if (method === "openRead" && path === "f") Deno.removeSync(`${scene.source}/f`);
    return false;
  });
  using scene = await Scene.of({ g: "b" }, { wrapRoot });
  makeTree(scene.source, { f: "a" });
  const { unstable, problems } = await scene.bench.inspector.lookAtAll();
  assertEquals([unstable, problems, scene.bench.queued], [["f"] as TreePath[], [], []]);
});

Deno.test("look() waits for a file that changes while it is read, but not for ever", async () => {
  using scene = await Scene.of({ stays: old("s") });
  makeTree(scene.source, { f: "a" });
  // Another size each time: within one tick of the clock nothing else tells.
  scene.bench.describer.onRead = (reads) => Deno.writeTextFileSync(scene.at("f"), "x".repeat(reads + 1));
  for (let tries = 1; tries <= 2; tries++) {
    const { unstable, queued } = await scene.bench.look("f");
    assertEquals([unstable, queued], [["f"] as TreePath[], 0]);
  }
  const { unstable, restless, queued } = await scene.bench.look("f");
  // It is to be looked at once more all the same.
  assertEquals([unstable, restless, queued], [["f"] as TreePath[], ["f"] as TreePath[], 1]);
  assertEquals(scene.bench.queued, ["put f"]);
  scene.bench.describer.onRead = () => {};
  assertEquals((await scene.bench.look("f")).unstable, []);
  assertEquals(scene.bench.state.index.get("f" as TreePath)?.kind, "file");
});

Deno.test("look() has the same patience with a file that comes where a restless one was removed", async () => {
  using scene = await Scene.of({});
  makeTree(scene.source, { f: "a" });
  scene.bench.describer.onRead = (reads) => Deno.writeTextFileSync(scene.at("f"), "x".repeat(reads + 1));
  for (let tries = 1; tries <= 2; tries++) await scene.bench.look("f");
  Deno.removeSync(scene.at("f"));
  await scene.bench.look("f");
  makeTree(scene.source, { f: "b" });
  const { unstable, restless } = await scene.bench.look("f");
  assertEquals([unstable, restless, scene.bench.queued], [["f"] as TreePath[], [], []]);
});

Deno.test("look() waits for a file that stands still after it changed once", async () => {
  using scene = await Scene.of({});
  makeTree(scene.source, { f: "a" });
  scene.bench.describer.onRead = (reads) => {
    if (reads === 1) Deno.writeTextFileSync(scene.at("f"), "grown");
  };
  assertEquals((await scene.bench.look("f")).unstable, ["f"] as TreePath[]);
  const { unstable, queued } = await scene.bench.look("f");
  assertEquals([unstable, queued], [[], 1]);
});

Deno.test("lookAtAll() reads a file again that could have changed within the tick of the last look", async () => {
  const lookClock = new FakeClock(OLD + 20);
  using scene = await Scene.of({ f: file("aa", { mtime: OLD + 1 }) }, { lookClock });
  Deno.writeTextFileSync(scene.at("f"), "bb");
  Deno.utimeSync(scene.at("f"), new Date(OLD + 1), new Date(OLD + 1));
  await lookClock.advance(10_000);
  await scene.bench.inspector.lookAtAll();
  assertEquals([scene.bench.queued, scene.bench.describer.reads], [["put f"], 1]);
  await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.describer.reads, 1, "once is enough: the tick is over");
});

Deno.test("look() reads a file that seems to be as it was when it is told to", async () => {
  using scene = await Scene.of({ f: old("aa") });
  const path = "f" as TreePath;
  Deno.writeTextFileSync(scene.at("f"), "bb");
  Deno.utimeSync(scene.at("f"), new Date(OLD), new Date(OLD));
  // As a power cut can leave it: the times are there, the content they are of is not.
  using root = TreeRoot.open(scene.source);
  using anchor = root.anchor();
  scene.bench.state.index.sql("UPDATE entries SET ctime = ?").run(anchor.lstat(path)!.ctime);
  await scene.bench.inspector.look([{ path, deep: false }]);
  assertEquals([scene.bench.queued, scene.bench.describer.reads], [[], 0]);
  for (let times = 0; times < 2; times++) {
    await scene.bench.inspector.look([{ path, deep: false, read: true }]);
    assertEquals(scene.bench.queued, ["put f"]);
  }
  assertEquals(scene.bench.describer.reads, 2);
});

Deno.test("lookAtAll() never judges gone what is ignored", async () => {
  using scene = await Scene.of({ "f.tmp": "a", g: "b", d: { "h.tmp": "c", i: "d" }, ...BALLAST });
  Deno.writeTextFileSync(scene.at(RULE_FILE), "*.tmp\n");
  await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued, [`put ${RULE_FILE}`]);
  scene.bench.drain();

  sh("rm f.tmp; rm d/h.tmp; echo x > j.tmp", scene.source);
  await scene.bench.inspector.lookAtAll();
  await scene.bench.look("f.tmp", "d/h.tmp", "j.tmp");
  assertEquals(scene.bench.queued, ["directory d"]);
  scene.bench.drain();

  Deno.removeSync(scene.at(RULE_FILE));
  await scene.bench.inspector.lookAtAll();
  assertEquals(
    scene.bench.queued.toSorted(),
    [
      `remove ${RULE_FILE}`,
      "put j.tmp",
      "remove d/h.tmp",
      "remove f.tmp",
    ].toSorted(),
  );
});

Deno.test("look() heeds a rule file from the moment it is told of", async () => {
  using scene = await Scene.of({ d: directory({}, { mtime: OLD }) });
  makeTree(scene.source, { [`d/${RULE_FILE}`]: "*.tmp", "d/f.tmp": "a" });
  await scene.bench.look(`d/${RULE_FILE}`, "d/f.tmp");
  assertEquals(scene.bench.queued.toSorted(), ["directory d", `put d/${RULE_FILE}`]);
  // What it leaves out no more is found without being named.
  Deno.removeSync(scene.at(`d/${RULE_FILE}`));
  scene.bench.drain();
  await scene.bench.look(`d/${RULE_FILE}`);
  // The directory's time is another one, unless all this took less than a tick of the clock.
  const queued = scene.bench.queued.filter((action) => action !== "directory d");
  assertEquals(queued.toSorted(), ["put d/f.tmp", `remove d/${RULE_FILE}`]);
});

Deno.test("lookAtAll() leaves out what patterns of the command line say", async () => {
  using scene = await Scene.of({}, { ignore: ["build/", "*.o"] });
  makeTree(scene.source, { "build/x": "a", "y.o": "b", "src/z.c": "c" });
  await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued, ["directory src", "put src/z.c"]);
});

for (const [what, make] of [["a directory", `mkdir d/${RULE_FILE}`], ["a link", `ln -s f d/${RULE_FILE}`]]) {
  Deno.test(`lookAtAll() touches nothing below rules that cannot be read because they are ${what}`, async () => {
    using scene = await Scene.of({ d: { f: old("a"), g: "b" }, h: "c", ...BALLAST });
    sh(`rm d/g h; echo x > d/f; ${make}`, scene.source);
    const { problems } = await scene.bench.inspector.lookAtAll();
    assertEquals(scene.bench.queued, ["directory d", "remove h"]);
    assert(
      problems.length > 0 && problems.every(({ path }) => path!.startsWith("d/")),
      JSON.stringify(problems),
    );
    assertMatch(problems[0].message, /^Cannot read/);
    sh(`rm -r d/${RULE_FILE}`, scene.source);
    await scene.bench.inspector.lookAtAll();
    assertEquals(scene.bench.queued.filter((action) => action.includes("d/")), ["put d/f", "remove d/g"]);
    assertEquals(scene.bench.state.problems(), []);
  });
}

Deno.test("lookAtAll() removes around what is foreign at the receiver", async () => {
  using scene = await Scene.of({ d: { e: { f: "a" }, g: { h: "b" } }, i: "c", ...BALLAST });
  scene.bench.state.setForeign(["d/e/foreign" as TreePath, "x" as TreePath]);
  sh("rm -r d i", scene.source);
  await scene.bench.inspector.lookAtAll();
  // The directories above it stay; that of d/g takes what waited to be removed in it along.
  assertEquals(scene.bench.queued.toSorted(), ["remove d/e/f", "remove d/g", "remove i"]);
});

Deno.test("lookAtAll() moves no directory at the receiver with something foreign in it", async () => {
  using scene = await Scene.of({ d: { e: { f: "a" } }, ...BALLAST });
  scene.bench.state.setForeign(["d/e/foreign" as TreePath]);
  sh("mv d g", scene.source);
  await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued, ["directory g", "directory g/e", "move d/e/f -> g/e/f"]);
});

Deno.test("lookAtAll() does not take back unsent what covers something foreign", async () => {
  using scene = await Scene.of({ stays: "s" });
  scene.bench.state.setForeign(["f" as TreePath]);
  makeTree(scene.source, { f: "a", g: "b" });
  await scene.bench.look("f", "g");
  sh("rm f g", scene.source);
  await scene.bench.look("f", "g");
  // The receiver never had a g of ours; but of its own f, ours may be left now.
  assertEquals(scene.bench.queued, ["remove f"]);
});

Deno.test("lookAtAll() brakes when the source is empty", async () => {
  using scene = await Scene.of({ f: "a", g: "b" });
  sh("rm f g", scene.source);
  const { brake, queued } = await scene.bench.inspector.lookAtAll();
  assertEquals([brake, queued], ["the source is empty, and 2 entries were known in it", 0]);
  assertEquals((await scene.bench.look("f", "g")).brake, brake);
  scene.reopen({ allowMassDelete: true });
  assertEquals((await scene.bench.inspector.lookAtAll()).brake, undefined);
  assertEquals(scene.bench.queued, ["remove f", "remove g"]);
});

Deno.test("lookAtAll() brakes when most is gone at once, and still sends what is new", async () => {
  const files = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, `${i}`]));
  using scene = await Scene.of(files);
  sh("rm f1* f2*; echo > new; mv f0 moved", scene.source);
  const { brake } = await scene.bench.inspector.lookAtAll();
  assertEquals(brake, "22 of 31 entries are gone at once");
  assertEquals(scene.bench.queued, ["move f0 -> moved", "put new"]);
  scene.reopen({ allowMassDelete: true });
  await scene.bench.inspector.lookAtAll();
  assertEquals(scene.bench.queued.length, 24);
});

Deno.test("lookAtAll() brakes when something else stands where most was", async () => {
  using scene = await Scene.of({ d: { e: FIVE, f: FIVE }, ...FIVE });
  sh("rm -r d; ln -s /mnt d", scene.source);
  assertEquals((await scene.bench.inspector.lookAtAll()).brake, "13 of 18 entries are gone at once");
  assertEquals(scene.bench.queued, []);
  scene.reopen({ allowMassDelete: true });
  assertEquals((await scene.bench.inspector.lookAtAll()).brake, undefined);
  assertEquals(scene.bench.queued, ["remove d", "symlink d"]);
});

Deno.test("lookAtAll() brakes when most is gone together with what was where something else stands", async () => {
  using scene = await Scene.of({ d: FIVE, e: FIVE, ...FIVE });
  sh("rm -r d e; echo > d", scene.source);
  assertEquals((await scene.bench.inspector.lookAtAll()).brake, "12 of 18 entries are gone at once");
  assertEquals(scene.bench.queued, ["remove d", "put d"]);
});

Deno.test("lookAtAll() does not brake when most was renamed", async () => {
  const files = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, `${i}`]));
  using scene = await Scene.of(files);
  sh("mkdir d; mv f* d", scene.source);
  assertEquals((await scene.bench.inspector.lookAtAll()).brake, undefined);
  assertEquals(scene.bench.queued.length, 31);
});

Deno.test("lookAtAll() removes nothing when the root itself is another now", async () => {
  for (const change of ["mv source away", "mv source away; mkdir source", "rm -r source"]) {
    using scene = await Scene.of({ f: "a", ...BALLAST });
    sh(change, `${scene.source}/..`);
    const findings = await scene.bench.inspector.lookAtAll();
    const looked = await scene.bench.look("f", "ballast", "ballast/one");
    assertEquals(scene.bench.queued, [], change);
    if (!change.startsWith("rm")) continue;
    assertEquals(
      [findings.brake, looked.brake].includes("the source was removed or replaced meanwhile"),
      true,
    );
  }
});

Deno.test("lookAtAll() can be interrupted, and loses nothing by it", async () => {
  const files = Object.fromEntries(Array.from({ length: 700 }, (_, i) => [`f${i}`, `${i}`]));
  using scene = await Scene.of({});
  makeTree(scene.source, { a: files, b: files });
  const stop = new AbortController();
  scene.bench.describer.onRead = (reads) => reads === 600 && stop.abort();
  await assertRejects(() => scene.bench.inspector.lookAtAll(stop.signal), DOMException);
  scene.reopen();
  await scene.bench.inspector.lookAtAll();
  assertEquals(new Set(scene.bench.queued).size, 1_402);
});

Deno.test("lookAtAll() tells how far it is", async () => {
  using scene = await Scene.of({ f: "abc", d: { g: "de" } });
  const { bench } = scene;
  // Every look counts anew, whatever was known.
  for (let round = 0; round < 2; round++) {
    await bench.inspector.lookAtAll();
    assertEquals(bench.progress, { files: 2, directories: 2, bytes: 5 });
  }
});

Deno.test("lookAtAll() cuts one of several copies of a big file, and none that is known", async () => {
  const big = randomBytes(1, 2_000_000);
  using scene = await Scene.of({ known: big });
  const cuts: string[] = [];
  const { describer } = scene.bench;
  const { describe, describeMany } = describer;
  describer.describe = (path, known) => (cuts.push(path), describe.call(describer, path, known));
  describer.describeMany = (paths) => (cuts.push(...paths), describeMany.call(describer, paths));
  const other = randomBytes(2, 2_000_000);
  makeTree(scene.source, { copy: big, a: other, b: other, c: randomBytes(3, 2_000_000) });
  const { queued } = await scene.bench.inspector.lookAtAll();
  assertEquals([queued, cuts.length], [4, 2]);
  const manifests = ["known", "copy", "a", "b"].map((path) => {
    const entry = scene.bench.state.index.get(path as TreePath) as FileEntry;
    return scene.bench.state.index.manifestOf(entry.digest)!;
  });
  assertEquals(manifests[0], manifests[1]);
  assertEquals(manifests[2], manifests[3]);
  assert(manifests.every((manifest) => packedLength(manifest) === 2_000_000));
});
