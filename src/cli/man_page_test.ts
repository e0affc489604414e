import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { statusCommand, watchCommand } from "../../tests/support/command_line.ts";
import { sayNotTested } from "../../tests/support/not_tested.ts";
import { Home } from "../../tests/support/run_command.ts";
import { withTemp } from "../../tests/support/temp.ts";
import { loadCommands } from "./commands.ts";
import { manPage } from "./man_page.ts";

const OPTIONS = { version: "1.2.3", date: "2026-11-21" };

Deno.test("manPage() is made from the table of commands", async (t) => {
  const page = manPage([watchCommand, statusCommand], OPTIONS);
  assert(!page.includes("secret"));
  await assertSnapshot(t, page.split("\n"));
});

Deno.test("manPage() makes no request of what is typed", () => {
  const description = ".so /etc/passwd";
  const page = manPage(
    [{ ...statusCommand, description, examples: [{ command: "'a\\b", does: "x" }] }],
    OPTIONS,
  );
  assertStringIncludes(page, "\n\\&.so /etc/passwd\n");
  assertStringIncludes(page, "\n\\&'a\\eb\n");
});

Deno.test("filesync man prints the page of all commands", async () => {
  using home = new Home();
  const { code, out } = await home.run("man");
  assertEquals(code, 0);
  for (const { name } of await loadCommands()) assertStringIncludes(out, `.SS filesync ${name} `);
});

/** Programs that read such pages, and complain of what is wrong in them. */
const READERS = [["mandoc", "-T", "lint", "-W", "warning"], ["man", "--warnings", "-l"]];

for (const [command, ...args] of READERS) {
  const isThere = await new Deno.Command(command, { args: ["-h"], stdout: "null", stderr: "null" }).output()
    .then(() => true, () => false);
  if (!isThere) sayNotTested(`the manual page as ${command} reads it`, "it is not installed");
  Deno.test({
    name: `manPage() is understood by ${command}`,
    ignore: !isThere,
    fn: () =>
      withTemp(async (dir) => {
        const file = `${dir}/filesync.1`;
        Deno.writeTextFileSync(file, manPage(await loadCommands(), OPTIONS));
        const { code, stdout, stderr } = await new Deno.Command(command, {
          args: [...args, file],
          env: { LC_ALL: "C.UTF-8", MANWIDTH: "80", PAGER: "cat" },
          stdin: "null",
        }).output();
        const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
        assertEquals([code, err], [0, ""], out);
        if (command === "mandoc") assertEquals(out, "");
        else assertStringIncludes(out.replace(/.\x08/g, ""), "filesync status [<dir>] [flags]");
      }),
  });
}
