import { assertEquals } from "@std/assert";
import { existsSync } from "@std/fs";
import { Home } from "../../tests/support/run_command.ts";
import { EXIT } from "../core/errors.ts";

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
