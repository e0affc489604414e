import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { Backup } from "../../tests/support/backup.ts";
import { jsonLines } from "../../tests/support/run_command.ts";
import { assertSameTree, file, link, makeTree } from "../../tests/support/trees.ts";
import { EXIT } from "../core/errors.ts";

/** A backup with two versions. */
async function twoVersions(): Promise<Backup> {
  const test = new Backup();
  makeTree(test.source, {
    "a.txt": file("one", { mtime: 1_500_000_000_000 }),
    d: { "b.txt": "b", empty: {} },
    "was a file": "f",
    l: link("a.txt"),
  });
  await test.sync();
  Deno.writeTextFileSync(`${test.source}/a.txt`, "two");
  Deno.removeSync(`${test.source}/d`, { recursive: true });
  Deno.removeSync(`${test.source}/was a file`);
  makeTree(test.source, { "was a file": { inside: "i" }, "new.txt": "new" });
  await test.sync();
  return test;
}

Deno.test("restore brings a deleted directory back, from its recorded location", async () => {
  using test = await twoVersions();
  for (const gone of [test.source, test.backup]) {
    const other = gone === test.source ? test.backup : test.source;
    Deno.removeSync(gone, { recursive: true });
    assertEquals((await test.home.run("restore", gone)).code, EXIT.done);
    await assertSameTree(gone, other);
  }
});

Deno.test("restore --path takes its paths from the directory that is named", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "1", d: { "a.txt": "1", "b.txt": "1" } });
  await test.sync();
  makeTree(test.source, { "a.txt": "mine", d: { "a.txt": "mine", "b.txt": "mine" } });
  const { code, err } = await test.home.run("restore", `${test.source}/d`, "--path", "a.txt");
  assertEquals([code, err], [EXIT.done, ""]);
  const [other, back, beside] = ["a.txt", "d/a.txt", "d/b.txt"].map((path) =>
    Deno.readTextFileSync(`${test.source}/${path}`)
  );
  assertEquals([other, back, beside], ["mine", "1", "mine"]);
});

Deno.test("restore brings both sides back when both are gone", async () => {
  using test = await twoVersions();
  const before = await test.digest(test.source);
  Deno.removeSync(test.source, { recursive: true });
  Deno.removeSync(test.backup, { recursive: true });
  assertEquals((await test.home.run("restore", test.source)).code, EXIT.done);
  assertEquals(await test.digest(test.source), before);
});

Deno.test("restore --version previous keeps what stands there now, and what came since", async () => {
  using test = await twoVersions();
  makeTree(test.source, { "a.txt": "three" });
  const { code, out, err } = await test.home.run("restore", test.source, "--version", "previous");
  assertEquals(code, EXIT.done, err);
  assertEquals(Deno.readTextFileSync(`${test.source}/a.txt`), "one");
  assertEquals(Deno.statSync(`${test.source}/a.txt`).mtime?.getTime(), 1_500_000_000_000);
  assertEquals(Deno.readTextFileSync(`${test.source}/d/b.txt`), "b");
  assert(Deno.statSync(`${test.source}/d/empty`).isDirectory);
  assertEquals(Deno.readTextFileSync(`${test.source}/was a file`), "f");
  assertEquals(Deno.readTextFileSync(`${test.source}/new.txt`), "new");
  const [, number] = /is kept as version (\d+)/.exec(out)!;
  assertStringIncludes(out, `--version ${number}`);
  const back = await test.home.run("restore", test.source, "--path", "a.txt", "--version", number);
  assertEquals(back.code, EXIT.done);
  assertEquals(Deno.readTextFileSync(`${test.source}/a.txt`), "three", "it was kept before it was replaced");
});

Deno.test("restore, made once more, restores the same", async () => {
  using test = await twoVersions();
  makeTree(test.source, { "a.txt": "ruined" });
  for (let times = 1; times <= 2; times++) {
    assertEquals((await test.home.run("restore", test.source)).code, EXIT.done);
    assertEquals(Deno.readTextFileSync(`${test.source}/a.txt`), "two", `${times}`);
  }
  const names = jsonLines((await test.home.run("versions", test.source, "--json")).out).map(({ name }) =>
    name
  );
  assertEquals(names, [undefined, "latest", "previous"]);
});

Deno.test("restore --delete makes a directory exactly what it was", async () => {
  using test = await twoVersions();
  assertEquals((await test.home.run("restore", test.source, "--version", "2", "--delete")).code, EXIT.done);
  assert(!existsSync(`${test.source}/new.txt`));
  const [, digest] = jsonLines((await test.home.run("versions", test.backup, "--json")).out)
    .map(({ digest }) => digest);
  assertEquals(await test.digest(test.source), digest);
});

Deno.test("restore --into leaves the directory alone", async () => {
  using test = await twoVersions();
  const before = await test.digest(test.source);
  const into = `${test.home.path}/there/then`;
  const { code } = await test.home.run("restore", test.source, "--version", "previous", "--into", into);
  assertEquals(code, EXIT.done);
  assertEquals(Deno.readTextFileSync(`${into}/a.txt`), "one");
  assert(!existsSync(`${into}/new.txt`));
  assert(!existsSync(`${into}/.filesync`), "nothing of ours is left there");
  assertEquals(await test.digest(test.source), before);
});

Deno.test("restore takes a file or a directory by its path, and touches nothing else", async () => {
  using test = await twoVersions();
  const time = new Date(1_400_000_000_000);
  Deno.utimeSync(test.source, time, time);
  assertEquals((await test.home.run("restore", `${test.source}/d`, "--version", "previous")).code, EXIT.done);
  assertEquals(Deno.readTextFileSync(`${test.source}/d/b.txt`), "b");
  assertEquals(Deno.readTextFileSync(`${test.source}/a.txt`), "two");
  const none = await test.home.run("restore", `${test.source}/d/none`);
  assertEquals(none.code, EXIT.problems);
  assertStringIncludes(none.err, "it is not in version");
});

Deno.test("restore --dry-run tells what would be done", async () => {
  using test = await twoVersions();
  const { code, out } = await test.home.run("restore", test.source, "--version", "previous", "-n");
  assertEquals(code, EXIT.done);
  assertMatch(out, /would put a\.txt/);
  assertMatch(out, /would remove "?was a file\/inside/);
  assertEquals(Deno.readTextFileSync(`${test.source}/a.txt`), "two");
});

Deno.test("restore finds versions by --from when the user's state is lost", async () => {
  using test = await twoVersions();
  test.forgetState();
  const lost = await test.home.run("restore", test.source);
  assertEquals(lost.code, EXIT.problems);
  assertStringIncludes(lost.err, "--from");
  Deno.removeSync(test.source, { recursive: true });
  assertEquals((await test.home.run("restore", test.source, "--from", test.backup)).code, EXIT.done);
  await assertSameTree(test.source, test.backup);
});

Deno.test("restore says which versions there are when it does not know the one that is asked for", async () => {
  using test = await twoVersions();
  const { code, err } = await test.home.run("restore", test.source, "--version", "77");
  assertEquals(code, EXIT.problems);
  assertMatch(err, /There are 2, 4/);
  assertEquals((await test.home.run("restore", test.source, "--version", "yesterday-ish")).code, EXIT.usage);
});
