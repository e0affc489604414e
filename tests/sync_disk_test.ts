import { assert, assertEquals, assertMatch } from "@std/assert";
import { existsSync } from "@std/fs";
import { randomBytes } from "./support/bytes.ts";
import { programCommand } from "./support/program.ts";
import { CoarseDisk } from "./support/coarse_disk.ts";
import { SmallDisk } from "./support/small_disk.ts";
import { problemsIn, SyncScene, totalsIn } from "./support/sync_scene.ts";
import { directory, file, link, makeTree } from "./support/trees.ts";

const MiB = 1 << 20;

for (const way of [[], ["--two-way"]]) {
  const name = ["a", ...way, "sync"].join(" ");

  Deno.test(`${name} whose backup's disk is full loses nothing, and goes on when there is room`, async () => {
    using disk = SmallDisk.mount(32 * MiB);
    if (disk === undefined) return;
    await using scene = new SyncScene({ backups: disk.path });
    makeTree(scene.source, { "old.txt": "old", "a.txt": "one", middle: randomBytes(1, 2 * MiB) });
    await scene.syncWell(...way);
    makeTree(scene.source, {
      "a.txt": "two",
      middle: randomBytes(2, 6 * MiB),
      big: randomBytes(3, 20 * MiB),
    });
    const { code, json, stderr } = await scene.sync(...way);
    assertEquals(code, 1);
    assertMatch(problemsIn(json).join() + stderr, /disk is full/);
    assert(!existsSync(`${scene.backup}/big`) || Deno.statSync(`${scene.backup}/big`).size === 20 * MiB);
    assert(
      [2 * MiB, 6 * MiB].includes(Deno.statSync(`${scene.backup}/middle`).size),
      "old or new, and whole",
    );
    assertEquals(Deno.readTextFileSync(`${scene.backup}/old.txt`), "old");
    disk.resize(256 * MiB);
    await scene.syncWell(...way);
    await scene.assertInStep();
    await scene.assertClean();
  });

  Deno.test(`${name} replaces nothing while the disk of the versions is full`, async () => {
    using disk = SmallDisk.mount(8 * MiB);
    if (disk === undefined) return;
    await using scene = new SyncScene();
    Deno.mkdirSync(`${scene.path}/backups/__versions__`);
    const { success } = await new Deno.Command("mount", {
      args: ["--bind", disk.path, `${scene.path}/backups/__versions__`],
    }).output();
    assert(success);
    using _unmount = {
      [Symbol.dispose]: () =>
        void new Deno.Command("umount", { args: [`${scene.path}/backups/__versions__`] }).outputSync(),
    };
    makeTree(scene.source, { "a.txt": "one", middle: randomBytes(1, 2 * MiB) });
    await scene.syncWell(...way);
    // Others replaced what stands at the backup: it must be kept before it is replaced again.
    makeTree(scene.backup, { middle: randomBytes(2, 12 * MiB) });
    makeTree(scene.source, { middle: randomBytes(3, MiB) });
    const standing = await scene.contents();
    const { code, stderr } = await scene.sync(...way);
    assertEquals(code, 1);
    assertMatch(stderr, /disk is full/);
    assertEquals(await scene.lost(standing), []);
    disk.resize(128 * MiB);
    await scene.sync(...way, "--keep", "10");
    await scene.assertInStep();
    assertEquals(await scene.lost(standing), []);
    await scene.assertClean();
  });

  Deno.test(`${name} with a disk that keeps times by the second comes to rest, and spoils none`, async () => {
    using disk = CoarseDisk.mount();
    if (disk === undefined) return;
    await using scene = new SyncScene({ backups: disk.path });
    const mtime = 1_700_000_003_987;
    makeTree(scene.source, {
      "a.txt": file("one", { mtime }),
      "d/b.txt": file("b", { mtime }),
      link: link("a.txt"),
    });
    await scene.syncWell(...way);
    const again = await scene.syncWell(...way);
    assertEquals(totalsIn(again.json)!.counts, { put: 0, directory: 0, symlink: 0, remove: 0, move: 0 });
    assertEquals(Deno.statSync(`${scene.source}/a.txt`).mtime!.getTime(), mtime);
    makeTree(scene.source, { "a.txt": file("two", { mtime: mtime + 10_000 }) });
    assertEquals(totalsIn((await scene.syncWell(...way)).json)!.counts.put, 1);
    assertEquals(Deno.readTextFileSync(`${scene.backup}/a.txt`), "two");
    Deno.removeSync(`${scene.source}/a.txt`);
    assertEquals((await scene.run("restore", scene.source)).code, 0);
    assertEquals(Deno.statSync(`${scene.source}/a.txt`).mtime!.getTime(), mtime + 10_000);
  });

  Deno.test(`${name} tells once of a directory that it may not read`, async () => {
    const command = withoutPrivileges();
    if (command === undefined) return;
    await using scene = new SyncScene({ command });
    makeTree(scene.source, { "a.txt": "one", closed: {} });
    Deno.chmodSync(`${scene.source}/closed`, 0);
    const { code, json } = await scene.sync(...way);
    assertEquals([code, problemsIn(json)], [1, ['Cannot list "closed": permission denied']]);
    Deno.chmodSync(`${scene.source}/closed`, 0o700);
    // Both ways, what cannot be looked at is not carried over.
    if (existsSync(`${scene.backup}/closed`)) Deno.chmodSync(`${scene.backup}/closed`, 0o700);
    await scene.syncWell(...way);
    await scene.assertInStep();
  });

  Deno.test(`${name} leaves at the backup what is in a directory that it may not read`, async () => {
    const command = withoutPrivileges();
    if (command === undefined) return;
    await using scene = new SyncScene({ command });
    makeTree(scene.source, { "open/a.txt": "one", "closed/b/c.txt": "c", "closed/d.txt": "d" });
    await scene.syncWell(...way);
    Deno.chmodSync(`${scene.source}/closed`, 0);
    try {
      makeTree(scene.source, { "open/a.txt": "two" });
      const { code, json, stderr } = await scene.sync(...way);
      assertEquals([code, stderr], [1, ""]);
      assertMatch(problemsIn(json).join(), /"closed": permission denied/);
      assertEquals(Deno.readTextFileSync(`${scene.backup}/open/a.txt`), "two");
      assertEquals(Deno.readTextFileSync(`${scene.backup}/closed/b/c.txt`), "c");
      assertEquals(Deno.readTextFileSync(`${scene.backup}/closed/d.txt`), "d");
    } finally {
      Deno.chmodSync(`${scene.source}/closed`, 0o755);
    }
    // The mode was brought, too: what opens the backup cannot read it either, until it is mended.
    const { code, json } = await scene.sync(...way);
    assertEquals([code, totalsIn(json)!.counts.remove], [0, 0]);
    await scene.assertInStep();
  });
}

Deno.test("a tree whose directories nobody may write is synced and restored without privileges", async () => {
  const command = withoutPrivileges();
  if (command === undefined) return;
  await using scene = new SyncScene({ command });
  const [outer, inner] = [`${scene.source}/module`, `${scene.source}/module/inner`];
  makeTree(scene.source, {
    module: directory({ "a.txt": "one", inner: directory({ "b.txt": "b" }, { mode: 0o555 }) }, {
      mode: 0o555,
    }),
  });
  try {
    await scene.syncWell();
    await scene.assertInStep();
    for (const path of [outer, inner]) Deno.chmodSync(path, 0o755);
    makeTree(inner, { "b.txt": "changed", "c.txt": "new" });
    Deno.removeSync(`${outer}/a.txt`);
    for (const path of [inner, outer]) Deno.chmodSync(path, 0o555);
    await scene.syncWell();
    await scene.assertInStep();
    const restored = await scene.run("restore", scene.source, "--version", "previous", "--delete");
    assertEquals([restored.code, restored.stderr], [0, ""]);
    assertEquals(Deno.readTextFileSync(`${outer}/a.txt`), "one");
    assertEquals(Deno.readTextFileSync(`${inner}/b.txt`), "b");
    assertEquals(Deno.statSync(inner).mode! & 0o777, 0o555);
    await scene.syncWell("--two-way");
    await scene.assertInStep();
  } finally {
    for (const tree of [scene.source, scene.backup]) {
      for (const path of ["module", "module/inner"]) Deno.chmodSync(`${tree}/${path}`, 0o755);
    }
  }
});

/** What starts the program so that it has to keep to permissions; `undefined`, and why on the console, where that cannot be. */
function withoutPrivileges(): string[] | undefined {
  if (Deno.uid() !== 0) return programCommand();
  const setpriv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--inh-caps=-all"];
  try {
    const [command, ...args] = [...setpriv, "true"];
    if (new Deno.Command(command, { args }).outputSync().success) return [...setpriv, ...programCommand()];
  } catch {
    // There is no setpriv.
  }
  // deno-lint-ignore no-console -- whoever reads the test run shall know
  console.info("not tested: this user may do everything, and setpriv cannot change that");
}
