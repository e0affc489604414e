import { assertEquals, assertRejects, fail } from "@std/assert";
import { FilesyncError } from "../core/errors.ts";
import type { TempFile, TreeRoot } from "../files/tree_root.ts";
import { Durability } from "./durability.ts";

/** A file system whose syncs end when the test says so. */
class SlowDisk {
  readonly syncs: PromiseWithResolvers<void>[] = [];
  readonly canSyncFileSystem: boolean = true;

  syncFileSystem(): Promise<void> {
    const sync = Promise.withResolvers<void>();
    this.syncs.push(sync);
    return sync.promise;
  }

  get root(): TreeRoot {
    return this as unknown as TreeRoot;
  }
}

/** Lets everything that can happen now happen. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("syncAll() lets those who come during a sync share the next one", async () => {
  const disk = new SlowDisk();
  const durability = new Durability(disk.root);
  const ended: string[] = [];
  const first = durability.syncAll().then(() => ended.push("first"));
  await settle();
  // What they wrote may be too late for the sync that runs.
  const others = ["second", "third"].map((name) => durability.syncAll().then(() => ended.push(name)));
  await settle();
  assertEquals(disk.syncs.length, 1);
  disk.syncs[0].resolve();
  await first;
  await settle();
  assertEquals([disk.syncs.length, ended], [2, ["first"]]);
  disk.syncs[1].resolve();
  await Promise.all(others);
  assertEquals([disk.syncs.length, ended], [2, ["first", "second", "third"]]);
});

Deno.test("syncAll() fails for those whose sync failed, and for who wrote before that and came later", async () => {
  const disk = new SlowDisk();
  const durability = new Durability(disk.root);
  const since = durability.failures;
  const first = assertRejects(() => durability.syncAll(since), Error, "broken");
  await settle();
  const joined = durability.syncAll(since);
  disk.syncs[0].reject(new Error("broken"));
  await first;
  await settle();
  // The system has told of it once, and takes everything for written.
  disk.syncs[1].resolve();
  const { code, permanent } = await assertRejects(() => joined, FilesyncError) as FilesyncError;
  assertEquals([code, permanent], ["io", false]);
  const late = durability.syncAll(since);
  await settle();
  disk.syncs[2].resolve();
  await assertRejects(() => late, FilesyncError, "reported an error meanwhile");
  // What is written anew is above suspicion.
  const anew = durability.syncAll(durability.failures);
  await settle();
  disk.syncs[3].resolve();
  await anew;
});

Deno.test("together() takes many files, unless others keep the disk busy or it cannot be synced as a whole", () => {
  let dirty = 0;
  const durability = new Durability(new SlowDisk().root, { dirtyBytes: () => dirty });
  assertEquals([1, 100].map((files) => durability.together(files)), [false, true]);
  dirty = 1 << 30;
  assertEquals(durability.together(100), false);
  const other = Object.assign(new SlowDisk(), { canSyncFileSystem: false });
  assertEquals(new Durability(other.root, { dirtyBytes: () => 0 }).together(100), false);
});

Deno.test("Durability waits for nothing when it shall not", async () => {
  const disk = new SlowDisk();
  const durability = new Durability(disk.root, { fsync: false });
  assertEquals([1, 100].map((files) => durability.together(files)), [true, true]);
  await durability.syncAll();
  durability.writeOut({ writeOut: () => fail("it was written out") } as unknown as TempFile);
  assertEquals(disk.syncs.length, 0);
});

Deno.test("writeOut() has a file begin its way to the disk", () => {
  let calls = 0;
  new Durability(new SlowDisk().root).writeOut({ writeOut: () => calls++ } as unknown as TempFile);
  assertEquals(calls, 1);
});
