/**
 * Where the value of a flag comes from: the command line, else the environment
 * (`FILESYNC_…`), else `filesync.toml`, else the table's default.
 *
 * ```toml
 * [watch]
 * to = "https://backup.example"
 * ignore = ["*.tmp", "node_modules"]
 * ```
 *
 * A command that can be asked for several times has tables, with its arguments among the keys:
 *
 * ```toml
 * [[watch]]
 * dir = "~/photos"
 * to = "https://backup.example"
 *
 * [[watch]]
 * dir = "~/documents"
 * to = ["https://backup.example", "/mnt/usb/documents"]
 * ```
 *
 * Sections that several commands share are told in `shared_sections.ts`.
 *
 * @module
 */
import { isAbsolute, join } from "@std/path";
import { parse as parseToml, TomlError } from "smol-toml";
import { osCode, toFilesyncError } from "../core/errors.ts";
import {
  type Command,
  type CommandEntry,
  type Flag,
  flagsOf,
  GLOBAL_FLAGS,
  type Invocation,
  loadCommand,
  LOG_FLAGS,
  type Setting,
} from "./command.ts";
import type { CommandLine } from "./parse.ts";
import { IniError, parseIni } from "./ini.ts";
import {
  flagOfKey,
  type Place,
  type Section,
  SHARED_SECTIONS,
  sharedPlace,
  sharedSettings,
  unknownKey,
} from "./shared_sections.ts";
import { didYouMean } from "./suggest.ts";
import { usageError } from "./usage_error.ts";

/** Reads an environment variable. */
export type Environment = (name: string) => string | undefined;

/** Settings of a file, by command and flag. */
export type SettingsFile = Record<string, unknown>;

/** These ask about the program itself, so a file cannot set them. */
const NOT_IN_FILE = new Set(["help", "version", "config", "debug"]);

/** Where `filesync.toml` is looked for when nothing says otherwise; `undefined` without a home. */
export function defaultSettingsPath(environment: Environment, os: string): string | undefined {
  const home = environment("HOME");
  const base = os === "windows"
    ? environment("APPDATA")
    : [environment("XDG_CONFIG_HOME"), home && join(home, ".config")]
      // As its specification says.
      .find((path) => path !== undefined && isAbsolute(path));
  return base ? join(base, "filesync", "filesync.toml") : undefined;
}

/**
 * The settings in a file, or none when it does not exist and need not. A file whose name ends in `.ini`, `.cfg` or
 * `.conf` is read as INI, any other as TOML.
 *
 * @param required Whether the user named the file.
 * @throws {FilesyncError} `usage` when it cannot be understood, or holds a section that is neither a command nor one
 * of {@linkcode SHARED_SECTIONS}.
 */
export async function readSettingsFile(
  path: string,
  commands: readonly CommandEntry[],
  required: boolean,
): Promise<SettingsFile> {
  const operation = `read the settings in ${JSON.stringify(path)}`;
  let settings: SettingsFile;
  try {
    const text = await Deno.readTextFile(path);
    settings = /\.(ini|cfg|conf)$/i.test(path)
      ? fromIni(text, await Promise.all(commands.map(loadCommand)))
      : parseToml(text);
  } catch (error) {
    if (error instanceof IniError) throw usageError(operation, `line ${error.line}: ${error.message}`);
    if (error instanceof TomlError) {
      const [what] = error.message.replace(/^Invalid TOML document: /, "").split("\n");
      throw usageError(operation, `line ${error.line}, column ${error.column}: ${what}`);
    }
    const absent = osCode(error) === "ENOENT" || osCode(error) === "ENOTDIR";
    if (absent && !required) return {};
    throw toFilesyncError(operation, error);
  }
  const names = commands.map((command) => command.name);
  for (const [name, section] of Object.entries(settings)) {
    if (names.includes(name) && isTable(section)) continue;
    if (Array.isArray(section) && section.every(isTable)) {
      if (commands.some((command) => command.name === name && command.fromTables)) continue;
      throw usageError(operation, `there can be only one [${name}]`, `Write [${name}], not [[${name}]]`);
    }
    if (SHARED_SECTIONS.includes(name) && isTable(section)) {
      const unknown = unknownKey(name, section as Record<string, unknown>);
      if (unknown === undefined) continue;
      throw usageError(
        operation,
        `[${name}] has no setting "${unknown.key}"`,
        `${didYouMean(unknown.key, unknown.known)}It has ${unknown.known.join(", ")}`,
      );
    }
    if (names.includes(name) || SHARED_SECTIONS.includes(name)) {
      throw usageError(
        operation,
        `"${name}" is a section, and not a setting`,
        `Write [${name}], and its settings below it`,
      );
    }
    throw usageError(
      operation,
      isTable(section) ? `[${name}] is no command` : `"${name}" stands in no section`,
      `${didYouMean(name, [...names, ...SHARED_SECTIONS], "")}Sections are named for commands, such as [${
        names[0]
      }], or are one of ${SHARED_SECTIONS.join(", ")}`,
    );
  }
  return settings;
}

/**
 * What the user asked for, from all sources.
 *
 * @throws {FilesyncError} `usage` for a value that does not fit its flag, an unknown name in
 * the file's section, or a required flag that nothing gives.
 */
export function invocationOf(
  command: Command,
  line: Pick<CommandLine, "arguments" | "given">,
  environment: Environment,
  file: SettingsFile,
): Invocation {
  const flags = flagsOf(command);
  const written = (file[command.name] ?? {}) as Section | Section[];
  const section = Array.isArray(written) ? {} : written;
  const name = `[${command.name}]`;
  checkNames(command, section, flags, name);
  const shared = sharedSettings(file);
  const settings = new Map<string, Setting>();
  for (const flag of flags) {
    const values = flag.ownOnly ? section : { ...shared, ...section };
    const own = { section: name, key: flag.name };
    const where = flag.name in section ? own : sharedPlace(flag.name, file);
    const setting = settingOf(flag, line.given, environment, values, where);
    if (setting !== undefined) settings.set(flag.name, setting);
  }
  const asked = { command, given: line.given, environment, shared, file };
  const tables = Array.isArray(written)
    ? written.map((table, i) => tableInvocation(table, `[${name}] number ${i + 1}`, asked))
    : command.fromTables && command.arguments.some(({ name }) => name in section)
    ? [tableInvocation(section, name, asked)]
    : [];
  const missing = flags.find(({ name, required }) => required && !isGiven(settings.get(name)));
  const isWhole = tables.length === 0 && !(command.fromTables && line.arguments.length === 0);
  if (missing !== undefined && isWhole) throw missingFlag(command, missing);
  return createInvocation(command, line.arguments, settings, { tables, file });
}

/**
 * What one table of the file asks for. It is about one of several, so that what it says goes before the environment,
 * which is about all.
 */
function tableInvocation(
  table: Section,
  name: string,
  { command, given, environment, shared, file }: {
    command: Command;
    given: ReadonlyMap<string, string[]>;
    environment: Environment;
    shared: Section;
    file: SettingsFile;
  },
): Invocation {
  const flags = flagsOf(command);
  checkNames(command, table, flags, name);
  const refuse = (key: string, reason: string, hint: string) =>
    usageError(`use ${JSON.stringify(key)} of ${name} in the settings file`, reason, hint);
  const common = name.startsWith("[[")
    ? [...GLOBAL_FLAGS, ...LOG_FLAGS].find((flag) => flag.name in table)
    : undefined;
  if (common !== undefined) {
    throw refuse(
      common.name,
      "it is for all of them",
      `Give --${common.name}, or put it into [general] or [logging]`,
    );
  }
  const words = command.arguments.map(({ name: key, description }) => {
    const value = table[key];
    if (typeof value === "string" && value !== "") return atHome(value, environment);
    const reason = value === undefined ? "it is missing" : value === "" ? "it is empty" : "it is not a text";
    // What follows in the description is about the command line.
    const [what] = description.split(";");
    throw refuse(key, reason, `Name ${what[0].toLowerCase()}${what.slice(1)}: ${key} = "~/${key}"`);
  });
  const settings = new Map<string, Setting>();
  for (const flag of flags) {
    const own = given.has(flag.name) ? undefined : table[flag.name];
    const setting = own === undefined
      ? settingOf(flag, given, environment, flag.ownOnly ? {} : shared, sharedPlace(flag.name, file))
      : {
        values: fromFile(flag, own, { section: name, key: flag.name }).map(place(flag, environment)),
        from: "file" as const,
      };
    if (setting !== undefined) settings.set(flag.name, setting);
    if (flag.required && !isGiven(setting)) {
      throw refuse(flag.name, "it is missing", `Write ${flag.name} = ${example(flag)}`);
    }
  }
  return createInvocation(command, words, settings, { tables: [], file: {} });
}

/** Whether a setting names anything: a list may be empty. */
function isGiven(setting: Setting | undefined): boolean {
  return setting !== undefined && setting.values.length > 0;
}

/** What names a place may begin at home, as in a shell. */
function place({ value }: Flag, environment: Environment): (text: string) => string {
  const isPlace = ["FILE", "DIR", "DEST"].includes(value ?? "");
  return (text) => isPlace ? atHome(text, environment) : text;
}

function atHome(text: string, environment: Environment): string {
  const home = environment("HOME");
  return home && /^~(\/|$)/.test(text) ? home + text.slice(1) : text;
}

function missingFlag({ name: command }: Command, { name, value = "", env }: Flag) {
  const elsewhere = env === undefined ? "" : ` or set ${env}`;
  return usageError(
    `run filesync ${command}`,
    `--${name} is missing`,
    `Give --${name} ${value}`.trimEnd() + elsewhere,
  );
}

/** The value of one flag, without a command: for those that are needed before it runs. */
export function settingOf(
  flag: Flag,
  given: ReadonlyMap<string, string[]>,
  environment: Environment,
  section: Section = {},
  where?: Place,
): Setting | undefined {
  const typed = given.get(flag.name);
  if (typed !== undefined) return { values: typed, from: "flag" };
  const inherited = flag.env === undefined ? undefined : environment(flag.env);
  // An empty variable is how shells and unit files leave one unset.
  if (inherited !== undefined && inherited !== "") {
    return { values: fromEnvironment(flag, inherited), from: "environment" };
  }
  const written = section[flag.name];
  if (written !== undefined) return { values: fromFile(flag, written, where), from: "file" };
  if (flag.default !== undefined) return { values: [flag.default], from: "default" };
}

function createInvocation(
  command: Command,
  words: string[],
  settings: ReadonlyMap<string, Setting>,
  ofFile: Pick<Invocation, "tables" | "file">,
): Invocation {
  const known = new Map(flagsOf(command).map((flag) => [flag.name, flag]));
  function flagNamed(name: string): Flag {
    const flag = known.get(name);
    if (flag === undefined) throw new TypeError(`This command's table has no flag "${name}"`);
    return flag;
  }
  function valuesOf(name: string): string[] {
    const flag = flagNamed(name);
    const setting = settings.get(name);
    if (flag.required && !isGiven(setting)) throw missingFlag(command, flag);
    return setting?.values ?? [];
  }
  return {
    arguments: words,
    settings,
    ...ofFile,
    flag: (name) => valuesOf(name).at(-1),
    flags: (name) => [...valuesOf(name)],
    has(name) {
      const setting = settings.get(name);
      if (flagNamed(name).value === undefined) return setting?.values[0] === "true";
      return setting !== undefined && setting.from !== "default";
    },
  };
}

/** Whether a text of the environment or an INI file turns a switch on. */
export function isYes(text: string): boolean {
  return /^(1|true|yes|on)$/i.test(text);
}

function fromEnvironment(flag: Flag, text: string): string[] {
  if (flag.value !== undefined) {
    return flag.repeat ? text.split("\n").filter((line) => line !== "") : [text];
  }
  if (isYes(text)) return ["true"];
  if (/^(0|false|no|off)$/i.test(text)) return ["false"];
  throw usageError(
    `use ${JSON.stringify(text)} for ${flag.env}`,
    "it is neither on nor off",
    "Set it to 1 or 0",
  );
}

function fromFile(flag: Flag, value: unknown, where: Place | undefined): string[] {
  const values = flag.repeat && Array.isArray(value) ? value : [value];
  const wanted = flag.value === undefined ? ["boolean"] : ["string", "number"];
  const fits = values.every((value) => wanted.includes(typeof value));
  // As on the command line: an empty name of a place would mean the working directory.
  if (fits && !values.includes("")) return values.map(String);
  const { section = "", key = flag.name } = where ?? {};
  const unfit = flag.value === undefined ? "it is not true or false" : "it is neither a text nor a number";
  throw usageError(
    `use "${key}" of ${section} in the settings file`,
    fits ? "it is empty" : unfit,
    `Write ${key} = ${example(flag)}`,
  );
}

function example(flag: Flag): string {
  if (flag.value === undefined) return "true";
  return flag.repeat ? `["${flag.value}"]` : `"${flag.value}"`;
}

function checkNames(command: Command, section: Section, flags: readonly Flag[], sectionName: string): void {
  const names = [...command.fromTables ? command.arguments : [], ...flags]
    .map(({ name }) => name).filter((name) => !NOT_IN_FILE.has(name));
  for (const name of Object.keys(section)) {
    if (names.includes(name)) continue;
    throw usageError(
      `use "${name}" of ${sectionName} in the settings file`,
      "there is no such setting",
      `${
        didYouMean(name, names)
      }Settings are named like the flags that filesync ${command.name} --help lists`,
    );
  }
}

/** INI knows only texts: those of switches become true and false. */
function fromIni(text: string, commands: readonly Command[]): SettingsFile {
  const ini = parseIni(text);
  const all = commands.flatMap(flagsOf);
  const meant = (section: string, key: string, value: string | string[]) => {
    const command = commands.find(({ name }) => name === section);
    const name = flagOfKey(section, key) ?? key;
    const flag = (command === undefined ? all : flagsOf(command)).find((flag) => flag.name === name);
    if (flag === undefined || flag.value !== undefined) return value;
    return isYes(String(value)) ||
      (/^(0|false|no|off)$/i.test(String(value)) ? false : value);
  };
  return Object.fromEntries(
    Object.entries(ini).map(([section, settings]) => [
      section,
      Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, meant(section, key, value)])),
    ]),
  );
}

function isTable(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
