/** The table of all commands, in the order of the help. @module */
import type { Command } from "./command.ts";
import { completionsCommand } from "./completions_command.ts";
import { digestCommand } from "./digest.ts";
import { historyCommand } from "./history.ts";
import { initCommand } from "./init.ts";
import { restoreCommand } from "./restore.ts";
import { serveCommand } from "./serve.ts";
import { statusCommand } from "./status.ts";
import { syncCommand } from "./sync.ts";
import { verifyCommand } from "./verify.ts";
import { versionsCommand } from "./versions.ts";
import { watchCommand } from "./watch.ts";
import { whyCommand } from "./why.ts";

/** All commands. */
export const COMMANDS: readonly Command[] = [
  serveCommand,
  watchCommand,
  syncCommand,
  versionsCommand,
  restoreCommand,
  verifyCommand,
  statusCommand,
  whyCommand,
  historyCommand,
  digestCommand,
  initCommand(() => COMMANDS),
  completionsCommand(() => COMMANDS),
];
