/** `filesync watch`: push every change of a directory. @module */
import { join, relative } from "@std/path";
import type { Action } from "../core/action.ts";
import { EXIT, FilesyncError, toFilesyncError } from "../core/errors.ts";
import { Pusher, refuseNesting } from "../sync/pusher.ts";
import type { PushEvent, PushTotals } from "../sync/push_event.ts";
import { SourceState } from "../sync/source_state.ts";
import { throttledReceiver } from "../transport/throttled_receiver.ts";
import type { Receiver } from "../transport/receiver.ts";
import { type Command, type Context, type Invocation, LOG_FLAG } from "./command.ts";
import { destinationName, openDestination, parseDestination } from "./destination.ts";
import { openPrinter } from "./printer.ts";
import type { Printer, Report } from "./report.ts";
import { parseSize } from "./sizes.ts";
import { STATE_FLAG, stateDirectoryFor } from "./state_home.ts";
import { readToken, TOKEN_FILE_FLAG } from "./token.ts";

export const watchCommand: Command = {
  name: "watch",
  summary: "Push every change of a directory to a server or another directory",
  description:
    "Brings the destination in step with <dir>, then pushes every change as soon as the file has settled: content, names, permissions and times of files, directories and symbolic links. Content that the destination has anywhere, whole or in parts, is not sent again.\n\n" +
    "Changes wait in a queue on disk, so that a dead network or a restart loses nothing. Look into it with `filesync status` and `filesync why`. Stop with Ctrl+C.\n\n" +
    "What stands at the destination and was not put there by this command is left alone. Names in .filesyncignore files, in the language of .gitignore, are left out.",
  arguments: [{ name: "dir", description: "The directory to watch" }],
  flags: [
    {
      name: "to",
      short: "t",
      value: "DEST",
      required: true,
      env: "FILESYNC_TO",
      description: "host[:port] or http(s)://… of `filesync serve`, or a directory",
    },
    { name: "once", short: "1", description: "Push what is there now, and exit" },
    {
      name: "ignore",
      short: "i",
      value: "PATTERN",
      repeat: true,
      env: "FILESYNC_IGNORE",
      description: "Leave out what matches, as if it stood in .filesyncignore",
    },
    TOKEN_FILE_FLAG,
    STATE_FLAG,
    {
      name: "limit",
      short: "l",
      value: "SIZE",
      env: "FILESYNC_LIMIT",
      description: "Send at most SIZE a second, such as 10M",
    },
    {
      name: "allow-plain-http",
      env: "FILESYNC_ALLOW_PLAIN_HTTP",
      description: "Send the token over plain HTTP to another machine",
    },
    {
      name: "allow-mass-delete",
      description: "Carry out removals even if the source is empty or more than half of it is gone",
    },
    { name: "delete", description: "Also remove what stands at the destination and is not in <dir>" },
    {
      name: "dry-run",
      short: "n",
      description: "Print what would be done since the last run, and do nothing",
    },
    LOG_FLAG,
  ],
  examples: [
    {
      command: "filesync watch ~/photos --to backup.lan",
      does: "Keep the server's copy of the photos in step",
    },
    { command: "filesync watch . --to ./copy --once", does: "Bring a directory beside it in step, and exit" },
    {
      command: "filesync watch src --to build:7433 -i node_modules/ -i '*.o'",
      does: "Leave out what is built",
    },
  ],
  run: watch,
};

async function watch(invocation: Invocation, context: Context): Promise<number> {
  const { clock, version, signal } = context;
  const startedAt = clock.now();
  const source = realDirectory(invocation.arguments[0]);
  const destination = parseDestination(invocation.flag("to")!, Deno.cwd());
  if (destination.kind === "directory") destination.path = realDirectory(destination.path);
  if (destination.kind === "directory") refuseNesting(source, destination.path);
  const limit = invocation.flag("limit");
  const bytesPerSecond = limit === undefined ? undefined : parseSize(limit, "--limit");
  const token = readToken(invocation, context);
  const dryRun = invocation.has("dry-run");
  const once = invocation.has("once");

  const name = destinationName(destination);
  using scratch = dryRun ? scratchDirectory() : undefined;
  const given = invocation.flag("state");
  const ownState = given === undefined ? stateDirectoryFor(context, source, name) : absolute(given);
  if (scratch !== undefined) copyState(ownState, scratch.path);
  using state = new SourceState(scratch?.path ?? ownState, { clock });
  claimState(state, source, name);

  using printer = openPrinter(invocation, context);
  printer.report({
    type: "started",
    command: "watch",
    source,
    destination: name,
    ...(dryRun ? { dryRun } : {}),
  });
  await using resources = new AsyncDisposableStack();
  let receiver: Receiver = openDestination(destination, {
    clock,
    token,
    allowPlainHttp: invocation.has("allow-plain-http"),
    client: `${context.environment("USER") ?? ""}@${Deno.hostname()}:${source}`,
    version,
    // What is under way when the user interrupts is finished, not cut.
    signal: new AbortController().signal,
  });
  const opened = receiver;
  resources.defer(() => opened.close());
  if (bytesPerSecond !== undefined) receiver = throttledReceiver(receiver, bytesPerSecond, clock, signal);

  const pusher = resources.use(
    new Pusher({
      source,
      state,
      receiver,
      clock,
      random: Math.random,
      onEvent: (event) => tell(event, printer, state),
      ignore: [...invocation.flags("ignore"), ...ownPlaces(source, [ownState, invocation.flag("log")])],
      allowMassDelete: invocation.has("allow-mass-delete"),
      deleteExtra: invocation.has("delete"),
    }),
  );
  let planned: Action[] = [];
  if (dryRun) {
    await pusher.plan(signal);
    planned = state.queue.pending().map(({ action }) => action);
    for (const action of planned) printer.report({ type: "applied", action, dryRun });
  } else {
    try {
      await (once ? pusher.pushOnce(signal) : pusher.watch(signal));
    } catch (error) {
      if (!signal.aborted) {
        const failure = toFilesyncError(`push "${source}" to ${name}`, error);
        rememberConnection(state, { state: "offline", detail: failure.reason });
        printer.report(totalsReport(pusher.totals, clock.now() - startedAt));
        throw failure;
      }
    }
  }
  const totals = withPlanned(pusher.totals, planned);
  printer.report({ ...totalsReport(totals, clock.now() - startedAt), ...(dryRun ? { dryRun } : {}) });
  if (signal.aborted) return EXIT.interrupted;
  if (once && pusher.brake !== undefined) return EXIT.brake;
  return totals.problems > 0 || (once && !dryRun && totals.waiting > 0) ? EXIT.problems : EXIT.done;
}

/** Shows an event, and keeps for `filesync status` what it needs. */
function tell(event: PushEvent, printer: Printer, state: SourceState): void {
  switch (event.type) {
    case "looking":
      return;
    case "connection": {
      const { type: _type, ...connection } = event;
      rememberConnection(state, connection);
    }
  }
  printer.report(event as Report);
}

function rememberConnection(state: SourceState, connection: object): void {
  state.index.setMeta("connection", JSON.stringify(connection));
}

/** Counts what a dry run would do as if it had been done. */
function withPlanned(totals: PushTotals, planned: Action[]): PushTotals {
  const sum = { ...totals };
  for (const action of planned) {
    sum[action.type]++;
    // How much of it the receiver has already is not asked.
    if (action.type !== "put") continue;
    sum.bytes += action.size;
    sum.sentBytes += action.size;
  }
  return sum;
}

function totalsReport(
  { problems, waiting: _waiting, bytes, sentBytes, ...counts }: PushTotals,
  milliseconds: number,
): Report {
  return {
    type: "totals",
    counts,
    bytes,
    sentBytes,
    savedBytes: Math.max(0, bytes - sentBytes),
    seconds: milliseconds / 1_000,
    problems,
  };
}

/** Refuses a state that belongs to another pair, and marks a new one. */
function claimState(state: SourceState, source: string, destination: string): void {
  const known = { source: state.index.meta("source"), destination: state.index.meta("destination") };
  if (known.source !== undefined && (known.source !== source || known.destination !== destination)) {
    throw new FilesyncError({
      code: "conflict",
      operation: `use the state in "${state.directory}"`,
      reason: `it belongs to pushing "${known.source}" to ${known.destination}`,
      hint: "Name another directory with --state",
      permanent: true,
    });
  }
  state.index.setMeta("source", source);
  state.index.setMeta("destination", destination);
}

/** Ignore patterns for files of ours that lie in the source: watching them would never come to rest. */
function ownPlaces(source: string, places: (string | undefined)[]): string[] {
  return places.flatMap((place) => {
    if (place === undefined) return [];
    const within = relative(source, absolute(place));
    if (within === "" || within.startsWith("..")) return [];
    return [`/${within.replace(/[\\*?[\]!# ]/g, "\\$&")}*`];
  });
}

function realDirectory(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    const { code, reason } = toFilesyncError("", error);
    throw new FilesyncError({
      code,
      operation: `open "${path}"`,
      reason,
      hint: code === "not-found" ? "Create it, or correct the path" : undefined,
      permanent: true,
      cause: error,
    });
  }
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : join(Deno.cwd(), path);
}

function scratchDirectory(): Disposable & { path: string } {
  const path = Deno.makeTempDirSync({ prefix: "filesync-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/** Copies a state, so that a dry run can play with it. SQLite's log of late changes goes along. */
function copyState(from: string, to: string): void {
  let entries: Deno.DirEntry[];
  try {
    entries = [...Deno.readDirSync(from)];
  } catch {
    return;
  }
  for (const { name, isFile } of entries) {
    if (isFile && name.startsWith("state.db")) Deno.copyFileSync(join(from, name), join(to, name));
  }
}
