/**
 * What a command is: a row of the table that parsing, help, settings and shell
 * completions are all made from. {@linkcode Command} is the row,
 * {@linkcode Invocation} what the user asked of it, {@linkcode Context} the
 * world it runs in.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";

/** A flag of a command. Without `value` it is on or off. */
export interface Flag {
  /** Long name without dashes. */
  name: string;
  /** One letter. */
  short?: string;
  /** Placeholder of its value, such as `FILE`; absent for a flag that is on or off. */
  value?: string;
  /** Whether it may be given several times. @default {false} */
  repeat?: boolean;
  /** Whether `--no-<name>` turns it off. @default {false} */
  negatable?: boolean;
  /** Whether the command cannot run without it. @default {false} */
  required?: boolean;
  description: string;
  /** Environment variable that gives its value, `FILESYNC_…`; one value a line when it repeats. */
  env?: string;
  /** Its value when nothing gives one; `"true"` for a flag that is on by itself. */
  default?: string;
  /** Whether only the command line, the environment and the command's own section of a file give it. @default {false} */
  ownOnly?: boolean;
  /** Whether help and completions leave it out. @default {false} */
  hidden?: boolean;
}

/** A positional argument of a command. */
export interface Argument {
  name: string;
  /** Whether it may be left out; only after all that may not. @default {false} */
  optional?: boolean;
  /** All that it may be. @default {anything} */
  choices?: readonly string[];
  description: string;
}

/** One line a user could type, and what it does. */
export interface Example {
  command: string;
  does: string;
}

/** A command: what it takes, how it is explained, and what it does. */
export interface Command {
  name: string;
  /** One line without a full stop. */
  summary: string;
  /** Paragraphs, separated by empty lines. */
  description?: string;
  arguments: Argument[];
  flags: Flag[];
  examples: Example[];
  /**
   * Commands whose whole line may stand at the end: from the first word that names one, all words are
   * arguments, flags too.
   */
  nested?: readonly string[];
  /**
   * Whether the settings file may ask for it with its arguments, as keys of `[name]`, or several times, in tables
   * `[[name]]`. All its arguments are optional then. @default {false}
   */
  fromTables?: boolean;
  /** Does it; resolves to the exit code. */
  run(invocation: Invocation, context: Context): Promise<number>;
}

/** All of a command but what the list of commands shows. */
export type CommandBody = Omit<Command, "name" | "summary" | "fromTables">;

/** A command whose code is loaded only when it is asked for: what one command needs must not slow others down. */
export interface LazyCommand extends Pick<Command, "name" | "summary" | "fromTables"> {
  load(): Promise<CommandBody>;
}

/** A row of the table of commands. */
export type CommandEntry = Command | LazyCommand;

/** The whole command of a row. */
export async function loadCommand(entry: CommandEntry): Promise<Command> {
  if (!("load" in entry)) return entry;
  const { load, ...listed } = entry;
  return { ...listed, ...await load() };
}

/** Where a setting came from. */
export type SettingSource = "flag" | "environment" | "file" | "default";

/** The value of a flag after all sources were asked. */
export interface Setting {
  /** `["true"]` or `["false"]` for a flag that is on or off. */
  values: string[];
  from: SettingSource;
}

/**
 * What the user asked for. Asking for a flag that the command does not have is
 * an error in the program and throws a `TypeError`.
 */
export interface Invocation {
  arguments: string[];
  /**
   * What the tables of the settings file ask for, each with arguments of its own and the flags of the command
   * line. With them, or without arguments where tables can give them, flags that are required may be missing
   * here; asking for one is a {@linkcode FilesyncError} `usage`.
   */
  tables: Invocation[];
  /** All of the settings file, for commands that look after others. */
  file: Readonly<Record<string, unknown>>;
  /** The value of a flag, or its default. */
  flag(name: string): string | undefined;
  /** All values of a flag that repeats. */
  flags(name: string): string[];
  /** Whether an on/off flag is on, or a value was given; a default value does not count. */
  has(name: string): boolean;
  /** Every flag that has a value, with where it came from. */
  settings: ReadonlyMap<string, Setting>;
}

/** Takes text. Never throws: output that cannot be written must not stop the work. */
export interface TextSink {
  write(text: string): void;
}

/** The world a command runs in. */
export interface Context {
  version: string;
  clock: Clock;
  /** Aborts at the first Ctrl+C or SIGTERM: finish what is in hand, then return. */
  signal: AbortSignal;
  /** Calls `listener` whenever settings shall be read again, until disposed of. */
  onReload(listener: () => void): Disposable;
  environment(name: string): string | undefined;
  /** The program's own path; absent while it runs from its source. */
  executable?: string;
  stdout: TextSink;
  stderr: TextSink;
  /** Whether a person reads `stdout`. */
  isTerminal: boolean;
  /** Whether escape codes for colours are wanted. */
  colors: boolean;
  /** Width of the terminal, in characters. */
  columns(): number;
}

/** Flags that every command takes. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  { name: "help", short: "h", description: "Show help" },
  { name: "version", short: "V", description: "Show the version" },
  {
    name: "config",
    value: "FILE",
    env: "FILESYNC_CONFIG",
    description: "Read settings from FILE, not from filesync.toml in the user's configuration",
  },
  { name: "json", env: "FILESYNC_JSON", description: "Print one JSON object per line" },
  { name: "quiet", short: "q", env: "FILESYNC_QUIET", description: "Print only problems and warnings" },
  {
    name: "verbose",
    short: "v",
    env: "FILESYNC_VERBOSE",
    description: "Print a line for every change, however many there are",
  },
  { name: "debug", env: "FILESYNC_DEBUG", description: "Print where in the program an error came from" },
];

/** The flags of every command that can keep a log. */
export const LOG_FLAGS: readonly Flag[] = [
  {
    name: "log",
    value: "FILE",
    env: "FILESYNC_LOG",
    description: "Also write what happens to FILE, which is rotated at 10 MiB",
  },
  {
    name: "log-level",
    value: "LEVEL",
    env: "FILESYNC_LOG_LEVEL",
    description: "Write only what is at least this severe: info, warning or error",
  },
];

/** All flags that `command` takes; one of its own replaces a global one of the same name. */
export function flagsOf(command: Command): Flag[] {
  const own = new Set(command.flags.map((flag) => flag.name));
  return [...command.flags, ...GLOBAL_FLAGS.filter((flag) => !own.has(flag.name))];
}
