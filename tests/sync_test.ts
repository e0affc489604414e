import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { existsSync } from "@std/fs";
import { randomBytes, writeBigFile } from "./support/bytes.ts";
import { until } from "./support/pair.ts";
import { copyTree, realPair } from "./support/real_tree.ts";
import { problemsIn, SyncScene, totalsIn } from "./support/sync_scene.ts";
import { file, link, makeTree, snapshotTree, waitForSameTree } from "./support/trees.ts";

const MiB = 1 << 20;
const PATIENCE = 60_000;

Deno.test("a real source tree is backed up, and equal to its backup by every measure", async (t) => {
  await using scene = new SyncScene();
  await copyTree((await realPair()).before, scene.source);

  await t.step("the first sync brings everything, and keeps a version of both sides", async () => {
    const { json } = await scene.syncWell();
    assert(totalsIn(json)!.counts.put > 5_000);
    assertEquals(json.filter(({ type }) => type === "version").map(({ of }) => of), ["backup", "source"]);
    await scene.assertInStep();
  });

  await t.step("both digests are the same, also on paper", async () => {
    const digests = [await scene.run("digest", scene.source), await scene.run("digest", scene.backup)];
    assertEquals(digests[0].stdout.slice(0, 64), digests[1].stdout.slice(0, 64));
  });

  await t.step("the second sync has nothing to do, and keeps nothing", async () => {
    const { json } = await scene.syncWell();
    assertEquals(Object.values(totalsIn(json)!.counts), [0, 0, 0, 0, 0]);
    assertEquals(json.filter(({ type }) => type === "version"), []);
  });

  await t.step("verify finds all of it good", async () => {
    const { code, json } = await scene.run("verify", scene.backup, "--json");
    const { damaged, changed, missing, added } = json.find(({ type }) => type === "verified")!;
    assertEquals([code, damaged, changed, missing, added], [0, 0, 0, 0, 0]);
  });

  await t.step("a deleted source is restored as it was", async () => {
    Deno.removeSync(scene.source, { recursive: true });
    const { code, stderr } = await scene.run("restore", scene.source);
    assertEquals([code, stderr], [0, ""]);
    await scene.assertInStep();
  });
});

Deno.test("Ctrl+C in the middle of a big file leaves it whole or absent, and the next sync goes on", async () => {
  await using scene = new SyncScene();
  writeBigFile(`${scene.source}/big`, 400 * MiB, 1);
  const sync = scene.startSync();
  await until(
    "the big file is under way",
    () => sizeOfTemporary(scene.backup) > 16 * MiB || sync.json.length > 3,
  );
  assertEquals((await sync.stop()).code, 130);
  const totals = totalsIn(sync.json);
  assert(totals !== undefined, "the totals are printed");
  assertEquals(existsSync(`${scene.backup}/big`), totals.counts.put === 1);
  if (totals.counts.put === 1) assertEquals(Deno.statSync(`${scene.backup}/big`).size, 400 * MiB);
  await scene.syncWell();
  await scene.assertInStep();
  await scene.assertClean();
});

Deno.test("Ctrl+C among many small files leaves each whole or absent, the next sync goes on, and 'previous' is what was before", async () => {
  await using scene = new SyncScene();
  makeTree(scene.source, { "letter.txt": "as it was" });
  await scene.syncWell();
  makeTree(scene.source, { "letter.txt": "as it is" });
  makeTree(
    scene.source,
    Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`${i % 9}/${i}`, `${i}`])),
  );
  const sync = scene.startSync();
  await sync.event("applied");
  assertEquals((await sync.stop()).code, 130);
  const totals = totalsIn(sync.json)!;
  assertEquals(totals.counts.put, sync.json.filter(({ action }) => action?.type === "put").length);
  await assertSubset(scene.source, scene.backup);
  await scene.syncWell();
  await scene.assertInStep();
  await scene.assertClean();
  // Of two versions that are kept, none is what the interrupted sync left.
  const letter = `${scene.backup}/letter.txt`;
  assertEquals((await scene.run("restore", letter, "--version", "previous")).code, 0);
  assertEquals(Deno.readTextFileSync(letter), "as it was");
});

Deno.test("sync --interval brings what changes, and makes a deleted backup and a deleted log anew", async () => {
  await using scene = new SyncScene();
  makeTree(scene.source, { "a.txt": "one", "d/b.txt": "b" });
  const log = `${scene.path}/sync.log`;
  const sync = scene.startSync("--interval", "1s", "--log", log);
  await sync.event("version", { of: "source" }, PATIENCE);
  makeTree(scene.source, { "a.txt": "two" });
  Deno.removeSync(`${scene.source}/d`, { recursive: true });
  await sync.event("version", { of: "source" }, PATIENCE, sync.mark());
  await scene.assertInStep();
  await until("the log names what was removed", () => Deno.readTextFileSync(log).includes("d/b.txt"));
  Deno.removeSync(log);
  Deno.removeSync(scene.backup, { recursive: true });
  await waitForSameTree(scene.source, scene.backup, PATIENCE);
  await until("the log is back", () => existsSync(log) && Deno.readTextFileSync(log).includes("made anew"));
  assertEquals((await sync.stop()).code, 130);
  assertEquals(problemsIn(sync.json), []);
  await scene.assertClean();
});

Deno.test("sync --watch follows every change at once, and keeps versions meanwhile", async () => {
  await using scene = new SyncScene();
  makeTree(scene.source, { "a.txt": "one" });
  const log = `${scene.path}/sync.log`;
  const sync = scene.startSync("--watch", "--interval", "1s", "--keep", "10", "--log", log);
  await waitForSameTree(scene.source, scene.backup, PATIENCE);
  await sync.event("version", { of: "backup" });
  Deno.removeSync(log);
  for (let i = 0; i < 3; i++) {
    makeTree(scene.source, { "a.txt": `change ${i}`, [`d${i}/new.txt`]: `new ${i}` });
    const mark = sync.mark();
    await waitForSameTree(scene.source, scene.backup, PATIENCE);
    await sync.event("version", { of: "backup" }, PATIENCE, mark);
  }
  assert(existsSync(log), "the log is back");
  assertEquals((await sync.stop()).code, 130);
  assert(totalsIn(sync.json) !== undefined);
  const { json } = await scene.run("versions", scene.source, "--json");
  assert(json.length >= 4, "each state has a version");
  const { code } = await scene.run(
    "restore",
    scene.source,
    "--version",
    String(json.at(-1)!.number),
    "--delete",
  );
  assertEquals([code, Deno.readTextFileSync(`${scene.source}/a.txt`)], [0, "one"]);
  await scene.assertClean();
});

Deno.test("sync --watch goes on when the backup is deleted, and when the source comes back", async () => {
  await using scene = new SyncScene();
  makeTree(scene.source, { "a.txt": "one", "b.txt": "b" });
  const sync = scene.startSync("--watch", "--interval", "1s");
  await sync.event("version", { of: "backup" });
  Deno.removeSync(scene.backup, { recursive: true });
  makeTree(scene.source, { "a.txt": "two" });
  await waitForSameTree(scene.source, scene.backup, PATIENCE);
  Deno.renameSync(scene.source, `${scene.source}-away`);
  await sync.line(/The source is gone/, PATIENCE);
  assert(existsSync(`${scene.backup}/a.txt`));
  makeTree(`${scene.source}-away`, { "a.txt": "three" });
  Deno.renameSync(`${scene.source}-away`, scene.source);
  await waitForSameTree(scene.source, scene.backup, PATIENCE);
  assertEquals((await sync.stop()).code, 130);
});

Deno.test("a tree of odd names, depths and kinds is backed up, and what cannot be is listed", async () => {
  await using scene = new SyncScene();
  const deep = Array.from({ length: 100 }, (_, i) => `d${i}`).join("/");
  const names = [
    "new\nline",
    "\u{1F389} \u{1F469}\u200D\u{1F469}\u200D\u{1F467}.txt",
    "\u00e9 composed",
    "e\u0301 composed",
    "tab\tcarriage\rreturn",
    "back\\slash",
    "--delete",
    "n".repeat(255),
    "...",
  ];
  makeTree(scene.source, {
    [`${deep}/leaf`]: "deep",
    odd: Object.fromEntries(names.map((name) => [name, { [name]: name }])),
    many: Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`${i}`, `${i % 7}`])),
    empty: {},
    links: { up: link(".."), gone: link("no/where"), absolute: link("/etc/hostname") },
    modes: { program: file("#!", { mode: 0o751 }), private: file("p", { mode: 0o600, mtime: 86_400_123 }) },
    "one name": "two names",
  });
  Deno.linkSync(`${scene.source}/one name`, `${scene.source}/another name`);
  sparse(`${scene.source}/sparse`, 64 * MiB);
  await new Deno.Command("mkfifo", { args: [`${scene.source}/pipe`] }).output();
  using _socket = Deno.listen({ transport: "unix", path: `${scene.source}/socket` });
  const { code, json } = await scene.sync();
  assertEquals(code, 1);
  const problems = problemsIn(json).join("\n");
  assertMatch(problems, /"pipe"/);
  assertMatch(problems, /"socket"/);
  await scene.assertInStep({ ignore: (path) => path === "pipe" || path === "socket" });
  assertHoles(`${scene.backup}/sparse`);
  // Two-way, with a state of its own, has nothing to do.
  Deno.removeSync(`${scene.source}/pipe`);
  Deno.removeSync(`${scene.source}/socket`);
  const { json: both } = await scene.syncWell("--two-way");
  assertEquals(totalsIn(both)!.counts.put, 0);
  Deno.removeSync(scene.source, { recursive: true });
  assertEquals((await scene.run("restore", scene.source)).code, 0);
  await scene.assertInStep();
  assertHoles(`${scene.source}/sparse`);
});

Deno.test("a hundred versions of which three are kept stay small", async () => {
  await using scene = new SyncScene();
  makeTree(scene.source, { big: randomBytes(0, MiB), "a.txt": "a" });
  const sync = scene.startSync("--interval", "1ms", "--keep", "3");
  for (let made = 1; made <= 100; made++) {
    await sync.event("version", { of: "source" }, PATIENCE, made === 1 ? 0 : sync.mark());
    Deno.writeFileSync(`${scene.source}/big`, randomBytes(made, MiB));
  }
  await sync.event("version", { of: "source" }, PATIENCE, sync.mark());
  assertEquals((await sync.stop()).code, 130);
  const { json } = await scene.run("versions", scene.source, "--json");
  assertEquals(json.length, 3);
  const size = [...Deno.readDirSync(`${scene.versions}/packs`)]
    .reduce((sum, { name }) => sum + Deno.statSync(`${scene.versions}/packs/${name}`).size, 0);
  assertLess(size, 16 * MiB);
  await scene.assertClean();
});

/** Bytes of what is being written at the top of `tree`. */
function sizeOfTemporary(tree: string): number {
  try {
    const directory = `${tree}/.filesync/tmp`;
    return [...Deno.readDirSync(directory)]
      .reduce((sum, { name }) => sum + Deno.statSync(`${directory}/${name}`).size, 0);
  } catch {
    return 0;
  }
}

function sparse(path: string, size: number): void {
  using made = Deno.openSync(path, { create: true, write: true });
  made.truncateSync(size);
  made.seekSync(size / 2, Deno.SeekMode.Start);
  made.writeSync(new TextEncoder().encode("in the middle of nothing"));
}

/** Fails unless the zeros of a file take no room on the disk, where they need not. */
function assertHoles(path: string): void {
  if (Deno.build.os === "linux") assertLess(Deno.statSync(path).blocks! * 512, MiB);
}

/** Fails unless every file in `part` is one of `whole`, with the same content. */
async function assertSubset(whole: string, part: string): Promise<void> {
  const [all, some] = [await snapshotTree(whole), await snapshotTree(part)];
  for (const [path, { sha256 }] of some) assertEquals(sha256, all.get(path)?.sha256, path);
}
