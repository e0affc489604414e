import { assertEquals } from "@std/assert";
import { actionText, SourceBench } from "../../tests/support/source_bench.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { link, makeTree, type TreeSpec } from "../../tests/support/trees.ts";
import { systemClock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { actionFor } from "../core/action.ts";
import type { Entry } from "../core/entry.ts";
import type { TreePath } from "../core/path.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import { compareWithReceiver, toEqual } from "./compare.ts";

/** A source whose queue is empty, and a receiver. */
class Pair implements AsyncDisposable {
  readonly #temp = new TempDirectory();
  readonly source = this.#temp.directory("source");
  readonly destination = this.#temp.directory("destination");
  readonly bench: SourceBench;
  readonly receiver: LocalReceiver;

  private constructor(source: TreeSpec, destination: TreeSpec) {
    makeTree(this.source, source);
    makeTree(this.destination, destination);
    this.bench = new SourceBench(this.source, `${this.#temp.path}/state`);
    this.receiver = new LocalReceiver(this.destination, { clock: systemClock });
  }

  static async of(source: TreeSpec, destination: TreeSpec): Promise<Pair> {
    const pair = new Pair(source, destination);
    await pair.receiver.ready;
    await pair.bench.settle();
    return pair;
  }

  async compare() {
    const result = await compareWithReceiver(this.receiver, this.bench.state);
    return { ...result, actions: this.bench.queued };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.bench[Symbol.dispose]();
    await this.receiver.close();
    this.#temp[Symbol.dispose]();
  }
}

const p = (...paths: string[]) => paths as TreePath[];

Deno.test("compareWithReceiver() queues all that is missing", async () => {
  await using pair = await Pair.of({ a: "1", d: { b: "2", l: link("x") } }, {});
  const { queued, actions, foreign, undecided, entries } = await pair.compare();
  assertEquals(actions, ["put a", "directory d", "put d/b", "symlink d/l"]);
  assertEquals([queued, foreign, undecided, entries], [4, [], 0, 0]);
});

Deno.test("compareWithReceiver() leaves alone what is not ours, and remembers it", async () => {
  await using pair = await Pair.of({}, { x: "1", d: { y: "2" } });
  const { actions, foreign, entries } = await pair.compare();
  assertEquals([actions, foreign, entries], [[], p("d", "d/y", "x"), 3]);
  assertEquals(pair.bench.state.foreignWithin("d" as TreePath), p("d", "d/y"));
});

Deno.test("compareWithReceiver() passes over what something is queued for", async () => {
  await using pair = await Pair.of({ a: "1", b: "2", c: "3" }, { gone: "1" });
  pair.bench.state.queue.add([
    { action: { type: "remove", path: "gone" as TreePath } },
    { action: { type: "move", path: "b" as TreePath, from: "was" as TreePath } },
  ]);
  const { queued, foreign, undecided } = await pair.compare();
  assertEquals([queued, foreign, undecided], [2, [], 2]);
  assertEquals(pair.bench.queued, ["remove gone", "move was -> b", "put a", "put c"]);
});

Deno.test("compareWithReceiver() is not held up by what waits to be put above", async () => {
  await using pair = await Pair.of({ d: { a: "1" } }, {});
  pair.bench.state.queue.add([
    { action: { type: "directory", path: "d" as TreePath, mtime: 0, mode: 0o755 } },
  ]);
  const { undecided } = await pair.compare();
  assertEquals([pair.bench.queued, undecided], [["directory d", "put d/a"], 0]);
});

Deno.test("compareWithReceiver() wants to see again what stands where something waits to be put", async () => {
  await using pair = await Pair.of({ a: "1", b: "2" }, { a: "another" });
  const { queue, index } = pair.bench.state;
  for (const path of ["a", "b"]) queue.add([{ action: actionFor(index.get(path as TreePath)!) }]);
  const { queued, undecided } = await pair.compare();
  assertEquals([queued, undecided], [0, 1]);
});

Deno.test("compareWithReceiver() does not try again what failed for good", async () => {
  await using pair = await Pair.of({ a: "1" }, {});
  const { queue, index } = pair.bench.state;
  const { mtime, mode, digest, size } = index.get("a" as TreePath) as Entry & { kind: "file" };
  queue.add([{ action: { type: "put", path: "a" as TreePath, size, mtime, mode, digest } }]);
  const [{ id }] = queue.take({ items: 1, bytes: 1 });
  queue.fail(id, { code: "too-large", message: "Cannot write: no", permanent: true });
  const { queued, undecided } = await pair.compare();
  assertEquals([queued, undecided, queue.failedCount], [0, 0, 1]);
});

Deno.test("compareWithReceiver() makes room for what is of another kind", async () => {
  await using pair = await Pair.of(
    { a: { b: "1", c: { d: "2" } }, e: "3", f: link("x") },
    { a: "file", e: {}, f: "file" },
  );
  const { actions, undecided } = await pair.compare();
  assertEquals(actions.slice(0, 2), ["remove a", "directory a"]);
  assertEquals(actions.toSorted(), [
    "directory a",
    "directory a/c",
    "put a/b",
    "put a/c/d",
    "put e",
    "remove a",
    "remove e",
    "symlink f",
  ]);
  assertEquals(undecided, 0);
});

Deno.test("compareWithReceiver() makes room even if ours waits to be put there", async () => {
  await using pair = await Pair.of({ a: { b: "1" } }, { a: "file" });
  await compareWithReceiver(pair.receiver, pair.bench.state);
  pair.bench.drain();
  pair.bench.state.queue.add([
    { action: { type: "directory", path: "a" as TreePath, mtime: 0, mode: 0o755 } },
    { action: { type: "directory", path: "a/b" as TreePath, mtime: 0, mode: 0o755 } },
  ]);
  const { actions } = await pair.compare();
  assertEquals(actions, ["remove a", "directory a", "put a/b"]);
});

Deno.test("compareWithReceiver() never removes a directory in the way that holds something foreign", async () => {
  await using pair = await Pair.of({ a: "1" }, { a: { theirs: "x" } });
  for (let round = 0; round < 2; round++) {
    const { actions, foreign, undecided } = await pair.compare();
    // The attempt fails where the user sees it.
    assertEquals([actions, foreign, undecided], [["put a"], p("a/theirs"), 1]);
  }
});

Deno.test("compareWithReceiver() works through trees that are larger than its groups", async () => {
  const names = Array.from({ length: 1_100 }, (_, i) => `f${i}`);
  await using pair = await Pair.of(Object.fromEntries(names.map((name) => [name, name])), { x: "theirs" });
  assertEquals((await pair.compare()).queued, 1_100);
});

Deno.test("compareWithReceiver() finds names in the order of SQLite, whatever their characters", async () => {
  const names = ["a", "a!", "a-b", "A", "é", "z\u{1F600}", "z\uFF5E", "\u{1F600}", "\uFF5E"];
  const tree = Object.fromEntries(names.map((name) => [name, { "!": "1", "x": "2" }]));
  await using pair = await Pair.of(tree, tree);
  const { actions, foreign, entries } = await pair.compare();
  assertEquals([foreign, entries], [[], names.length * 3]);
  assertEquals(actions.filter((action) => action.startsWith("remove")), []);
});

Deno.test("toEqual() gives what makes one entry of another", () => {
  const path = "a" as TreePath;
  const file: Entry = {
    kind: "file",
    path,
    size: 1,
    mtime: 2,
    mode: 0o644,
    digest: "0".repeat(64) as Digest,
  };
  const directory: Entry = { kind: "directory", path, mtime: 2, mode: 0o755 };
  const symlink: Entry = { kind: "symlink", path, mtime: 2, target: "x" };
  const lines = (seen: Entry, held?: Entry) => toEqual(seen, held).map(actionText);
  assertEquals(lines(file), ["put a"]);
  assertEquals(lines(file, { ...file }), []);
  assertEquals(lines(file, { ...file, mode: 0o600 }), ["put a"]);
  assertEquals(lines(file, { ...file, mtime: 3 }), ["put a"]);
  assertEquals(lines(directory, file), ["remove a", "directory a"]);
  assertEquals(lines(symlink, { ...symlink, target: "y" }), ["symlink a"]);
  assertEquals(lines(file, symlink), ["put a"], "in one step");
});
