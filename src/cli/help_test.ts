import { assert, assertEquals } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { statusCommand, watchCommand } from "../../tests/support/command_line.ts";
import { commandHelp, programHelp, usageLine } from "./help.ts";
import { widthOf } from "./text_width.ts";

const commands = [watchCommand, statusCommand];

Deno.test("programHelp() lists the commands", async (t) => {
  await assertSnapshot(t, programHelp(commands, "1.2.3", { columns: 80 }).split("\n"));
});

Deno.test("commandHelp() explains a command on a wide terminal", async (t) => {
  await assertSnapshot(t, commandHelp(watchCommand, { columns: 200 }).split("\n"));
});

Deno.test("commandHelp() explains a command on a narrow terminal, in colours", async (t) => {
  await assertSnapshot(t, commandHelp(watchCommand, { columns: 60, colors: true }).split("\n"));
});

Deno.test("commandHelp() leaves out empty parts", async (t) => {
  await assertSnapshot(t, commandHelp(statusCommand, { columns: 80 }).split("\n"));
});

Deno.test("commandHelp() fits the width", () => {
  for (const columns of [60, 72, 100]) {
    const texts = [commandHelp(watchCommand, { columns }), programHelp(commands, "1.2.3", { columns })];
    for (const line of texts.join("\n").split("\n")) assert(widthOf(line) <= columns, `${columns}: ${line}`);
  }
});

Deno.test("usageLine() shows what is needed", () => {
  assertEquals(usageLine(watchCommand), "filesync watch <dir> --to HOST [flags]");
  assertEquals(usageLine(statusCommand), "filesync status [<dir>] [flags]");
});
