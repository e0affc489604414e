/** `filesync man`: the manual page. @module */
import { EXIT } from "../core/errors.ts";
import type { Command, CommandBody } from "./command.ts";
import { manPage } from "./man_page.ts";

/** The command that prints the manual page of `commands()`. */
export function manCommand(commands: () => Promise<readonly Command[]>): CommandBody {
  return {
    arguments: [],
    flags: [],
    examples: [
      { command: "filesync man > ~/.local/share/man/man1/filesync.1", does: "For this user: man filesync" },
      { command: "filesync man | man -l -", does: "Read it at once" },
    ],
    async run(_invocation, { version, clock, stdout }) {
      const date = new Date(clock.now()).toISOString().slice(0, "YYYY-MM-DD".length);
      stdout.write(manPage(await commands(), { version, date }));
      return EXIT.done;
    },
  };
}
