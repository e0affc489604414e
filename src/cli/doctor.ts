/** `filesync doctor`: what could keep filesync from working here. @module */
import { EXIT, FilesyncError, nextStep, toFilesyncError } from "../core/errors.ts";
import type { CommandBody, Context, Invocation } from "./command.ts";
import { type Destination, parseDestination, SERVER_FLAGS } from "./destination.ts";
import { type Check, fail } from "./doctor_check.ts";
import { checkDestination, checkDirectory, checkStates, checkSystem } from "./doctor_machine.ts";
import { checkServer } from "./doctor_server.ts";
import { checkSftp } from "./doctor_sftp.ts";
import { jsonLine } from "./json_printer.ts";
import { absolute, realDirectory } from "./places.ts";
import { visible } from "./quote.ts";
import { SSH_FLAGS } from "./ssh.ts";
import { STATE_FLAG } from "./state_home.ts";
import { createStyle, type Style } from "./style.ts";
import { TOKEN_FILE_FLAG } from "./token.ts";
import type { WatchJob } from "./watch_job.ts";
import { configuredJobs } from "./watch_tables.ts";

export const doctorCommand: CommandBody = {
  description:
    "Looks at the limits of this machine, at <dir> and the watches that it takes, at the states of all pushes, and with --to at the way to a server or a directory: its clock, version, certificate, token and free space. Without either, looks at what the settings file tells `filesync watch` to push. Changes nothing. Every line is ok, a warning or a failure, with the next step. The exit code is 1 when anything failed.",
  arguments: [{ name: "dir", optional: true, description: "A directory that is to be watched, or is" }],
  flags: [
    {
      name: "to",
      short: "t",
      value: "DEST",
      repeat: true,
      env: "FILESYNC_TO",
      description:
        "Also check host[:port] or http(s)://… of `filesync serve`, sftp://user@host/path, or a directory",
    },
    TOKEN_FILE_FLAG,
    STATE_FLAG,
    ...SERVER_FLAGS,
    ...SSH_FLAGS,
  ],
  examples: [
    { command: "filesync doctor ~/photos --to backup.lan", does: "Check both ends before a first push" },
    { command: "filesync doctor --json", does: "One JSON object a line, for monitoring" },
  ],
  run: doctor,
};

async function doctor(invocation: Invocation, context: Context): Promise<number> {
  const [directory] = invocation.arguments;
  const to = invocation.flags("to");
  let failed = false;
  for await (const check of checks(invocation, context, directory, to)) {
    failed ||= check.verdict === "fail";
    if (invocation.has("json")) {
      context.stdout.write(jsonLine(context.clock.now(), { type: "check", ...check }));
    } else if (check.verdict !== "ok" || !invocation.has("quiet")) {
      context.stdout.write(textOf(check, createStyle(context.colors)));
    }
  }
  return failed ? EXIT.problems : EXIT.done;
}

async function* checks(
  invocation: Invocation,
  context: Context,
  directory: string | undefined,
  to: readonly string[],
): AsyncGenerator<Check> {
  yield* checkSystem();
  if (directory !== undefined) yield* guarded("directory", () => checkDirectory(absolute(directory)));
  yield* guarded("state", () => checkStates(invocation, context));
  for (const text of to) yield* checkTo(parseDestination(text, Deno.cwd()), invocation, context);
  if (directory === undefined && to.length === 0) yield* checkConfigured(invocation, context);
}

/** All that the settings file asks `filesync watch` for. */
async function* checkConfigured(invocation: Invocation, context: Context): AsyncGenerator<Check> {
  let jobs: WatchJob[];
  try {
    jobs = configuredJobs(invocation, context);
  } catch (error) {
    return yield failureOf("settings", error);
  }
  for (const source of new Set(jobs.map(({ source }) => source))) {
    yield* guarded("directory", () => checkDirectory(source));
  }
  for (const job of jobs) yield* checkTo(job.to, job.invocation, context);
}

async function* checkTo(
  destination: Destination,
  invocation: Invocation,
  context: Context,
): AsyncGenerator<Check> {
  if (destination.kind === "directory") {
    return yield* guarded("destination", () => checkDestination(realDirectory(destination.path)));
  }
  try {
    yield* destination.kind === "sftp"
      ? checkSftp(destination, invocation, context)
      : checkServer(destination.url, invocation, context);
  } catch (error) {
    yield failureOf("server", error);
  }
}

/** Checks that cannot be made at all have failed. */
function* guarded(name: string, check: () => Iterable<Check>): Generator<Check> {
  try {
    yield* check();
  } catch (error) {
    yield failureOf(name, error);
  }
}

function failureOf(name: string, error: unknown): Check {
  const known = error instanceof FilesyncError ? error : toFilesyncError(`check the ${name}`, error);
  return fail(name, known.message, nextStep(known));
}

function textOf({ verdict, name, detail, next }: Check, style: Style): string {
  const mark = { ok: style.green("ok  "), warn: style.yellow("warn"), fail: style.red("FAIL") }[verdict];
  return `${mark}  ${name.padEnd(12)} ${visible(detail)}\n` +
    (next === undefined ? "" : `${" ".repeat(19)}${style.dim(visible(next))}\n`);
}
