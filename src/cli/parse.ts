/**
 * From the words on the command line to a command, its arguments and the flags
 * that were given, all still as typed: `watch 123` watches a directory named 123.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { type Command, type CommandEntry, type Flag, flagsOf, GLOBAL_FLAGS, loadCommand } from "./command.ts";
import { didYouMean } from "./suggest.ts";
import { usageError } from "./usage_error.ts";

/** What was typed, understood but not yet checked against what the command needs. */
export interface CommandLine {
  /** Absent when only global flags were given. */
  command?: Command;
  arguments: string[];
  /** Values by the flag's name; `["true"]` or `["false"]` for a flag that is on or off. */
  given: Map<string, string[]>;
}

/**
 * `commands` with the one loaded that `args` name, if any; {@linkcode parseCommandLine} needs that.
 *
 * @throws {FilesyncError} `usage` for an unknown flag before the command.
 */
export async function loadNamed(
  args: readonly string[],
  commands: readonly CommandEntry[],
): Promise<CommandEntry[]> {
  const at = findCommand(args);
  const words = at === undefined ? [] : args.slice(at);
  const name = words[0] === "help" ? words.slice(1).find((word) => !word.startsWith("-")) : words[0];
  return await Promise.all(commands.map((entry) => entry.name === name ? loadCommand(entry) : entry));
}

/**
 * Understands a command line. Global flags may stand before the command too, and
 * `help <command>` is `<command> --help`.
 *
 * @throws {FilesyncError} `usage` for an unknown command or flag, or a flag without its value.
 */
export function parseCommandLine(args: readonly string[], commands: readonly CommandEntry[]): CommandLine {
  const at = findCommand(args);
  if (at === undefined) return { ...parseFlags(args, GLOBAL_FLAGS, "filesync") };
  const before = args.slice(0, at);
  const [name, ...after] = args.slice(at);
  const names = commands.map((command) => command.name);
  if (name === "help" && !names.includes(name)) {
    const asked = after.find((word) => !word.startsWith("-"));
    if (asked === undefined) return { arguments: [], given: new Map([["help", ["true"]]]) };
    return parseCommandLine([...before, asked, "--help"], commands);
  }
  const command = commands.find((command) => command.name === name);
  if (command === undefined) {
    const hint = didYouMean(name, names, "filesync ");
    throw usageError(
      `run ${JSON.stringify(name)}`,
      "there is no such command",
      `${hint}filesync --help lists all commands`,
    );
  }
  if ("load" in command) throw new TypeError(`The command "${name}" was not loaded`);
  const rest = nestedAt(after, command);
  const parsed = parseFlags([...before, ...after.slice(0, rest)], flagsOf(command), `filesync ${name}`);
  return { command, ...parsed, arguments: [...parsed.arguments, ...after.slice(rest)] };
}

/**
 * Refuses too few or too many arguments, and empty ones: a variable of a script that is not set would
 * otherwise mean the working directory.
 *
 * @throws {FilesyncError} `usage`.
 */
export function checkArguments(command: Command, given: readonly string[]): void {
  const missing = command.arguments.slice(given.length).find((argument) => !argument.optional);
  if (missing !== undefined) {
    throw usageError(
      `run filesync ${command.name}`,
      `<${missing.name}> is missing`,
      `Give ${lowerFirst(missing.description)}; see filesync ${command.name} --help`,
    );
  }
  const empty = command.arguments.find((_, i) => given[i] === "");
  if (empty !== undefined) {
    throw usageError(
      `run filesync ${command.name}`,
      `<${empty.name}> is empty`,
      `Give ${lowerFirst(empty.description)}; a variable in its place may not be set`,
    );
  }
  if (command.nested === undefined && given.length > command.arguments.length) {
    throw usageError(
      `run filesync ${command.name}`,
      `${JSON.stringify(given[command.arguments.length])} is one argument too many`,
      `Put quotes around names with spaces or wildcards; see filesync ${command.name} --help`,
    );
  }
}

/** Where the first word stands that is no global flag and no value of one. */
function findCommand(args: readonly string[]): number | undefined {
  const end = args.indexOf("--");
  const head = end < 0 ? args : args.slice(0, end);
  const rest = parseArgs(head, {
    ...shapeOf(GLOBAL_FLAGS),
    stopEarly: true,
    unknown: (arg, key) => key === undefined ? true : refuse(arg, key, GLOBAL_FLAGS, "filesync"),
  })._;
  return rest.length === 0 ? undefined : head.length - rest.length;
}

/** Where the line of another command begins in `words`; at their end when there is none. */
function nestedAt(words: readonly string[], { nested = [], flags }: Command): number {
  const taking = new Set(
    [...flags, ...GLOBAL_FLAGS].filter(({ value }) => value !== undefined).map(({ name }) => `--${name}`),
  );
  const at = words.findIndex((word, i) => nested.includes(word) && !taking.has(words[i - 1]));
  return at < 0 ? words.length : at;
}

function parseFlags(
  args: readonly string[],
  flags: readonly Flag[],
  owner: string,
): { arguments: string[]; given: Map<string, string[]> } {
  const words: string[] = [];
  const parsed = parseArgs(args, {
    ...shapeOf(flags),
    unknown(arg, key) {
      if (key !== undefined) refuse(arg, key, flags, owner);
      // Kept here, because the parser turns positional words that look like numbers into numbers.
      words.push(arg);
      return false;
    },
  });
  const given = new Map<string, string[]>();
  for (const flag of flags) {
    const value = parsed[flag.name];
    if (value === undefined) continue;
    if (flag.value === undefined) {
      refuseValue(flag, args);
      given.set(flag.name, [String(value)]);
      continue;
    }
    const values = (Array.isArray(value) ? value : [value]) as unknown[];
    // The parser gives the empty string, or true, to a flag that stands without a value.
    if (values.some((value) => value === "" || typeof value !== "string")) refuseEmpty(flag);
    if (values.length > 0) given.set(flag.name, values as string[]);
  }
  // What is left in `_` stood after "--".
  return { arguments: [...words, ...parsed._.map(String)], given };
}

/** The options of `parseArgs` for a table of flags. */
function shapeOf(flags: readonly Flag[]) {
  const switches = flags.filter((flag) => flag.value === undefined);
  const named = (flags: readonly Flag[]) => flags.map((flag) => flag.name);
  return {
    boolean: named(switches),
    string: named(flags.filter((flag) => flag.value !== undefined)),
    collect: named(flags.filter((flag) => flag.repeat)),
    negatable: named(flags.filter((flag) => flag.negatable)),
    alias: Object.fromEntries(flags.flatMap((flag) => flag.short ? [[flag.name, flag.short]] : [])),
    // Without it, a switch that was not given could not be told from one that was turned off.
    default: Object.fromEntries(switches.map((flag) => [flag.name, undefined])),
  };
}

function refuse(arg: string, key: string, flags: readonly Flag[], owner: string): never {
  // The parser takes `--limit=` for a flag named "limit=".
  const empty = flags.find((flag) => `${flag.name}=` === key);
  if (empty !== undefined) refuseEmpty(empty);
  const typed = arg.startsWith("--") ? arg.replace(/=[^]*/, "") : `-${key}`;
  const names = flags.filter((flag) => !flag.hidden).map((flag) => flag.name);
  const hint = typed.startsWith("--") ? didYouMean(key.replace(/^no-/, ""), names, "--") : "";
  throw usageError(
    `use ${JSON.stringify(typed)}`,
    `${owner} has no such flag`,
    `${hint}${owner} --help lists all flags; a name that begins with a dash goes after --`,
  );
}

function refuseEmpty(flag: Flag): never {
  throw usageError(
    `use --${flag.name}`,
    "its value is missing",
    `Write --${flag.name}=${flag.value ?? "true"}`,
  );
}

/** The parser takes any `--switch=word` for on. */
function refuseValue(flag: Flag, args: readonly string[]): void {
  const end = args.indexOf("--");
  const start = `--${flag.name}=`;
  const wrong = args.slice(0, end < 0 ? undefined : end).find((arg) =>
    arg.startsWith(start) && !/^(true|false)$/.test(arg.slice(start.length))
  );
  if (wrong === undefined) return;
  throw usageError(
    `use ${JSON.stringify(wrong)}`,
    `--${flag.name} is on or off and takes no value`,
    `Write --${flag.name}`,
  );
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
