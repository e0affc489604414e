/** `filesync init`: a settings file with every setting, its default and what it is for. @module */
import { ensureDirSync } from "@std/fs";
import { dirname } from "@std/path";
import { EXIT, FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";
import type { Command, CommandBody, Context, Flag, Invocation } from "./command.ts";
import { jsonLine } from "./json_printer.ts";
import { absolute } from "./places.ts";
import { quotePath } from "./quote.ts";
import { defaultSettingsPath } from "./settings.ts";
import { wrap } from "./text_width.ts";
import { usageError } from "./usage_error.ts";

/** The command, for a program with `commands`. */
export function initCommand(commands: () => Promise<readonly Command[]>): CommandBody {
  return {
    description:
      "Writes filesync.toml with all settings of all commands as comments: their defaults, and what they are for. Take the # away in front of those that you want.\n\n" +
      "Flags and environment variables go before what stands in the file.",
    arguments: [{
      name: "file",
      optional: true,
      description: "The file to write, instead of filesync.toml in the user's configuration",
    }],
    flags: [
      { name: "force", short: "f", description: "Replace a file that is there" },
      { name: "print", short: "p", description: "Print the settings, and write nothing" },
    ],
    examples: [
      { command: "filesync init", does: "Make the settings file of this user" },
      { command: "filesync init ./filesync.toml", does: "One for a project, to be named with --config" },
    ],
    run: async (invocation, context) => init(await commands(), invocation, context),
  };
}

function init(commands: readonly Command[], invocation: Invocation, context: Context): number {
  const text = settingsTemplate(commands);
  if (invocation.has("print")) {
    context.stdout.write(text);
    return EXIT.done;
  }
  const [given] = invocation.arguments;
  const path = given === undefined
    ? invocation.flag("config") ?? defaultSettingsPath(context.environment, Deno.build.os)
    : given;
  if (path === undefined) {
    throw usageError("find a place for the settings", "HOME is not set", "Name a file: filesync init FILE");
  }
  write(absolute(path), text, invocation.has("force"));
  const made = { type: "made", path: absolute(path) };
  context.stdout.write(
    invocation.has("json") ? jsonLine(context.clock.now(), made) : `made ${quotePath(made.path)}\n`,
  );
  return EXIT.done;
}

function write(path: string, text: string, force: boolean): void {
  try {
    ensureDirSync(dirname(path));
    Deno.writeTextFileSync(path, text, { createNew: !force });
  } catch (error) {
    if (osCode(error) !== "EEXIST") throw toFilesyncError(`write "${path}"`, error);
    throw new FilesyncError({
      code: "conflict",
      operation: `write "${path}"`,
      reason: "it is there already",
      hint: "Replace it with --force, or see what would be written with --print",
      permanent: true,
    });
  }
}

/** Settings that make no sense in a file: they belong to one run. */
const OF_ONE_RUN = new Set(["help", "version", "config", "debug", "dry-run", "once", "force", "print"]);

/** All settings of `commands` as TOML, each as a comment with its default or an example. */
export function settingsTemplate(commands: readonly Command[]): string {
  const sections = commands.flatMap((command) => {
    const flags = command.flags.filter((flag) => !flag.hidden && !OF_ONE_RUN.has(flag.name));
    if (flags.length === 0) return [];
    const title = wrap(`${command.summary}.`, COLUMNS - 2).map((line) => `# ${line}`).join("\n");
    const lines = [title, `[${command.name}]`, ...flags.map(settingLines)];
    return [[...lines, ...command.fromTables ? tableLines(command) : []].join("\n")];
  });
  return [
    "# Settings of filesync. Each is a flag of the command its section is named for; flags and",
    "# environment variables go first. Take the # away in front of what you want to set.\n",
    sections.join("\n\n"),
    "",
  ].join("\n");
}

const COLUMNS = 100;

function settingLines(flag: Flag): string {
  const note = flag.env === undefined ? flag.description : `${flag.description} (${flag.env})`;
  const comment = wrap(note, COLUMNS - 3).map((line) => `#  ${line}`).join("\n");
  return `${comment}\n# ${flag.name} = ${valueOf(flag)}`;
}

/** How to ask for a command several times. */
function tableLines({ name, arguments: words }: Command): string[] {
  const comment =
    `To have filesync ${name} do several at once, without arguments: in place of [${name}], a table for each, with these settings and`;
  return [
    ...wrap(comment, COLUMNS - 3).map((line) => `#  ${line}`),
    `# [[${name}]]`,
    ...words.map((word) => `# ${word.name} = ${JSON.stringify(word.name.toUpperCase())}`),
  ];
}

function valueOf({ value, repeat, default: standard }: Flag): string {
  if (value === undefined) return standard ?? "false";
  const text = JSON.stringify(standard ?? value);
  return repeat ? `[${text}]` : text;
}
