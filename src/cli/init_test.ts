import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parse as parseToml } from "smol-toml";
import { Home } from "../../tests/support/run_command.ts";
import { loadCommands } from "./commands.ts";
import { settingsTemplate } from "./init.ts";

Deno.test("settingsTemplate() is TOML in which nothing is set", async () => {
  const settings = parseToml(settingsTemplate(await loadCommands()));
  for (const section of Object.values(settings)) assertEquals(section, {});
  assert("watch" in settings);
});

Deno.test("settingsTemplate() is TOML, too, when every setting is set", async () => {
  const text = settingsTemplate(await loadCommands()).replaceAll(/^# ([a-z][a-z-]* = )/gm, "$1");
  const { watch } = parseToml(text) as { watch: Record<string, unknown> };
  assertEquals(watch.ignore, ["PATTERN"]);
  assertEquals(watch.delete, false);
});

Deno.test("init makes a file that other commands read, and never replaces one unasked", async () => {
  using home = new Home();
  const file = `${home.path}/of/filesync.toml`;
  assertEquals((await home.run("init", file)).code, 0);
  assertEquals((await home.run("status", "--config", file)).code, 0);
  Deno.writeTextFileSync(file, "mine");
  const again = await home.run("init", file);
  assertEquals(again.code, 1);
  assertStringIncludes(again.err, "--force");
  assertEquals(Deno.readTextFileSync(file), "mine");
  assertEquals((await home.run("init", file, "--force")).code, 0);
  assertStringIncludes(Deno.readTextFileSync(file), "[watch]");
});

Deno.test("init without a name makes the file that every command reads", async () => {
  using home = new Home();
  assertEquals((await home.run("init")).code, 0);
  const file = `${home.environment.HOME}/.config/filesync/filesync.toml`;
  Deno.writeTextFileSync(
    file,
    Deno.readTextFileSync(file).replace(/(\[history\][^[]*)# number = /, "$1number = 0 # "),
  );
  const history = await home.run("history", home.path);
  assertStringIncludes(history.err, "from 1 to 10000");
});
