/** `filesync completions`: what a shell needs to complete our command lines. @module */
import { EXIT } from "../core/errors.ts";
import type { Command, CommandBody } from "./command.ts";
import { completionScript, SHELLS } from "./completions.ts";
import { anyOf } from "./suggest.ts";

/** The command that prints completions for `commands()`. */
export function completionsCommand(commands: () => Promise<readonly Command[]>): CommandBody {
  return {
    arguments: [{ name: "shell", choices: SHELLS, description: anyOf(SHELLS) }],
    flags: [],
    examples: [
      {
        command: "filesync completions bash > /etc/bash_completion.d/filesync",
        does: "For every user's bash",
      },
      { command: "source <(filesync completions zsh)", does: "In this zsh" },
      { command: "filesync completions powershell | Out-String | Invoke-Expression", does: "In PowerShell" },
    ],
    async run(invocation, context) {
      context.stdout.write(completionScript(invocation.arguments[0], await commands()));
      return EXIT.done;
    },
  };
}
