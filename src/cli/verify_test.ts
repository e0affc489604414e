import { assertEquals, assertStringIncludes } from "@std/assert";
import { age, Backup, spoil } from "../../tests/support/backup.ts";
import { jsonLines } from "../../tests/support/run_command.ts";
import { makeTree } from "../../tests/support/trees.ts";
import { EXIT } from "../core/errors.ts";

async function synced(): Promise<Backup> {
  const test = new Backup();
  makeTree(test.source, { "a.txt": "good content", "b.txt": "other", d: { "c.txt": "third" } });
  for (const name of ["a.txt", "b.txt", "d/c.txt"]) age(`${test.source}/${name}`);
  await test.sync();
  return test;
}

Deno.test("verify finds nothing where nothing is damaged, and counts what was changed", async () => {
  using test = await synced();
  assertEquals((await test.home.run("verify", test.backup)).code, EXIT.done);
  makeTree(test.source, { "a.txt": "edited", "new.txt": "new" });
  Deno.removeSync(`${test.source}/b.txt`);
  const { code, out } = await test.home.run("verify", test.source, "--json");
  assertEquals(code, EXIT.done);
  const { damaged, changed, added, missing } = jsonLines(out).at(-1)!;
  assertEquals({ damaged, changed, added, missing }, { damaged: 0, changed: 1, added: 1, missing: 1 });
});

Deno.test("verify --repair takes good content from the versions, on either side", async () => {
  using test = await synced();
  for (const side of [test.source, test.backup]) {
    spoil(`${side}/a.txt`, 3);
    const found = await test.home.run("verify", side);
    assertEquals(found.code, EXIT.problems);
    assertStringIncludes(found.err, '"a.txt" is damaged');
    assertEquals((await test.home.run("verify", side, "--repair")).code, EXIT.done);
    assertEquals(Deno.readTextFileSync(`${side}/a.txt`), "good content");
    assertEquals((await test.home.run("verify", side)).code, EXIT.done);
  }
});

Deno.test("verify --repair leaves alone what somebody wrote since it was found damaged", async () => {
  using test = await synced();
  for (const name of ["a.txt", "b.txt"]) spoil(`${test.source}/${name}`);
  // What is told of the first comes when both have been read.
  const write = (told: string) => {
    if (told.includes('"a.txt" was damaged')) makeTree(test.source, { "b.txt": "mine!" });
  };
  const context = test.home.context({ stdout: { write }, stderr: { write } });
  const { code } = await test.home.runIn(context, "verify", test.source, "--repair");
  assertEquals(Deno.readTextFileSync(`${test.source}/a.txt`), "good content");
  assertEquals(Deno.readTextFileSync(`${test.source}/b.txt`), "mine!");
  assertEquals(code, EXIT.done);
});

Deno.test("verify --repair takes good content from the other side when there are no versions", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "good content" });
  age(`${test.source}/a.txt`);
  await test.sync("--keep", "none");
  spoil(`${test.source}/a.txt`);
  assertEquals((await test.home.run("verify", test.source, "--repair")).code, EXIT.done);
  assertEquals(Deno.readTextFileSync(`${test.source}/a.txt`), "good content");
});

Deno.test("verify --repair mends versions with what stands in the trees", async () => {
  using test = await synced();
  const pack = `${test.versions}/packs/000001.pack`;
  spoil(pack, Deno.statSync(pack).size - 2);
  const found = await test.home.run("verify", test.backup);
  assertEquals(found.code, EXIT.problems);
  assertStringIncludes(found.err, "A chunk of versions of");
  assertEquals((await test.home.run("verify", test.backup, "--repair")).code, EXIT.done);
  assertEquals((await test.home.run("verify", test.backup)).code, EXIT.done);
});

Deno.test("verify says so when there is no good copy", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "good content" });
  age(`${test.source}/a.txt`);
  await test.sync("--keep", "none");
  spoil(`${test.source}/a.txt`);
  spoil(`${test.backup}/a.txt`);
  const { code, err } = await test.home.run("verify", test.source, "--repair");
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, "No good copy");
});

Deno.test("verify knows only directories of which something is recorded", async () => {
  using test = new Backup();
  const { code, err } = await test.home.run("verify", test.source);
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, "nothing is recorded of it");
});
