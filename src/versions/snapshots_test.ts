import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { parsePath, type TreePath } from "../core/path.ts";
import type { RecordOptions, TreeChange } from "./snapshots.ts";
import { VersionStore } from "./version_store.ts";

const details = { time: 5, digest: "a".repeat(64) as Digest, reason: "because" };
const elsewhere: RecordOptions = { contentsElsewhere: true };

function file(path: string, size: number): Entry {
  const digest = String(size).padStart(64, "0") as Digest;
  return { kind: "file", path: parsePath(path), size, mtime: 1, mode: 0o600, digest };
}

const directory = (path: string): Entry => ({
  kind: "directory",
  path: parsePath(path),
  mtime: 1,
  mode: 0o755,
});
const link = (path: string): Entry => ({ kind: "symlink", path: parsePath(path), mtime: 1, target: "to\n" });

/** A store with one tree, whose contents are not kept. */
class Bench implements Disposable {
  readonly #temp = new TempDirectory();
  readonly store = new VersionStore(this.#temp.path);
  readonly tree = this.store.tree({ role: "source", location: "/a", host: "h" });
  readonly snapshots = this.store.snapshots;

  record(entries: Entry[], time = 5): Promise<{ number: number }> {
    return this.store.recordTree(this.tree, entries, { ...details, time }, elsewhere);
  }

  entries(number: number, under?: string): string[] {
    return Array.from(this.snapshots.entries(number, under as TreePath), text);
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]();
    this.#temp[Symbol.dispose]();
  }
}

function text(entry: Entry | undefined): string {
  return entry === undefined ? "nothing" : entry.kind === "file" ? `${entry.path}=${entry.size}` : entry.path;
}

Deno.test("record() tells what the tree holds, and counts it", async () => {
  using bench = new Bench();
  const entries = [directory("d"), link("d/l"), file("d/x", 3), file("e", 4)];
  await bench.record(entries);
  assertEquals([...bench.snapshots.entries(1)], entries);
  const changes = [{ gone: parsePath("d/l") }, { entry: file("e", 9) }, { gone: parsePath("never there") }];
  const second = await bench.store.recordSnapshot(bench.tree, changes, details, elsewhere);
  assertEquals(second, {
    number: 2,
    tree: bench.tree,
    ...details,
    files: 2,
    directories: 1,
    symlinks: 0,
    bytes: 12,
  });
  assertEquals(bench.entries(2), ["d", "d/x=3", "e=9"]);
  assertEquals(bench.entries(1), ["d", "d/l", "d/x=3", "e=4"]);
});

Deno.test("record() numbers the snapshots of all trees, which do not see each other's entries", async () => {
  using bench = new Bench();
  const backup = { role: "backup", location: "https://x", host: "h", dev: 1 } as const;
  const other = bench.store.tree(backup);
  await bench.record([file("a", 1)]);
  await bench.store.recordTree(other, [file("a", 2)], details, elsewhere);
  await bench.record([file("b", 3)]);
  assertEquals(bench.snapshots.list().map(({ number, tree }) => [number, tree]), [[1, 1], [2, 2], [3, 1]]);
  assertEquals([1, 2, 3].map((number) => bench.entries(number)), [["a=1"], ["a=2"], ["b=3"]]);
  assertEquals(bench.store.tree({ ...backup, dev: undefined, ino: 7 }), other);
  assertEquals(bench.snapshots.trees()[1], { id: other, ...backup, ino: 7 });
  assertEquals(bench.snapshots.last(other)?.number, 2);
});

Deno.test("record() refuses contents that were not committed, and paths out of order, and then leaves no trace", async () => {
  using bench = new Bench();
  await bench.record([file("a", 1), file("b", 1)]);
  const missing = bench.store.recordTree(bench.tree, [file("a", 1), file("c", 2)], details);
  assertEquals((await assertRejects(() => missing, FilesyncError) as FilesyncError).code, "content-missing");
  async function* breaksOff(): AsyncGenerator<TreeChange> {
    yield { gone: parsePath("a") };
    // More than one transaction takes.
    for (let i = 10_000; i < 22_000; i++) yield { entry: file(`b/${i}`, 2) };
    await Promise.reject(new Error("the source is gone"));
  }
  const record = (changes: Iterable<TreeChange> | AsyncIterable<TreeChange>) =>
    bench.store.recordSnapshot(bench.tree, changes, details, elsewhere);
  await assertRejects(() => record(breaksOff()), Error, "the source is gone");
  await assertRejects(
    () => record([{ entry: file("b", 1) }, { gone: parsePath("a") }]),
    RangeError,
    "out of order",
  );
  assertEquals(bench.snapshots.list().length, 1);
  const { number } = await bench.record([file("a", 1), file("b", 3)]);
  assertEquals([...bench.snapshots.differences(1, number)], [
    { path: "b" as TreePath, before: file("b", 1), after: file("b", 3) },
  ]);
});

Deno.test("entries() lists what is at and below a path", async () => {
  using bench = new Bench();
  await bench.record([directory("a"), file("a-b", 1), directory("a/b"), file("a/b/c", 2), file("a0", 3)]);
  assertEquals(bench.entries(1, "a"), ["a", "a/b", "a/b/c=2"]);
  assertEquals(bench.entries(1, "a/b/c"), ["a/b/c=2"]);
  assertEquals(bench.entries(1, "none"), []);
  assertThrows(() => bench.entries(2), FilesyncError, "there is none of that number");
});

Deno.test("entries() and recordTree() go through pages", async () => {
  using bench = new Bench();
  const entries = Array.from({ length: 2_500 }, (_, i) => file(String(10_000 + i), i % 7));
  await bench.record(entries);
  await bench.record(entries.filter((_, i) => i % 100 !== 5));
  assertEquals([...bench.snapshots.entries(1)].length, 2_500);
  assertEquals([...bench.snapshots.differences(2, 1)].length, 25);
  assertEquals(bench.entries(2).length, 2_475);
});

Deno.test("versionsOf() tells what stood at a path and until when, drop() forgets what no other snapshot saw", async () => {
  using bench = new Bench();
  for (const [i, size] of [1, 1, 2, undefined, 3, 3].entries()) {
    await bench.record(size === undefined ? [] : [file("a", size)], 100 * (i + 1));
  }
  const versions = () =>
    bench.snapshots.versionsOf(bench.tree, parsePath("a"))
      .map(({ entry, snapshot, time, until }) => [text(entry), snapshot, time, until?.snapshot, until?.time]);
  assertEquals(versions(), [["a=1", 1, 100, 3, 300], ["a=2", 3, 300, 4, 400], [
    "a=3",
    5,
    500,
    undefined,
    undefined,
  ]]);
  const left = [1, 2, 3, 4, 5, 6];
  const expected = ["a=1", "a=1", "a=2", "nothing", "a=3", "a=3"];
  for (const dropped of [2, 4, 3, 1, 5]) {
    bench.snapshots.drop(dropped);
    left.splice(left.indexOf(dropped), 1);
    for (const number of left) {
      assertEquals(text(bench.snapshots.entry(number, parsePath("a"))), expected[number - 1]);
    }
  }
  assertEquals(versions(), [["a=3", 6, 600, undefined, undefined]]);
});

Deno.test("differences() are of one tree, and none between a snapshot and itself", async () => {
  using bench = new Bench();
  await bench.record([file("a", 1), file("b", 1)]);
  await bench.record([file("b", 2), file("c", 1)]);
  await bench.record([file("b", 1), file("c", 1)]);
  const between = (a: number, b: number) =>
    Array.from(bench.snapshots.differences(a, b), ({ before, after }) => `${text(before)} ${text(after)}`);
  assertEquals(between(1, 2), ["a=1 nothing", "b=1 b=2", "nothing c=1"]);
  assertEquals(between(3, 1), ["nothing a=1", "c=1 nothing"]);
  assertEquals(between(2, 2), []);
  const other = bench.store.tree({ role: "served", location: "/b", host: "h" });
  await bench.store.recordTree(other, [], details);
  assertThrows(() => between(1, 4), FilesyncError, "different trees");
});
