/**
 * `filesync`: watch and push, sync and restore, track change. The way from here: `src/cli/commands.ts` is
 * the table of commands, each command has a file of its own beside it.
 *
 * @module
 */
import config from "./deno.json" with { type: "json" };
import { COMMANDS } from "./src/cli/commands.ts";
import { systemContext } from "./src/cli/context.ts";
import { explainStrays, main } from "./src/cli/main.ts";

if (import.meta.main) {
  // Ends the process by itself: a connection that a server keeps open must not hold up a user's prompt.
  const context = systemContext(config.version);
  explainStrays(Deno.args, context);
  Deno.exit(await main(Deno.args, COMMANDS, context));
}
