import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Backup } from "../../tests/support/backup.ts";
import { jsonLines } from "../../tests/support/run_command.ts";
import { link, makeTree } from "../../tests/support/trees.ts";
import { systemClock } from "../core/clock.ts";
import { EXIT } from "../core/errors.ts";

/** A backup with two versions. */
async function twoVersions(): Promise<Backup> {
  const test = new Backup();
  makeTree(test.source, { "a.txt": "one", "gone.txt": "gone", d: { "b.txt": "b" } });
  await test.sync();
  makeTree(test.source, { "a.txt": "changed", l: link("a.txt") });
  Deno.removeSync(`${test.source}/gone.txt`);
  await test.sync();
  return test;
}

Deno.test("versions lists those of a directory, the latest first, on either side", async () => {
  using test = await twoVersions();
  for (const directory of [test.source, test.backup]) {
    const { code, out } = await test.home.run("versions", directory);
    assertEquals(code, EXIT.done);
    const lines = out.trimEnd().split("\n");
    assertMatch(lines[0], /2 files +8 B +[0-9a-f]{12} +synced +latest$/);
    assertMatch(lines[1], /3 files +8 B +[0-9a-f]{12} +synced +previous$/);
    assertEquals(lines.length, 2);
  }
});

Deno.test("versions lists those of a file that is there, that is gone, and of a directory below", async () => {
  using test = await twoVersions();
  const versionsOf = async (path: string) => {
    const { code, out, err } = await test.home.run("versions", path, "--json");
    assertEquals([code, err], [EXIT.done, ""]);
    return jsonLines(out).map(({ entry, until }) => [
      (entry as { size?: number }).size,
      until === undefined,
    ]);
  };
  assertEquals(await versionsOf(`${test.source}/a.txt`), [[7, true], [3, false]]);
  assertEquals(await versionsOf(`${test.backup}/a.txt`), [[7, true], [3, false]]);
  assertEquals(await versionsOf(`${test.source}/gone.txt`), [[4, false]]);
  assertEquals((await versionsOf(`${test.source}/d/b.txt`)).length, 1);
  const { code, err } = await test.home.run("versions", `${test.source}/never.txt`);
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, "nothing of that name is in any version");
});

Deno.test("versions --diff tells what a version changed", async () => {
  using test = await twoVersions();
  const { out } = await test.home.run("versions", test.source, "--diff", "latest");
  assertEquals(out.trimEnd().split("\n").map((line) => line.split("  ")[0]), [
    "~ a.txt",
    "- gone.txt",
    "+ l",
  ]);
  const { code, err } = await test.home.run("versions", test.source, "--diff", "previous");
  assertEquals(code, EXIT.usage);
  assertStringIncludes(err, "it is the first that is kept");
});

Deno.test("versions says where there are none", async () => {
  using test = new Backup();
  const { code, err } = await test.home.run("versions", test.source);
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, "--from");
});

Deno.test("versions tells times as the clock on the wall did, in summer and in winter", async () => {
  const zone = Deno.env.get("TZ");
  Deno.env.set("TZ", "Europe/Berlin");
  try {
    using test = new Backup();
    // Clocks go back at 01:00 UTC, and the day has 25 hours.
    for (const [hour, text] of [["00:30", "summer"], ["01:30", "winter"], ["22:45", "late"]]) {
      const now = Date.parse(`2026-10-25T${hour}:00Z`);
      makeTree(test.source, { "a.txt": text });
      await test.syncIn({ clock: { ...systemClock, now: () => now } }, "--keep", "9");
    }
    const { out } = await test.home.run("versions", test.backup);
    assertEquals([...out.matchAll(/2026\S+ \S+/g)].map(([time]) => time), [
      "2026-10-25 23:45:00",
      "2026-10-25 02:30:00",
      "2026-10-25 02:30:00",
    ]);
    for (const [version, text] of [["2026-10-25", "late"], ["2026-10-25T03:00", "winter"]]) {
      await test.home.run("restore", test.source, "--version", version);
      assertEquals(Deno.readTextFileSync(`${test.source}/a.txt`), text);
    }
  } finally {
    if (zone === undefined) Deno.env.delete("TZ");
    else Deno.env.set("TZ", zone);
  }
});

Deno.test("versions and restore find a backup whatever else lies beside the states, such as a catalog", async () => {
  using test = await twoVersions();
  assertEquals((await test.home.run("scan", test.source)).code, EXIT.done);
  assertEquals((await test.home.run("versions", test.source)).code, EXIT.done);
  assertEquals((await test.home.run("restore", test.source, "--version", "previous")).code, EXIT.done);
});
