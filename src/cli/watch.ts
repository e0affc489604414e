/** `filesync watch`: push every change of a directory. @module */
import { refuseNesting } from "../sync/pusher.ts";
import { throttledReceiver } from "../transport/throttled_receiver.ts";
import { PASSWORD_FILE_FLAG } from "./catalog_location.ts";
import { type CommandBody, type Context, type Invocation, LOG_FLAGS } from "./command.ts";
import {
  clientName,
  destinationName,
  INTO_FLAG,
  NO_FSYNC_FLAG,
  openDestination,
  parseDestination,
  SERVER_FLAGS,
  serverTrust,
} from "./destination.ts";
import { openLiveCatalog } from "./live_catalog.ts";
import { LIMIT_FLAG, limitOf } from "./limit.ts";
import { absolute, patternsFor, realDirectory } from "./places.ts";
import { openPrinter } from "./printer.ts";
import { exitCodeOfPush, push, type PushJob } from "./push.ts";
import { onReload } from "./reload.ts";
import { STATE_FLAG, stateDirectoryFor } from "./state_home.ts";
import { readToken, TOKEN_FILE_FLAG } from "./token.ts";
import { usageError } from "./usage_error.ts";

export const watchCommand: CommandBody = {
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
    INTO_FLAG,
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
    LIMIT_FLAG,
    ...SERVER_FLAGS,
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
    NO_FSYNC_FLAG,
    {
      name: "catalog",
      value: "URL",
      ownOnly: true,
      description: "Scan <dir> into this catalog too, and keep it current: see filesync scan",
    },
    PASSWORD_FILE_FLAG,
    ...LOG_FLAGS,
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
    { command: "filesync watch ~/docs --to backup.lan --into laptop", does: "Share a server with others" },
    {
      command: 'filesync watch . --to backup.lan --limit "08:00,1M 18:00,off"',
      does: "Leave the line to others by day",
    },
  ],
  run: watch,
};

async function watch(invocation: Invocation, context: Context): Promise<number> {
  const { clock, signal } = context;
  const source = realDirectory(invocation.arguments[0]);
  const destination = parseDestination(invocation.flag("to")!, Deno.cwd(), invocation.flag("into"));
  if (destination.kind === "directory") {
    destination.path = realDirectory(destination.path);
    refuseNesting(source, destination.path);
  }
  const fsync = !invocation.has("no-fsync");
  if (!fsync && destination.kind === "server") {
    throw usageError(
      `push to ${destination.url.host}`,
      "--no-fsync is only for a directory of this machine",
      "Start the server with it: filesync serve --no-fsync",
    );
  }
  const limit = limitOf(invocation);
  let token = readToken(invocation, context);
  const name = destinationName(destination);
  const given = invocation.flag("state");
  const dryRun = invocation.has("dry-run");
  const once = invocation.has("once");

  using printer = openPrinter(invocation, context);
  printer.report({
    type: "started",
    command: "watch",
    source,
    destination: name,
    ...(dryRun ? { dryRun } : {}),
  });
  const opened = openDestination(destination, {
    clock,
    fsync,
    token: token === undefined ? undefined : () => token,
    ...serverTrust(invocation),
    client: clientName(source, context),
    version: context.version,
    // What is under way when the user interrupts is finished, not cut.
    signal: new AbortController().signal,
  });
  using _reload = onReload(context, printer, () => void (token = readToken(invocation, context)));
  await using resources = new AsyncDisposableStack();
  resources.defer(() => opened.close());
  const receiver = limit === undefined ? opened : throttledReceiver(opened, limit, clock, signal);
  const stateDirectory = given === undefined ? stateDirectoryFor(context, source, name) : absolute(given);
  const ignore = invocation.flags("ignore");
  const ownFiles = [invocation.flag("log")];
  const catalog = dryRun || !invocation.has("catalog") ? undefined : resources.use(
    await openLiveCatalog(invocation, context, {
      source,
      ignore: [...ignore, ...patternsFor(source, [stateDirectory, ...ownFiles])],
      printer,
    }),
  );
  const job: PushJob = {
    source,
    destination: name,
    receiver,
    state: stateDirectory,
    ignore,
    ownFiles,
    onEvent: (event) => catalog?.note(event),
    onLook: (looks) => catalog?.look(looks),
    allowMassDelete: invocation.has("allow-mass-delete"),
    deleteExtra: invocation.has("delete"),
    dryRun,
    once,
  };
  const outcome = await push(job, printer, context);
  printer.report(outcome.totals);
  return exitCodeOfPush(outcome, job, signal);
}
