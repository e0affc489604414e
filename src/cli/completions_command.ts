/** `filesync completions`: what a shell needs to complete our command lines. @module */
import { EXIT } from "../core/errors.ts";
import type { Command } from "./command.ts";
import { completionScript, SHELLS } from "./completions.ts";

/** The command that prints completions for `commands()`. */
export function completionsCommand(commands: () => readonly Command[]): Command {
  return {
    name: "completions",
    summary: "Print a script that makes a shell complete filesync's commands",
    arguments: [{ name: "shell", description: SHELLS.join(", ") }],
    flags: [],
    examples: [
      {
        command: "filesync completions bash > /etc/bash_completion.d/filesync",
        does: "For every user's bash",
      },
      { command: "source <(filesync completions zsh)", does: "In this zsh" },
    ],
    run(invocation, context) {
      context.stdout.write(completionScript(invocation.arguments[0], commands()));
      return Promise.resolve(EXIT.done);
    },
  };
}
