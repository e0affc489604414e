import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { age, Backup, spoil } from "../../tests/support/backup.ts";
import { HastyClock } from "../../tests/support/hasty_clock.ts";
import { jsonLines } from "../../tests/support/run_command.ts";
import { assertSameTree, file, link, makeTree } from "../../tests/support/trees.ts";
import { systemClock as clock } from "../core/clock.ts";
import { EXIT } from "../core/errors.ts";
import { createApp } from "../server/app.ts";
import { listen } from "../server/listen.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";

Deno.test("sync makes a backup equal, and removes what is gone and what was never there", async () => {
  using test = new Backup();
  makeTree(test.source, {
    "a.txt": "a",
    run: file("#!", { mode: 0o755, mtime: 1_500_000_000_123 }),
    d: { e: {}, "f.txt": "f" },
    l: link("nowhere/at/all"),
  });
  assertEquals((await test.sync()).code, EXIT.done);
  await assertSameTree(test.source, test.backup);
  Deno.removeSync(`${test.source}/a.txt`);
  Deno.renameSync(`${test.source}/d`, `${test.source}/g`);
  makeTree(test.backup, { "theirs.txt": "theirs", "d/mine": "mine" });
  assertEquals((await test.sync()).code, EXIT.done);
  await assertSameTree(test.source, test.backup);
  assertEquals(await test.digest(test.source), await test.digest(test.backup));
  assert(!existsSync(`${test.source}/.filesync`), "nothing is written into the source");
});

Deno.test("sync makes a backup that is as private as its source", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "a" });
  Deno.chmodSync(test.source, 0o700);
  assertEquals((await test.sync()).code, EXIT.done);
  assertEquals(Deno.statSync(test.backup).mode! & 0o777, 0o700);
});

Deno.test("sync makes a version of each state, and of what others did to the backup", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "one" });
  const { out } = await test.sync("--json");
  const made = jsonLines(out).filter(({ type }) => type === "version");
  assertEquals(made.map(({ number, of, reason }) => [number, of, reason]), [
    [1, "backup", "synced"],
    [2, "source", "synced"],
  ]);
  assertEquals(made[0].digest, await test.digest(test.source));
  makeTree(test.backup, { "theirs.txt": "theirs" });
  await test.sync();
  const versions = jsonLines((await test.home.run("versions", test.backup, "--json")).out);
  assertEquals(versions.map(({ number, reason }) => [number, reason]), [
    [4, "synced"],
    [3, "found before a sync"],
  ]);
  const before = (await test.home.run("versions", test.backup)).out;
  await test.sync();
  assertEquals((await test.home.run("versions", test.backup)).out, before, "nothing changed");
});

Deno.test("sync keeps as many versions as it was told, and none with --keep none", async () => {
  using test = new Backup();
  for (const text of ["1", "2", "3", "4"]) {
    makeTree(test.source, { "a.txt": text });
    await test.sync("--keep", "3");
  }
  assertEquals(jsonLines((await test.home.run("versions", test.source, "--json")).out).length, 3);
  using other = new Backup();
  makeTree(other.source, { "a.txt": "a" });
  assertEquals((await other.sync("--keep", "none")).code, EXIT.done);
  assert(!existsSync(other.versions));
});

Deno.test("sync stores of versions of a big file little more than what differs", async () => {
  using test = new Backup();
  const data = crypto.getRandomValues(new Uint8Array(60_000));
  const big = new Uint8Array(8 << 20);
  for (let at = 0; at < big.length; at++) big[at] = data[(at * 7919 + (at >> 9)) % data.length] ^ (at >> 13);
  for (let version = 0; version < 5; version++) {
    big[1_000_000 * (version + 1)] ^= 1;
    Deno.writeFileSync(`${test.source}/big`, big);
    assertEquals((await test.sync("--keep", "10", "-q")).code, EXIT.done);
  }
  const packs = [...Deno.readDirSync(`${test.versions}/packs`)];
  const size = packs.reduce((sum, { name }) => sum + Deno.statSync(`${test.versions}/packs/${name}`).size, 0);
  assert(size < big.length + 4 * 2 * 65_536, `${size} bytes for five versions`);
});

Deno.test("sync --dry-run tells exactly what would be done, and does nothing", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "12", d: { "b.txt": "b" } });
  const first = await test.sync("--dry-run");
  assertMatch(first.out, /would be: 2 files put \(3 B\), 1 directory made/);
  assert(!existsSync(test.backup) && !existsSync(test.versions));
  await test.sync();
  makeTree(test.backup, { "theirs.txt": "theirs" });
  Deno.removeSync(`${test.source}/a.txt`);
  // Without what was known, too.
  test.forgetState();
  const { code, out } = await test.sync("--dry-run");
  assertEquals(code, EXIT.done);
  const would = out.split("\n").filter((line) => line.startsWith("would") && !line.startsWith("would be"));
  assertEquals(would.sort(), ["would remove a.txt", "would remove theirs.txt"]);
  assert(existsSync(`${test.backup}/theirs.txt`));
});

Deno.test("sync refuses directories that lie in each other, whatever links say", async () => {
  using test = new Backup();
  makeTree(test.source, { d: { "a.txt": "a" } });
  Deno.symlinkSync(test.source, `${test.home.path}/link`);
  const places: [string, string][] = [
    [test.source, test.source],
    [test.source, `${test.source}/d`],
    [test.source, `${test.source}/new`],
    [test.source, `${test.home.path}/link/new`],
    [`${test.source}/d`, `${test.home.path}/link`],
    [`${test.home.path}/link`, `${test.source}/d`],
  ];
  for (const [source, backup] of places) {
    const { code, err } = await test.home.run("sync", source, backup);
    assertEquals(code, EXIT.usage, `${source} ${backup}`);
    assertStringIncludes(err, "Name two directories");
  }
  assert(!existsSync(`${test.source}/new`));
});

Deno.test("sync removes nothing when too much is gone, or all of it, unless told to", async () => {
  using test = new Backup();
  const names = Array.from({ length: 30 }, (_, i) => `${i}.txt`);
  makeTree(test.source, Object.fromEntries(names.map((name) => [name, name])));
  await test.sync();
  for (const name of names.slice(0, 12)) Deno.removeSync(`${test.source}/${name}`);
  const { code, err } = await test.sync();
  assertEquals(code, EXIT.brake);
  assertStringIncludes(err, "--allow-mass-delete");
  assert(existsSync(`${test.backup}/0.txt`));
  assertEquals((await test.sync("--allow-mass-delete")).code, EXIT.done);
  await assertSameTree(test.source, test.backup);
  for (const name of names.slice(12)) Deno.removeSync(`${test.source}/${name}`);
  assertEquals((await test.sync()).code, EXIT.brake);
  assert(existsSync(`${test.backup}/29.txt`));
});

Deno.test("sync does not empty a directory that was named by mistake", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "a" });
  makeTree(test.backup, Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`theirs-${i}`, "t"])));
  const { code } = await test.sync();
  assertEquals(code, EXIT.brake);
  assert(existsSync(`${test.backup}/theirs-0`));
  assert(existsSync(`${test.backup}/a.txt`));
});

Deno.test("sync makes a deleted backup anew, but not one whose disk is not mounted", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "a" });
  await test.sync();
  Deno.removeSync(test.backup, { recursive: true });
  assertEquals((await test.sync("--no-rebuild")).code, EXIT.brake);
  const { code, err } = await test.sync();
  assertEquals(code, EXIT.done);
  assertStringIncludes(err, "made anew");
  await assertSameTree(test.source, test.backup);
  Deno.removeSync(`${test.home.path}/backups`, { recursive: true });
  Deno.mkdirSync(`${test.home.path}/backups`);
  const gone = await test.sync();
  assertEquals(gone.code, EXIT.brake);
  assertStringIncludes(gone.err, "Mount the disk");
  assertEquals((await test.sync("--rebuild")).code, EXIT.done);
  await assertSameTree(test.source, test.backup);
});

Deno.test("sync --interval goes on after rounds that failed, and says nothing when nothing changed", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "a" });
  const stop = new AbortController();
  const steps = [
    () => {},
    () => Deno.removeSync(test.backup, { recursive: true }),
    () => Deno.renameSync(test.source, `${test.source}-away`),
    () => Deno.renameSync(`${test.source}-away`, test.source),
    () => makeTree(test.source, { "b.txt": "b" }),
    () => {},
  ];
  const hasty = new HastyClock();
  const { code, out, err } = await test.syncIn(
    {
      signal: stop.signal,
      clock: {
        now: () => hasty.now(),
        async sleep(ms, signal) {
          if (ms !== 3_600_000) return await hasty.sleep(ms, signal);
          const step = steps.shift();
          if (step === undefined) stop.abort();
          else step();
        },
      },
    },
    "--interval",
    "1h",
  );
  assertEquals(code, EXIT.interrupted);
  assertStringIncludes(err, "made anew");
  assertMatch(err, /source": it does not exist/);
  assertEquals(out.match(/^done:/gm)?.length, 3, "the first round, the backup made anew, and b.txt");
  await assertSameTree(test.source, test.backup);
});

Deno.test("sync never carries damage over a good file", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "good content", "b.txt": "edited" });
  for (const name of ["a.txt", "b.txt"]) age(`${test.source}/${name}`);
  await test.sync();
  spoil(`${test.source}/a.txt`);
  Deno.writeTextFileSync(`${test.source}/b.txt`, "EDITED");
  const { code, err } = await test.sync();
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, "damaged, not edited");
  assertEquals(Deno.readTextFileSync(`${test.backup}/a.txt`), "good content");
  assertEquals(Deno.readTextFileSync(`${test.backup}/b.txt`), "EDITED");
  // Not even when nothing is known of the source any more.
  test.forgetState();
  assertEquals((await test.sync()).code, EXIT.problems);
  assertEquals((await test.sync()).code, EXIT.problems);
  assertEquals(Deno.readTextFileSync(`${test.backup}/a.txt`), "good content");
  assertEquals((await test.home.run("verify", test.source, "--repair")).code, EXIT.done);
  assertEquals(Deno.readTextFileSync(`${test.source}/a.txt`), "good content");
  assertEquals((await test.sync()).code, EXIT.done);
  await assertSameTree(test.source, test.backup);
});

Deno.test("sync repairs a damaged backup from a good source", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "good content" });
  age(`${test.source}/a.txt`);
  await test.sync();
  spoil(`${test.backup}/a.txt`);
  assertEquals((await test.sync()).code, EXIT.done);
  assertEquals(Deno.readTextFileSync(`${test.backup}/a.txt`), "good content");
});

Deno.test("sync takes a change for one when its file was touched", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "first" });
  age(`${test.source}/a.txt`);
  await test.sync();
  spoil(`${test.source}/a.txt`);
  assertEquals((await test.sync()).code, EXIT.problems);
  age(`${test.source}/a.txt`, 1_600_000_001.5);
  assertEquals((await test.sync()).code, EXIT.done);
  await assertSameTree(test.source, test.backup);
});

Deno.test("sync brings a server in step, which keeps versions by itself", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "a" });
  await using receiver = new LocalReceiver(test.home.directory("served"), { clock });
  await receiver.ready;
  const app = createApp(receiver, { clock, version: "0", guard: { token: "secret", open: true } });
  const listener = listen(app, { hostname: "127.0.0.1", port: 0, clock });
  try {
    makeTree(receiver.root.path, { "theirs.txt": "t" });
    const { code } = await test.home.run("sync", test.source, listener.url);
    assertEquals(code, EXIT.done);
    const refused = await test.home.run("sync", test.source, listener.url, "--keep", "3");
    assertEquals(refused.code, EXIT.usage);
    assertStringIncludes(refused.err, "filesync serve");
  } finally {
    await listener.close();
  }
  assertEquals(Deno.readTextFileSync(`${receiver.root.path}/a.txt`), "a");
});
