import { assert, assertEquals, assertThrows } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { statusCommand, watchCommand } from "../../tests/support/command_line.ts";
import { FilesyncError } from "../core/errors.ts";
import { completionScript, SHELLS } from "./completions.ts";

const commands = [watchCommand, statusCommand];

for (const shell of SHELLS) {
  Deno.test(`completionScript() writes a script for ${shell}`, async (t) => {
    const script = completionScript(shell, commands);
    assert(!script.includes("secret"));
    await assertSnapshot(t, script.split("\n"));
  });
}

Deno.test("completionScript() refuses a shell it does not know", () => {
  const error = assertThrows(() => completionScript("fisch", commands), FilesyncError);
  assertEquals([error.code, error.hint], ["usage", "Did you mean fish? There are bash, zsh, fish"]);
});

async function hasShell(shell: string): Promise<boolean> {
  try {
    return (await new Deno.Command(shell, { args: ["-c", "true"], stdout: "null", stderr: "null" }).output())
      .success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "completionScript() completes in a real bash",
  ignore: !await hasShell("bash"),
  async fn() {
    async function complete(...words: string[]): Promise<string[]> {
      const script = `${completionScript("bash", commands)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
_filesync; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout, stderr, success } = await new Deno.Command("bash", {
        args: ["--norc", "-c", script],
        cwd: new URL(".", import.meta.url),
      }).output();
      const decoder = new TextDecoder();
      assert(success, decoder.decode(stderr));
      return decoder.decode(stdout).trim().split("\n");
    }
    assertEquals(await complete("filesync", "w"), ["watch"]);
    assertEquals(await complete("filesync", ""), ["watch", "status"]);
    assertEquals(await complete("filesync", "--json", "st"), ["status"]);
    assertEquals(await complete("filesync", "watch", "--ver"), ["--verify", "--version", "--verbose"]);
    assertEquals(await complete("filesync", "watch", "--no"), ["--no-verify"]);
    assertEquals(await complete("filesync", "watch", "completions_t"), ["completions_test.ts"]);
    assertEquals(await complete("filesync", "watch", "--to", "completions_t"), ["completions_test.ts"]);
  },
});

for (const shell of ["zsh", "fish"]) {
  Deno.test({
    name: `completionScript() is good ${shell}`,
    ignore: !await hasShell(shell),
    async fn() {
      const path = await Deno.makeTempFile();
      try {
        await Deno.writeTextFile(path, completionScript(shell, commands));
        const { stderr } = await new Deno.Command(shell, { args: ["-n", path] }).output();
        assertEquals(new TextDecoder().decode(stderr), "");
      } finally {
        await Deno.remove(path);
      }
    },
  });
}
