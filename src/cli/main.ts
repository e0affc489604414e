/**
 * The command line as a function: from arguments to an exit code. Everything a user sees
 * of an error is decided here.
 *
 * @module
 */
import {
  type ErrorCode,
  EXIT,
  FilesyncError,
  firstError,
  nextStep,
  osCode,
  toFilesyncError,
} from "../core/errors.ts";
import { type Command, type CommandEntry, type Context, GLOBAL_FLAGS, type Invocation } from "./command.ts";
import { commandHelp, programHelp } from "./help.ts";
import { jsonLine } from "./json_printer.ts";
import { checkArguments, type CommandLine, loadNamed, parseCommandLine } from "./parse.ts";
import { visible } from "./quote.ts";
import { defaultSettingsPath, invocationOf, isYes, readSettingsFile, settingOf } from "./settings.ts";
import { createStyle } from "./style.ts";

/** The exit code for an error that stopped a command. */
export function exitCodeOf(code: ErrorCode): number {
  switch (code) {
    case "usage":
      return EXIT.usage;
    case "unreachable":
    case "unauthorized":
      return EXIT.unreachable;
    case "brake":
      return EXIT.brake;
    default:
      return EXIT.problems;
  }
}

/**
 * Runs the command that `args` name and resolves to the exit code. Never rejects: an error
 * is printed as `filesync: Cannot …: …` with a hint, or as one JSON object with `--json`.
 */
export async function main(
  args: readonly string[],
  table: readonly CommandEntry[],
  context: Context,
): Promise<number> {
  let look = typedLook(args, context);
  let operation = "run filesync";
  try {
    const commands = await loadNamed(args, table);
    const line = parseCommandLine(args, commands);
    const answered = answer(line, commands, context);
    if (answered !== undefined) return answered;
    const command = line.command!;
    operation = `run filesync ${command.name}`;
    look = { json: isOn("json", line, context), debug: isOn("debug", line, context) };
    checkArguments(command, line.arguments);
    const invocation = await settle(command, line, commands, context);
    look.json = invocation.has("json");
    const code = await command.run(invocation, context);
    return context.signal.aborted && code === EXIT.done ? EXIT.interrupted : code;
  } catch (thrown) {
    const error = firstError(thrown);
    if (context.signal.aborted && isAbort(error, context.signal)) return EXIT.interrupted;
    const fault = asFault(operation, error);
    const code = exitCodeOf(fault.code);
    context.stderr.write(look.json ? jsonOf(fault, code, context) : textOf(fault, context));
    if (look.debug) context.stderr.write(stackOf(error));
    return code;
  }
}

/**
 * Ends the process in our words when something fails that nobody waits for: else the runtime would show
 * where in the program it was, and that only.
 */
export function explainStrays(args: readonly string[], context: Context): void {
  const look = typedLook(args, context);
  const explain = (error: unknown) => {
    const fault = asFault("go on", error);
    const code = exitCodeOf(fault.code);
    context.stderr.write(look.json ? jsonOf(fault, code, context) : textOf(fault, context));
    if (look.debug) context.stderr.write(stackOf(error));
    // What was written goes out first.
    queueMicrotask(() => Deno.exit(code));
  };
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    explain(event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    explain(event.error);
  });
}

/** Answers what needs no command to run: help, the version, and no command at all. */
function answer(
  line: CommandLine,
  commands: readonly CommandEntry[],
  context: Context,
): number | undefined {
  const options = { columns: context.columns(), colors: context.colors };
  if (line.given.get("help")?.[0] === "true") {
    context.stdout.write(
      line.command ? commandHelp(line.command, options) : programHelp(commands, context.version, options),
    );
    return EXIT.done;
  }
  if (line.given.get("version")?.[0] === "true") {
    context.stdout.write(`filesync ${context.version}\n`);
    return EXIT.done;
  }
  if (line.command === undefined) {
    context.stderr.write(programHelp(commands, context.version, options));
    return EXIT.usage;
  }
}

/** What the user asks of `command`, by its line, the environment and the settings file. */
export async function settle(
  command: Command,
  line: CommandLine,
  commands: readonly CommandEntry[],
  context: Context,
): Promise<Invocation> {
  const path = settingsPath(line, context);
  const isNamed = globalSetting("config", line, context) !== undefined;
  const file = path === undefined ? {} : await readSettingsFile(path, commands, isNamed);
  return invocationOf(command, line, context.environment, file);
}

/** The settings file that a line is about, whether or not there is one. */
export function settingsPath(line: CommandLine, context: Context): string | undefined {
  return globalSetting("config", line, context)?.values[0] ??
    defaultSettingsPath(context.environment, Deno.build.os);
}

function globalSetting(name: string, line: CommandLine, context: Context) {
  const flag = GLOBAL_FLAGS.find((flag) => flag.name === name)!;
  return settingOf(flag, line.given, context.environment);
}

function isOn(name: string, line: CommandLine, context: Context): boolean {
  return globalSetting(name, line, context)?.values[0] === "true";
}

/** How an error shall look while the line is not understood yet: whatever stands in it, or in the environment. */
function typedLook(args: readonly string[], { environment }: Context) {
  const isAsked = (name: string) =>
    args.includes(`--${name}`) || isYes(environment(`FILESYNC_${name.toUpperCase()}`) ?? "");
  return { json: isAsked("json"), debug: isAsked("debug") };
}

/** Whether `error` only says that the user interrupted. */
function isAbort(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error instanceof Error && error.name === "AbortError");
}

/** The error to show. One that the system did not raise is a fault of the program, and says so. */
function asFault(operation: string, error: unknown): FilesyncError {
  const fault = toFilesyncError(operation, error);
  if (fault === error || osCode(error) !== undefined) return fault;
  return new FilesyncError({
    code: "internal",
    operation,
    reason: fault.reason,
    hint: "This was not foreseen; run it again with --debug and report what it prints",
    cause: error,
  });
}

/** What is usual for a code speaks to those who try again by themselves; a command that has ended does not. */
const LAST_STEPS: Partial<Record<ErrorCode, string>> = {
  conflict: "Move away what stands there, or name another place",
  "content-missing": "Run it again: the content will be sent again",
  "digest-mismatch": "Run it again; if it goes on, check the memory and disks of both machines",
  "disk-full": "Free some space, and run it again",
  indexing: "Run it again when the files have been read",
  timeout: "Run it again; a slow line can be spared with --limit",
  "too-many": "Wait a while, and run it again",
};

/** What the user can do when a command has ended with `fault`. */
function lastStep({ code, hint }: FilesyncError): string {
  const isUsual = hint === undefined || hint === nextStep({ code });
  return isUsual ? LAST_STEPS[code] ?? nextStep({ code }) : hint;
}

function textOf(fault: FilesyncError, context: Context): string {
  const style = createStyle(context.colors);
  return `${style.red("filesync:")} ${visible(fault.message)}\n  ${style.dim(visible(lastStep(fault)))}\n`;
}

function jsonOf(fault: FilesyncError, exitCode: number, context: Context): string {
  const { code, message, permanent } = fault;
  return jsonLine(context.clock.now(), {
    type: "error",
    ...{ code, message, hint: lastStep(fault), permanent, exitCode },
  });
}

/** Where the error came from, and what caused it. */
function stackOf(error: unknown): string {
  const lines: string[] = [];
  for (let at = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    lines.push(at instanceof Error ? at.stack ?? at.message : String(at));
  }
  return `${lines.join("\ncaused by ")}\n`;
}
