import { assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { Home } from "../../tests/support/run_command.ts";
import { EXIT } from "../core/errors.ts";
import { pathWithin } from "./places.ts";

Deno.test("realDirectory() refuses a file, before anything is kept for it", async () => {
  using home = new Home();
  const file = `${home.path}/file`;
  Deno.writeTextFileSync(file, "1");
  const to = home.directory("to");
  for (
    const line of [
      ["watch", file, "--to", to, "--once"],
      ["sync", file, to],
      ["verify", file],
      ["digest", file],
      ["scan", file],
    ]
  ) {
    const { code, out, err } = await home.run(...line);
    const message =
      `filesync: Cannot open "${file}": it is not a directory\n  Name the directory that it is in\n`;
    assertEquals([code, out, err], [EXIT.problems, "", message], line[0]);
  }
  assertEquals(existsSync(`${home.path}/.local/state/filesync`), false);
});

Deno.test("pathWithin() tells what lies in a directory, whatever its name begins with", () => {
  const paths = ["/a", "/a/b/c", "/a/..b", "/a/..", "/", "/ab", "/b/a"].map((path) => pathWithin("/a", path));
  assertEquals(paths, ["", "b/c", "..b", undefined, undefined, undefined, undefined]);
  assertEquals([pathWithin("/", "/etc"), pathWithin("", "/etc")], ["etc", undefined]);
});

Deno.test("pathInTree() refuses what no tree can have as a fault of the line, not of a file", async () => {
  using home = new Home();
  const served = home.directory("served");
  const source = home.directory("source");
  assertEquals((await home.run("sync", source, home.directory("backup"))).code, EXIT.done);
  for (
    const [line, flag] of [
      [["history", served, "--under", "/x"], "--under"],
      [["restore", source, "--path", "a//b"], "--path"],
    ] as const
  ) {
    const { code, err } = await home.run(...line);
    assertEquals(code, EXIT.usage, err);
    assertStringIncludes(err, `for ${flag}: the path `);
    assertStringIncludes(err, "Name it by its path below the top of the tree");
  }
});
