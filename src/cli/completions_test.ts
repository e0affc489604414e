import { assert, assertEquals, assertThrows } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { sayNotTested } from "../../tests/support/not_tested.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { statusCommand, watchCommand } from "../../tests/support/command_line.ts";
import { FilesyncError } from "../core/errors.ts";
import type { Command } from "./command.ts";
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
  assertEquals([error.code, error.hint], [
    "usage",
    "Did you mean fish? Write bash, zsh, fish or powershell",
  ]);
});

async function hasShell(shell: string): Promise<boolean> {
  try {
    await new Deno.Command(shell, { args: ["-c", "exit"], stdout: "null", stderr: "null" }).output();
    return true;
  } catch {
    sayNotTested(`completions of ${shell}`, "it is not installed");
    return false;
  }
}

/** A command whose first argument is one of a few. */
const serviceCommand: Command = {
  ...statusCommand,
  name: "service",
  arguments: [{ name: "action", choices: ["install", "uninstall"], description: "What" }],
  nested: ["watch"],
};
const withChoices = [...commands, serviceCommand];

Deno.test({
  name: "completionScript() completes in a real bash",
  ignore: !await hasShell("bash"),
  async fn() {
    async function complete(...words: string[]): Promise<string[]> {
      const script = `${completionScript("bash", withChoices)}
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
    assertEquals(await complete("filesync", ""), ["watch", "status", "service"]);
    assertEquals(await complete("filesync", "service", "un"), ["uninstall"]);
    assertEquals(await complete("filesync", "service", "install", "watch", "--lim"), ["--limit"]);
    assertEquals(await complete("filesync", "watch", "service", "--lim"), ["--limit"]);
    assertEquals(await complete("filesync", "--json", "st"), ["status"]);
    assertEquals(await complete("filesync", "watch", "--ver"), ["--verify", "--version", "--verbose"]);
    assertEquals(await complete("filesync", "watch", "--no"), ["--no-verify"]);
    assertEquals(await complete("filesync", "watch", "completions_t"), ["completions_test.ts"]);
    assertEquals(await complete("filesync", "watch", "--to", "completions_t"), ["completions_test.ts"]);
  },
});

/** Runs a script by a shell that reads no settings, and gives the lines it printed. */
async function runShell(shell: string, args: string[], script: string): Promise<string[]> {
  using temp = new TempDirectory();
  Deno.writeTextFileSync(`${temp.path}/script`, script);
  for (const name of ["one file", "other"]) Deno.writeTextFileSync(`${temp.path}/${name}`, "");
  const { stdout, stderr, success } = await new Deno.Command(shell, {
    args: [...args, `${temp.path}/script`],
    cwd: temp.path,
    env: { HOME: temp.path, XDG_CONFIG_HOME: temp.path, XDG_DATA_HOME: temp.path, TERM: "dumb" },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert(success, text(stderr));
  assertEquals(text(stderr), "");
  return text(stdout).trim().split(/\r?\n/);
}

Deno.test({
  name: "completionScript() completes in a real fish",
  ignore: !await hasShell("fish"),
  async fn() {
    const asked = [
      "w",
      "--json st",
      "watch --ver",
      "watch --no",
      "service un",
      "service un watch --lim",
      "watch on",
      "watch --to on",
    ];
    const script = `${completionScript("fish", withChoices)}
for line in ${asked.map((line) => `'filesync ${line}'`).join(" ")}
  echo (complete -C $line | string replace -r '\\t.*' '' | sort | string join ,)
end
`;
    assertEquals(await runShell("fish", ["--no-config"], script), [
      "watch",
      "status",
      "--verbose,--verify,--version",
      "--no-verify",
      "uninstall",
      "--limit",
      "one file",
      "one file",
    ]);
  },
});

Deno.test({
  name: "completionScript() completes in a real zsh, typed at a terminal of its own",
  ignore: !await hasShell("zsh"),
  async fn() {
    // Each line is typed up to its Tab, completed and run by a function that shows the words it was given.
    const asked = [
      "wat",
      "--json wat",
      "watch --lim",
      "watch --no-v",
      "service un",
      "service un watch --lim",
      "watch on",
      "watch --to on",
    ];
    const script = `zmodload zsh/zpty
cat > completion <<'COMPLETION'
${completionScript("zsh", withChoices)}COMPLETION
zpty terminal zsh -f -i
expect() { local all= part; while zpty -r terminal part; do all+=$part; [[ $all == *$1* ]] && break; done; print -r -- $all }
zpty -w terminal "PS1= PS2= RPS1=; unsetopt zle_bracketed_paste prompt_cr prompt_sp; stty -echo"
zpty -w terminal "autoload -Uz compinit; compinit -u -D; setopt no_beep; unsetopt list_ambiguous; source ./completion"
zpty -w terminal 'filesync() { print -r -- "BEGIN\${(j:|:)@}END" }; print rea''dy'
expect ready > /dev/null
for line in ${asked.map((line) => `'${line}'`).join(" ")}; do
  zpty -w -n terminal "filesync $line"$'\t\n'
  out=$(expect END)
  out=\${out##*BEGIN}
  print -r -- \${out%%END*}
done
zpty -d terminal
`;
    assertEquals(await runShell("zsh", ["-f"], script), [
      "watch",
      "--json|watch",
      "watch|--limit",
      "watch|--no-verify",
      "service|uninstall",
      "service|un|watch|--limit",
      "watch|one file",
      "watch|--to|one file",
    ]);
  },
});

Deno.test({
  name: "completionScript() completes in a real PowerShell",
  ignore: !await hasShell("pwsh"),
  async fn() {
    const asked = [
      "w",
      "--json st",
      "watch --ver",
      "watch --no",
      "service un",
      "service un watch --lim",
      "watch on",
    ];
    const script = `${completionScript("powershell", withChoices)}
foreach ($line in ${asked.map((line) => `'filesync ${line}'`).join(", ")}) {
  (TabExpansion2 $line $line.Length).CompletionMatches.CompletionText -join ','
}
`;
    assertEquals(await runShell("pwsh", ["-NoProfile", "-Command", "-"], script), [
      "watch",
      "status",
      "--verify,--version,--verbose",
      "--no-verify",
      "uninstall",
      "--limit",
      "& './one file'",
    ]);
  },
});
