import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { age, Backup, spoil } from "../../tests/support/backup.ts";
import { jsonLines } from "../../tests/support/run_command.ts";
import { assertSameTree, makeTree } from "../../tests/support/trees.ts";
import { EXIT } from "../core/errors.ts";

Deno.test("sync --two-way carries what either side changed, and tells on which", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "a", d: { "b.txt": "b" } });
  assertEquals((await test.sync("--two-way")).code, EXIT.done);
  makeTree(test.source, { "a.txt": "changed" });
  makeTree(test.backup, { "new.txt": "new" });
  Deno.removeSync(`${test.backup}/d`, { recursive: true });
  const { code, out } = await test.sync("--two-way", "--json");
  assertEquals(code, EXIT.done);
  const applied = jsonLines(out).filter(({ type }) => type === "applied")
    .map(({ action, on }) => [(action as { path: string }).path, on]);
  assertEquals(applied.sort(), [
    ["a.txt", "backup"],
    ["d", "source"],
    ["d/b.txt", "source"],
    ["new.txt", "source"],
  ]);
  await assertSameTree(test.source, test.backup);
  assert(!existsSync(`${test.source}/.filesync`), "nothing of ours stays in the source");
});

Deno.test("sync --two-way --watch hears of what changes as soon as it has looked for the first time", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "a" });
  const end = new AbortController();
  using _limit = timeout(end, 30_000);
  let done = 0;
  const context = test.home.context({ signal: end.signal });
  const write = (text: string) => {
    if (!text.includes('"type":"totals"')) return;
    // At the very moment at which the first round is over; the second one brings it.
    if (++done === 1) Deno.writeTextFileSync(`${test.source}/a.txt`, "at once");
    else end.abort();
  };
  const args = ["--two-way", "--watch", "--interval", "1h", "--json"];
  await test.home.runIn(
    { ...context, stdout: { ...context.stdout, write } },
    "sync",
    test.source,
    test.backup,
    ...args,
  );
  assertEquals([done, Deno.readTextFileSync(`${test.backup}/a.txt`)], [2, "at once"]);
});

/** Ends what would never end. */
function timeout(end: AbortController, ms: number): Disposable {
  const timer = setTimeout(() => end.abort(), ms);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

Deno.test("sync --two-way carries no damage over, in either direction, until it is touched", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "good a", "b.txt": "good b", "c.txt": "c" });
  for (const name of ["a.txt", "b.txt"]) age(`${test.source}/${name}`);
  await test.sync("--two-way");
  spoil(`${test.source}/a.txt`);
  spoil(`${test.backup}/b.txt`);
  makeTree(test.source, { "c.txt": "edited" });
  const { code, err } = await test.sync("--two-way");
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, "on the source its content changed");
  assertStringIncludes(err, "on the backup its content changed");
  assertEquals(Deno.readTextFileSync(`${test.backup}/a.txt`), "good a");
  assertEquals(Deno.readTextFileSync(`${test.source}/b.txt`), "good b");
  assertEquals(Deno.readTextFileSync(`${test.backup}/c.txt`), "edited", "all else goes on");
  for (const side of [test.source, test.backup]) {
    const verified = await test.home.run("verify", side, "--repair");
    assertEquals(verified.code, EXIT.done, verified.out + verified.err);
  }
  assertEquals((await test.sync("--two-way")).code, EXIT.done);
  assertEquals(Deno.readTextFileSync(`${test.source}/a.txt`), "good a");
  await assertSameTree(test.source, test.backup);
  spoil(`${test.source}/a.txt`);
  age(`${test.source}/a.txt`, 1_600_000_001.5);
  assertEquals((await test.sync("--two-way")).code, EXIT.done);
  await assertSameTree(test.source, test.backup);
});

Deno.test("sync --two-way removes nothing on the other side of an emptied one, nor brings it back", async () => {
  for (const side of ["source", "backup"] as const) {
    using test = new Backup();
    const names = Array.from({ length: 20 }, (_, i) => `${i}.txt`);
    makeTree(test.source, Object.fromEntries(names.map((name) => [name, name])));
    await test.sync("--two-way");
    const [emptied, other] = side === "source" ? [test.source, test.backup] : [test.backup, test.source];
    for (const name of names) Deno.removeSync(`${emptied}/${name}`);
    const { code, err } = await test.sync("--two-way");
    assertEquals(code, EXIT.brake);
    assertStringIncludes(err, `the ${side} is empty`);
    assert(existsSync(`${other}/0.txt`) && !existsSync(`${emptied}/0.txt`));
    assertEquals((await test.sync("--two-way", "--allow-mass-delete")).code, EXIT.done);
    assert(!existsSync(`${other}/0.txt`));
  }
});

Deno.test("sync --two-way makes a side anew that was deleted as a whole", async () => {
  for (const side of ["source", "backup"] as const) {
    using test = new Backup();
    makeTree(test.source, { "a.txt": "a", d: { "b.txt": "b" } });
    await test.sync("--two-way");
    Deno.removeSync(test[side], { recursive: true });
    assertEquals((await test.sync("--two-way", "--no-rebuild")).code === EXIT.done, false);
    const { code, err } = await test.sync("--two-way");
    assertEquals(code, EXIT.done);
    assertStringIncludes(err, "made anew");
    await assertSameTree(test.source, test.backup);
  }
});

Deno.test("sync --two-way --dry-run tells what would be done on which side, and does nothing", async () => {
  using test = new Backup();
  makeTree(test.source, { "a.txt": "a" });
  await test.sync("--two-way");
  makeTree(test.source, { "b.txt": "b" });
  makeTree(test.backup, { "c.txt": "c" });
  const { code, out } = await test.sync("--two-way", "--dry-run", "--json");
  assertEquals(code, EXIT.done);
  const planned = jsonLines(out).filter(({ type }) => type === "applied");
  assertEquals(
    planned.map(({ action, on, dryRun }) => [(action as { path: string }).path, on, dryRun]).sort(),
    [["b.txt", "backup", true], ["c.txt", "source", true]],
  );
  assert(!existsSync(`${test.backup}/b.txt`) && !existsSync(`${test.source}/c.txt`));
  assertEquals((await test.sync("--two-way")).code, EXIT.done);
  await assertSameTree(test.source, test.backup);
});

Deno.test("sync takes --conflict with --two-way only, and only policies", async () => {
  using test = new Backup();
  const { code, err } = await test.sync("--conflict", "source");
  assertEquals(code, EXIT.usage);
  assertStringIncludes(err, "Add --two-way");
  assertEquals((await test.sync("--two-way", "--conflict", "mine")).code, EXIT.usage);
  assertEquals((await test.sync("--interval", "0")).code, EXIT.usage);
});
