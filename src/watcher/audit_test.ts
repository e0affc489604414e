import { assert, assertEquals } from "@std/assert";
import { Auditor } from "./audit.ts";

const linux = { ignore: Deno.build.os !== "linux" };

/** A directory that is watched. */
function watched() {
  const root = Deno.makeTempDirSync({ prefix: "audit" });
  Deno.mkdirSync(`${root}/moving`);
  Deno.mkdirSync(`${root}/other`);
  Deno.symlinkSync("../other", `${root}/moving/link`);
  const watch = Deno.watchFs(root);
  const reading = Array.fromAsync(watch);
  return {
    root,
    auditor: new Auditor(root),
    async [Symbol.asyncDispose]() {
      watch.close();
      await reading;
      Deno.removeSync(root, { recursive: true });
    },
  };
}

/** Lets the file system's clock go on. */
function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

Deno.test("audit() tells every link once, and again when it changes", async () => {
  await using tree = watched();
  const changed = async () => {
    await tick();
    return (await tree.auditor.audit()).changed.sort();
  };
  assertEquals(await changed(), ["moving/link"]);
  assertEquals(await changed(), []);
  Deno.symlinkSync("/", `${tree.root}/outside`);
  Deno.mkdirSync(`${tree.root}/other/new/deeper`, { recursive: true });
  Deno.symlinkSync("nowhere", `${tree.root}/other/new/deeper/dangling`);
  assertEquals(await changed(), ["other/new/deeper/dangling", "outside"]);
  Deno.removeSync(`${tree.root}/outside`);
  Deno.symlinkSync("..", `${tree.root}/outside`);
  Deno.renameSync(`${tree.root}/other/new`, `${tree.root}/moving/new`);
  assertEquals(await changed(), ["moving/new/deeper/dangling", "other/new/deeper/dangling", "outside"]);
  assertEquals(await changed(), []);
});

Deno.test("audit() misses no link that is made in the tick in which its directory was listed", async () => {
  await using tree = watched();
  for (let i = 0; i < 10; i++) {
    Deno.symlinkSync("nowhere", `${tree.root}/other/before-${i}`);
    await tree.auditor.audit();
    Deno.symlinkSync("nowhere", `${tree.root}/other/after-${i}`);
    await tick();
    assert((await tree.auditor.audit()).changed.includes(`other/after-${i}`));
    await tick();
  }
});

Deno.test("audit() tells the links that lead to directories inside", async () => {
  await using tree = watched();
  Deno.symlinkSync("/", `${tree.root}/outside`);
  Deno.symlinkSync("nowhere", `${tree.root}/dangling`);
  assertEquals((await tree.auditor.audit()).links, ["moving/link"]);
});

Deno.test("knows() tells directories that were there under this very name", async () => {
  await using tree = watched();
  await tree.auditor.audit();
  const knows = (path: string) => tree.auditor.knows(path);
  assertEquals(["moving", "moving/link", "new"].map(knows), [true, false, false]);
  Deno.removeSync(`${tree.root}/other`);
  await tree.auditor.audit();
  assertEquals(knows("other"), true, "its last events may still come");
  await tree.auditor.audit();
  assertEquals(knows("other"), false);
});

Deno.test("audit() finds the directory whose watch went with a link to it", linux, async () => {
  await using tree = watched();
  assertEquals((await tree.auditor.audit()).unwatched, undefined);
  Deno.renameSync(`${tree.root}/moving`, `${tree.root}/moved`);
  Deno.mkdirSync(`${tree.root}/new`);
  // Until the watch has followed the move, and the link.
  assertEquals((await tree.auditor.audit()).unwatched, undefined);
  Deno.removeSync(`${tree.root}/moved/link`);
  let { unwatched } = await tree.auditor.audit();
  for (let tries = 0; tries < 100 && unwatched === undefined; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    ({ unwatched } = await tree.auditor.audit());
  }
  assertEquals(unwatched, "other");
});

Deno.test("audit() does not judge a tree whose watch it cannot find", async () => {
  const root = Deno.makeTempDirSync({ prefix: "audit" });
  Deno.mkdirSync(`${root}/a`);
  assertEquals((await new Auditor(root).audit()).unwatched, undefined);
  Deno.removeSync(root, { recursive: true });
});
