import { assert, assertEquals } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { flagsOf } from "./command.ts";
import { COMMANDS, loadCommands } from "./commands.ts";
import { commandHelp, programHelp } from "./help.ts";
import { parseCommandLine } from "./parse.ts";
import { widthOf } from "./text_width.ts";

Deno.test("COMMANDS shows its help", async (t) => {
  await assertSnapshot(t, programHelp(COMMANDS, "1.2.3", { columns: 80 }).split("\n"));
});

const commands = await loadCommands();

for (const command of commands) {
  Deno.test(`filesync ${command.name} --help explains it`, async (t) => {
    await assertSnapshot(t, commandHelp(command, { columns: 80 }).split("\n"));
  });

  Deno.test(`filesync ${command.name} is well described`, () => {
    assert(!command.summary.endsWith("."), command.summary);
    const flags = flagsOf(command);
    const names = flags.map(({ name }) => name);
    const letters = flags.flatMap(({ short }) => short ?? []);
    assertEquals(new Set(names).size, names.length);
    assertEquals(new Set(letters).size, letters.length);
    for (const { env, name, description } of flags) {
      assert(env === undefined || env === `FILESYNC_${name.toUpperCase().replaceAll("-", "_")}`, `${env}`);
      assert(!description.endsWith("."), description);
    }
    for (const line of commandHelp(command, { columns: 72 }).split("\n")) assert(widthOf(line) <= 72, line);
  });

  Deno.test(`filesync ${command.name} understands its own examples`, () => {
    for (const { command: line } of command.examples) {
      // Words as a shell makes them, as far as the examples need it.
      const typed = [...line.split(" | ")[0].split(" > ")[0].matchAll(/'([^']*)'|(\S+)/g)];
      const [program, ...args] = typed.map(([, quoted, plain]) => quoted ?? plain);
      assert(["filesync", "source", "sudo", "eval"].includes(program) || line.includes("filesync"), line);
      if (program !== "filesync") continue;
      assertEquals(parseCommandLine(args, commands).command?.name, command.name, line);
    }
  });
}
