import { assert, assertEquals } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { age, spoil } from "../../tests/support/backup.ts";
import { makeTree } from "../../tests/support/trees.ts";
import { systemClock } from "../core/clock.ts";
import { parsePath, ROOT } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import { directoryDigest } from "../hashing/directory_digest.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import type { Snapshot } from "../versions/snapshots.ts";
import { VersionStore } from "../versions/version_store.ts";
import { keepEntries, keepTree } from "./keep_tree.ts";

/** A tree with an index, and a store of its versions. */
class Scene implements AsyncDisposable {
  readonly #temp = new TempDirectory();
  readonly path = this.#temp.directory("tree");
  readonly store = new VersionStore(`${this.#temp.path}/versions`);
  readonly tree = this.store.tree({ role: "backup", location: this.path, host: "here" });
  readonly problems: Problem[] = [];
  readonly receiver = new LocalReceiver(this.path, { clock: systemClock });
  #now = 0;

  static async open(spec: Parameters<typeof makeTree>[1]): Promise<Scene> {
    const scene = new Scene();
    await scene.receiver.ready;
    makeTree(scene.path, spec);
    await scene.receiver.refresh();
    return scene;
  }

  get kept() {
    return { store: this.store, tree: this.tree, root: this.receiver.root };
  }

  options(signal?: AbortSignal) {
    return {
      reason: "test",
      now: ++this.#now,
      sequenced: true,
      onProblem: (problem: Problem) => void this.problems.push(problem),
      signal,
    };
  }

  keep(signal?: AbortSignal): Promise<Snapshot | undefined> {
    return keepTree(this.kept, this.receiver.index, this.options(signal));
  }

  /** The paths of a snapshot with their contents. */
  async text({ number }: Snapshot): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const entry of this.store.snapshots.entries(number)) {
      found[entry.path] = entry.kind;
      if (entry.kind !== "file") continue;
      const pieces = await Array.fromAsync(this.store.contents.read(entry.digest), (piece) => piece.slice());
      found[entry.path] = await new Blob(pieces).text();
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.receiver.close();
    this.store[Symbol.dispose]();
    this.#temp[Symbol.dispose]();
  }
}

Deno.test("keepTree() makes a snapshot of what the index says, and none when nothing changed", async () => {
  await using scene = await Scene.open({ "a.txt": "a", d: { "b.txt": "b" } });
  const snapshot = await scene.keep();
  assertEquals(await scene.text(snapshot!), { "a.txt": "a", d: "directory", "d/b.txt": "b" });
  assertEquals(snapshot!.digest, await directoryDigest(scene.receiver.index.entries()));
  assertEquals(await scene.keep(), undefined);
  // Changed, and back as it was: the sequence moved, the digest did not.
  const { mtime, atime } = Deno.statSync(`${scene.path}/a.txt`);
  const times = Deno.statSync(scene.path);
  for (const text of ["other", "a"]) {
    Deno.writeTextFileSync(`${scene.path}/a.txt`, text);
    if (text === "a") Deno.utimeSync(`${scene.path}/a.txt`, atime!, mtime!);
    await scene.receiver.refresh();
  }
  Deno.utimeSync(scene.path, times.atime!, times.mtime!);
  assertEquals(await scene.keep(), undefined);
  assertEquals(scene.store.snapshots.list(scene.tree).length, 1);
});

Deno.test("keepTree() keeps nothing of a tree that never had anything in it", async () => {
  await using scene = await Scene.open({});
  assertEquals(await scene.keep(), undefined);
});

Deno.test("keepTree() takes what it kept before of a file that is another one by now", async () => {
  await using scene = await Scene.open({ "a.txt": "one", "b.txt": "b" });
  await scene.keep();
  makeTree(scene.path, { "a.txt": "two", "new.txt": "new", "b.txt": "bb" });
  await scene.receiver.refresh();
  // The index knows nothing of this.
  makeTree(scene.path, { "a.txt": "three", "new.txt": "other" });
  const snapshot = await scene.keep();
  assertEquals(scene.problems.map(({ path, code }) => [path, code]), [
    ["a.txt", "digest-mismatch"],
    ["new.txt", "digest-mismatch"],
  ]);
  assertEquals(await scene.text(snapshot!), { "a.txt": "one", "b.txt": "bb" });
  assertEquals(snapshot!.digest, await directoryDigest(scene.store.snapshots.entries(snapshot!.number)));
  // As long as that is so, there is nothing new to keep.
  assertEquals(await scene.keep(), undefined);
  // Nothing is taken for kept that was not.
  await scene.receiver.refresh();
  assertEquals(await scene.text((await scene.keep())!), {
    "a.txt": "three",
    "b.txt": "bb",
    "new.txt": "other",
  });
});

Deno.test("keepTree() takes what it kept before of a damaged file, when it is told to suspect damage", async () => {
  await using scene = await Scene.open({ "a.txt": "good", "b.txt": "b" });
  age(`${scene.path}/a.txt`);
  await scene.receiver.refresh();
  await scene.keep();
  spoil(`${scene.path}/a.txt`);
  makeTree(scene.path, { "b.txt": "edited" });
  await scene.receiver.refresh();
  const options = { ...scene.options(), suspectDamage: true };
  const snapshot = await keepTree(scene.kept, scene.receiver.index, options);
  assertEquals(await scene.text(snapshot!), { "a.txt": "good", "b.txt": "edited" });
  assertEquals(scene.problems, [], "whoever syncs tells of it");
  assertEquals(await keepTree(scene.kept, scene.receiver.index, options), undefined);
});

Deno.test("keepTree() makes no snapshot once it is told to end", async () => {
  await using scene = await Scene.open({ "a.txt": "a" });
  const error = await scene.keep(AbortSignal.abort()).catch((error) => error);
  assert(error instanceof DOMException);
  assertEquals(scene.store.snapshots.list(scene.tree), []);
});

Deno.test("keepEntries() leaves as it was what lies elsewhere", async () => {
  await using scene = await Scene.open({ "a.txt": "a", d: { "b.txt": "b", "c.txt": "c" } });
  await scene.keep();
  makeTree(scene.path, { "a.txt": "not looked at", d: { "b.txt": "changed" } });
  Deno.removeSync(`${scene.path}/d/c.txt`);
  await scene.receiver.refresh();
  const below = [...scene.receiver.index.entries()].filter(({ path }) => path.startsWith("d"));
  const snapshot = await keepEntries(scene.kept, below, [parsePath("d")], scene.options());
  assertEquals(await scene.text(snapshot!), { "a.txt": "a", d: "directory", "d/b.txt": "changed" });
  assertEquals(await keepEntries(scene.kept, below, [parsePath("d")], scene.options()), undefined);
  const all = [...scene.receiver.index.entries()];
  const whole = await keepEntries(scene.kept, all, [ROOT], scene.options());
  assertEquals((await scene.text(whole!))["a.txt"], "not looked at");
});
