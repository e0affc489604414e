import { assert, assertEquals } from "@std/assert";
import { FaultProxy } from "./support/fault_proxy.ts";
import { copyTree, realPair } from "./support/real_tree.ts";
import { storm } from "./support/storm.ts";
import { problemsIn, SyncScene, totalsIn } from "./support/sync_scene.ts";
import { makeTree, snapshotTree, waitForSameTree } from "./support/trees.ts";
import { systemClock } from "../src/core/clock.ts";

const PATIENCE = 60_000;

Deno.test("a two-way sync with a server 20 ms away brings the changes of both sides to both", async (t) => {
  await using scene = new SyncScene();
  await using proxy = await farAway(scene);
  await copyTree((await realPair()).before, scene.source);

  await t.step("the first one merges", async () => {
    makeTree(scene.backup, { "only there": "there", "package.json": "other content" });
    Deno.utimeSync(`${scene.backup}/package.json`, 1_000_000_000, 1_000_000_000);
    const { json } = await scene.syncWell("--two-way");
    assertEquals(json.filter(({ type }) => type === "conflict").length, 1);
    await scene.assertInStep();
    assertEquals(Deno.readTextFileSync(`${scene.source}/only there`), "there");
  });

  await t.step("little crosses when nothing changed", async () => {
    // What was done is looked at once more before it is believed.
    await scene.syncWell("--two-way");
    proxy.resetCounts();
    const { json } = await scene.syncWell("--two-way");
    assertEquals(Object.values(totalsIn(json)!.counts), [0, 0, 0, 0, 0]);
    assert(proxy.counts().down < 10_000, `${proxy.counts().down} bytes`);
  });

  await t.step("a new version on one side, a storm on the other", async () => {
    await storm(scene.backup, { seed: 7, operations: 200 });
    await copyTree((await realPair()).after, scene.source);
    const { code } = await scene.sync("--two-way");
    assertEquals(code, 0);
    await scene.assertInStep();
  });

  await t.step("a connection that is cut in the middle of an answer", async () => {
    makeTree(scene.backup, { big: "0123456789".repeat(500_000) });
    for (const direction of ["down", "up"] as const) {
      makeTree(scene.source, { [`for ${direction}`]: direction.repeat(1_000_000) });
      const cut = proxy.truncate(direction, 2_000);
      await scene.sync("--two-way");
      await cut;
      await scene.syncWell("--two-way");
      await scene.assertInStep();
    }
  });
});

Deno.test("storms on both sides meet through a network that drops every third connection, and nothing is lost", async () => {
  await using scene = new SyncScene();
  await using proxy = await farAway(scene);
  await storm(scene.source, { seed: 20, operations: 200 });
  await scene.syncWell("--two-way");
  for (const seed of [1, 2]) {
    const common = await scene.contents();
    await Promise.all([
      storm(scene.source, { seed, operations: 150 }),
      storm(scene.backup, { seed: 10 + seed, operations: 150 }),
    ]);
    const written = (await scene.contents()).difference(common);
    proxy.flaky(0.3, 100_000);
    // What cannot be finished is left to the next.
    await scene.sync("--two-way");
    proxy.flaky(0, 0);
    await scene.sync("--two-way", "--allow-mass-delete");
    await scene.syncWell("--two-way");
    await scene.assertInStep();
    assertEquals(await scene.lost(written), []);
  }
});

Deno.test("a conflict is decided as --conflict says, and the loser is kept", async () => {
  for (const served of [false, true]) {
    await using scene = new SyncScene();
    await using _proxy = served ? await farAway(scene) : undefined;
    makeTree(scene.source, { "a.txt": "a", "c.txt": "c" });
    await scene.syncWell("--two-way");
    for (const [policy, winner] of [["newer", "source"], ["source", "source"], ["backup", "backup"]]) {
      conflict(scene, policy);
      const { json } = await scene.syncWell("--two-way", "--conflict", policy);
      assertEquals(json.filter(({ type }) => type === "conflict").map((event) => event.winner), [winner]);
      assertEquals(Deno.readTextFileSync(`${scene.source}/a.txt`), `${policy} of the ${winner}`);
      await scene.assertInStep();
      const loser = `${policy} of the ${winner === "source" ? "backup" : "source"}`;
      // A server keeps versions by itself, or not: there the loser becomes a copy.
      assert(served ? standsIn(scene.source, loser) : await isRestorable(scene, loser), loser);
    }
    conflict(scene, "both");
    const { json } = await scene.syncWell("--two-way", "--conflict", "both");
    const { copy } = json.find(({ type }) => type === "conflict")!;
    assertEquals(Deno.readTextFileSync(`${scene.source}/${copy}`), "both of the backup");
    assertEquals(Deno.readTextFileSync(`${scene.backup}/a.txt`), "both of the source");
    await scene.assertInStep();
  }
});

Deno.test("a name whose case changes is renamed on the other side", async () => {
  await using scene = new SyncScene();
  await using _proxy = await farAway(scene);
  makeTree(scene.source, {
    "readme": "content that is not there twice",
    "docs/a.txt": "a",
    "docs/b.txt": "b",
  });
  await scene.syncWell("--two-way");
  Deno.renameSync(`${scene.source}/readme`, `${scene.source}/README`);
  Deno.renameSync(`${scene.backup}/docs`, `${scene.backup}/Docs`);
  const { json } = await scene.syncWell("--two-way");
  await scene.assertInStep();
  assertEquals(totalsIn(json)!.counts.put, 0);
  assertEquals([...(await snapshotTree(scene.source)).keys()], [
    "Docs",
    "Docs/a.txt",
    "Docs/b.txt",
    "README",
  ]);
});

Deno.test("sync --two-way --watch follows both directions at once", async () => {
  await using scene = new SyncScene();
  makeTree(scene.source, { "a.txt": "a" });
  const sync = scene.startSync("--two-way", "--watch");
  await waitForSameTree(scene.source, scene.backup, PATIENCE);
  for (let i = 0; i < 3; i++) {
    makeTree(scene.source, { [`source ${i}`]: "s", "a.txt": `source ${i}` });
    await waitForSameTree(scene.source, scene.backup, PATIENCE);
    makeTree(scene.backup, { [`backup ${i}/deep`]: "b", "a.txt": `backup ${i}` });
    await waitForSameTree(scene.source, scene.backup, PATIENCE);
    assertEquals(Deno.readTextFileSync(`${scene.source}/a.txt`), `backup ${i}`);
  }
  await Promise.all([
    storm(scene.source, { seed: 1, operations: 100, sleep: (ms) => systemClock.sleep(ms) }),
    storm(scene.backup, { seed: 2, operations: 100, sleep: (ms) => systemClock.sleep(ms) }),
  ]);
  await waitForSameTree(scene.source, scene.backup, PATIENCE);
  assertEquals((await sync.stop()).code, 130);
  assertEquals((await scene.sync("--two-way")).code, 0);
  await scene.assertInStep();
  await scene.assertClean();
});

Deno.test("sync --two-way --watch with a server sees what others change there, and waits while it is away", async () => {
  await using scene = new SyncScene();
  await scene.serve();
  makeTree(scene.source, { "a.txt": "a" });
  const sync = scene.startSync("--two-way", "--watch", "--interval", "500ms");
  await waitForSameTree(scene.source, scene.backup, PATIENCE);
  makeTree(scene.backup, { "theirs.txt": "theirs" });
  await waitForSameTree(scene.source, scene.backup, PATIENCE);
  makeTree(scene.source, { "ours.txt": "ours" });
  await waitForSameTree(scene.source, scene.backup, PATIENCE);
  scene.server.program.kill("SIGKILL");
  await scene.server.program.status;
  makeTree(scene.source, { "while it was away.txt": "ours" });
  makeTree(scene.backup, { "while it was away, too.txt": "theirs" });
  await sync.line(/"level":"warning"/, PATIENCE);
  await scene.serve();
  await waitForSameTree(scene.source, scene.backup, PATIENCE);
  assertEquals((await sync.stop()).code, 130);
  assertEquals(problemsIn(sync.json), []);
});

Deno.test("a two-way sync leaves out on both sides what the rules of either say", async () => {
  await using scene = new SyncScene();
  makeTree(scene.source, {
    ".filesyncignore": "*.o\n",
    "a.o": "left out",
    "a.c": "kept",
    "x.log": "left out",
  });
  makeTree(scene.backup, { "b.o": "left out", "b.c": "kept", "y.log": "left out" });
  await scene.syncWell("--two-way", "--ignore", "*.log");
  const names = async (tree: string) => [...(await snapshotTree(tree)).keys()];
  assertEquals(await names(scene.source), [".filesyncignore", "a.c", "a.o", "b.c", "x.log"]);
  assertEquals(await names(scene.backup), [".filesyncignore", "a.c", "b.c", "b.o", "y.log"]);
  // Neither is what is left out from now on removed.
  makeTree(scene.source, { ".filesyncignore": "*.o\n*.c\n" });
  Deno.removeSync(`${scene.source}/a.c`);
  await scene.syncWell("--two-way", "--ignore", "*.log");
  assertEquals(await names(scene.backup), [".filesyncignore", "a.c", "b.c", "b.o", "y.log"]);
});

/** Has the backup served behind a proxy that takes 10 ms in each direction. */
async function farAway(scene: SyncScene): Promise<FaultProxy> {
  const { url } = await scene.serve();
  const proxy = new FaultProxy(url);
  proxy.delay = 10;
  scene.address = proxy.url;
  return proxy;
}

/** Has both sides change one file; what the source writes is newer. */
function conflict(scene: SyncScene, name: string): void {
  const now = Math.floor(Date.now() / 1000);
  makeTree(scene.backup, { "a.txt": `${name} of the backup` });
  Deno.utimeSync(`${scene.backup}/a.txt`, now - 60, now - 60);
  makeTree(scene.source, { "a.txt": `${name} of the source` });
}

/** Whether some version of the file on either side has this content. */
async function isRestorable(scene: SyncScene, content: string): Promise<boolean> {
  for (const tree of [scene.source, scene.backup]) {
    const { json } = await scene.run("versions", `${tree}/a.txt`, "--json");
    for (const { version } of json) {
      const into = `${scene.path}/restored`;
      await scene.run("restore", `${tree}/a.txt`, "--version", String(version), "--into", into);
      if (Deno.readTextFileSync(`${into}/a.txt`) === content) return true;
    }
  }
  return false;
}

/** Whether a file at the top of `tree` has this content. */
function standsIn(tree: string, content: string): boolean {
  return [...Deno.readDirSync(tree)].some(({ name, isFile }) =>
    isFile && Deno.readTextFileSync(`${tree}/${name}`) === content
  );
}
