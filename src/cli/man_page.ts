/** The manual page, made from the table of commands: man(7), as groff and mandoc read it. @module */
import { type Argument, type Command, type Flag, GLOBAL_FLAGS } from "./command.ts";
import { explain, usageLine } from "./help.ts";

/** What stands in the page's header and footer. */
export interface ManPageOptions {
  version: string;
  /** Such as `2026-11-21`. */
  date: string;
}

/** What the numbers mean that the program ends with. */
const EXIT_STATUS: [code: number, meaning: string][] = [
  [0, "Done."],
  [1, "Some paths have problems, which are listed; or the command failed."],
  [2, "Wrong usage."],
  [3, "The receiver cannot be reached, or does not let us in."],
  [4, "The safety brake holds removals back."],
  [130, "Interrupted: what was under way was finished first."],
];

const ENVIRONMENT: [name: string, meaning: string][] = [
  [
    "FILESYNC_…",
    "Gives a flag its value; the variable of a flag stands beside it above. A flag on the command line counts first, a settings file last.",
  ],
  ["FILESYNC_TOKEN", "The token of the server."],
  ["NO_COLOR", "When it is set, nothing is coloured."],
  ["XDG_CONFIG_HOME, XDG_STATE_HOME", "Where settings and states are, in place of those below."],
];

const FILES: [path: string, meaning: string][] = [
  ["~/.config/filesync/filesync.toml", "Settings, as `filesync init` makes them."],
  ["~/.local/state/filesync/", "What is known of every directory that is watched or synced."],
  ["<dir>/.filesync/", "Index, history and token of a directory that takes changes."],
  ["<dir>/../__versions__/", "Versions of a backup, beside it."],
  [".filesyncignore", "What is left out, in the language of .gitignore."],
];

/** The page `filesync.1`. */
export function manPage(commands: readonly Command[], { version, date }: ManPageOptions): string {
  return [
    `.TH FILESYNC 1 "${date}" "filesync ${version}" "User Commands"`,
    ".SH NAME",
    "filesync \\- keeps a directory in step with a copy elsewhere",
    ".SH SYNOPSIS",
    ".B filesync",
    "\\fIcommand\\fR [\\fIarguments\\fR] [\\fIflags\\fR]",
    ".SH DESCRIPTION",
    text(
      "Pushes every change of a directory to a server or another directory, makes backups with versions, one way or both ways, and brings them back; and records what changes in huge trees.",
    ),
    ".SH COMMANDS",
    ...commands.flatMap(commandLines),
    ".SH FLAGS OF EVERY COMMAND",
    ...GLOBAL_FLAGS.flatMap(flagLines),
    ".SH EXIT STATUS",
    ...EXIT_STATUS.flatMap(([code, meaning]) => item(bold(String(code)), meaning)),
    ".SH ENVIRONMENT",
    ...ENVIRONMENT.flatMap(([name, meaning]) => item(bold(name), meaning)),
    ".SH FILES",
    ...FILES.flatMap(([path, meaning]) => item(italic(path), meaning)),
    "",
  ].join("\n");
}

function commandLines(command: Command): string[] {
  const paragraphs = (command.description ?? "").split(/\n\s*\n/).filter((paragraph) =>
    paragraph.trim() !== ""
  );
  const own = command.flags.filter((flag) => !flag.hidden);
  return [
    `.SS ${literal(usageLine(command))}`,
    text(`${command.summary}.`),
    ...paragraphs.flatMap((paragraph) => [".PP", text(paragraph)]),
    ...command.arguments.flatMap(argumentLines),
    ...own.flatMap(flagLines),
    ...command.examples.flatMap(({ command, does }) => [
      ".PP",
      text(does.endsWith("?") ? does : `${does}:`),
      ".PP",
      ".in +4n",
      ".nf",
      line(literal(command)),
      ".fi",
      ".in",
    ]),
  ];
}

function argumentLines({ name, optional, description }: Argument): string[] {
  return item(italic(`<${name}>`), optional ? `${description} (optional).` : `${description}.`);
}

function flagLines(flag: Flag): string[] {
  const { name, short, negatable, value } = flag;
  const long = `--${negatable ? "[no-]" : ""}${name}`;
  const spelling = `${short ? `${bold(`-${short}`)}, ` : ""}${bold(long)}`;
  return item(value ? `${spelling} ${italic(value)}` : spelling, `${explain(flag)}.`);
}

function item(term: string, meaning: string): string[] {
  return [".TP", line(term), text(meaning)];
}

/** Running text; what stands between backquotes is set bold. */
function text(words: string): string {
  const parts = words.trim().replace(/\s+/g, " ").split(/`([^`]*)`/);
  return line(parts.map((part, i) => i % 2 === 1 ? bold(part) : escaped(part)).join(""));
}

function bold(words: string): string {
  return `\\fB${literal(words)}\\fR`;
}

function italic(words: string): string {
  return `\\fI${literal(words)}\\fR`;
}

/** What is typed as it stands: its hyphens are to be found and copied as such. */
function literal(words: string): string {
  return escaped(words).replaceAll("-", "\\-");
}

function escaped(words: string): string {
  return words.replaceAll("\\", "\\e")
    .replace(
      /[^\x20-\x7e]/gu,
      (char) => `\\[u${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`,
    );
}

/** A line of output: a dot or an apostrophe at its beginning would make it a request. */
function line(words: string): string {
  return /^[.']/.test(words) ? `\\&${words}` : words;
}
