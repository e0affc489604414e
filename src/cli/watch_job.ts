/** One directory that `filesync watch` pushes to one destination. @module */
import { Pace } from "../core/pace.ts";
import { refuseNesting } from "../sync/pusher.ts";
import { throttledReceiver } from "../transport/throttled_receiver.ts";
import type { Context, Invocation } from "./command.ts";
import {
  clientName,
  type Destination,
  destinationName,
  openDestination,
  parseDestination,
  type ServerTrust,
  serverTrust,
} from "./destination.ts";
import { openLiveCatalog } from "./live_catalog.ts";
import { limitOf } from "./limit.ts";
import { absolute, patternsFor, realDirectory, realPathOf } from "./places.ts";
import { exitCodeOfPush, push, type PushJob } from "./push.ts";
import type { Printer } from "./report.ts";
import { stateDirectoryFor, stateDirectoryIn } from "./state_home.ts";
import { openSftp, sshTarget } from "./ssh.ts";
import { readToken } from "./token.ts";
import { usageError } from "./usage_error.ts";

/** What is to be pushed where, understood but not yet looked at. */
export interface WatchJob {
  invocation: Invocation;
  /** The directory, by the real path that it has, or will have when it is there. */
  source: string;
  /** Names where it goes. */
  destination: string;
  to: Destination;
  /** Where the state is kept. */
  state: string;
  /** How fast content may go to all destinations of a directory together. */
  pace?: Pace;
  trust: ServerTrust;
  token?: string;
  /** Whether what is seen is to be taken into the catalog, if there is one: of several destinations, for one. */
  withCatalog: boolean;
  /** Files of ours that may lie in the source. */
  ownFiles: (string | undefined)[];
  once: boolean;
  /** Reads the token anew. */
  readToken(): void;
}

/**
 * The jobs that a line of `filesync watch` asks for, one for each directory and destination.
 *
 * @throws {FilesyncError} `usage` for what can never work.
 */
export function watchJobs(line: Invocation, context: Context): WatchJob[] {
  const jobs = asked(line).flatMap((invocation) => {
    const limit = limitOf(invocation);
    const pace = limit && new Pace(limit, context.clock);
    return invocation.flags("to").map((to, i) => ({
      ...watchJob(invocation, to, context),
      ...{ pace, withCatalog: i === 0 },
    }));
  });
  const names = jobs.map(({ source, destination }) => `${source}\0${destination}`);
  const twice = jobs.find((_, i) => names.indexOf(names[i]) < i);
  if (twice !== undefined) {
    throw usageError(
      `push "${twice.source}" to ${twice.destination} twice`,
      "both would do the same",
      "Name every directory and destination once",
    );
  }
  for (const { state: shared } of jobs) {
    const sharing = jobs.filter(({ state }) => state === shared);
    if (sharing.length < 2) continue;
    for (const job of sharing) job.state = stateDirectoryIn(shared, job.source, job.destination);
  }
  for (const job of jobs) {
    job.ownFiles = [
      ...["log", "state"].map((name) => job.invocation.flag(name)),
      ...jobs.map(({ state }) => state),
    ];
  }
  return jobs;
}

/** What the line asks for, or else the tables of the settings file: all of them, or those of the directory. */
function asked(invocation: Invocation): Invocation[] {
  const { arguments: [dir], tables, settings } = invocation;
  if (dir === undefined && tables.length === 0) {
    throw usageError(
      "run filesync watch",
      "<dir> is missing",
      "Give the directory to watch, or name directories in [[watch]] tables of the settings file; see filesync watch --help",
    );
  }
  if (dir === undefined && settings.get("to")?.from === "flag") {
    throw usageError("use --to", "it is not said for which directory", "Give <dir>, too");
  }
  if (dir === undefined) return tables;
  const here = realPathOf(dir);
  const own = settings.has("to") ? [] : tables.filter(({ arguments: [dir] }) => realPathOf(dir) === here);
  return own.length > 0 ? own : [invocation];
}

function watchJob(invocation: Invocation, text: string, context: Context): WatchJob {
  const source = realPathOf(invocation.arguments[0]);
  const to = parseDestination(text, Deno.cwd(), invocation.flag("into"));
  if (to.kind === "directory") {
    to.path = realPathOf(to.path);
    refuseNesting(source, to.path);
  }
  if (to.kind === "server" && invocation.has("no-fsync") && invocation.flags("to").length === 1) {
    throw usageError(
      `push to ${to.url.host}`,
      "--no-fsync is only for a directory, here or on sftp://",
      "Start the server with it: filesync serve --no-fsync",
    );
  }
  const destination = destinationName(to);
  const given = invocation.flag("state");
  return {
    invocation,
    source,
    destination,
    to,
    state: given === undefined ? stateDirectoryFor(context, source, destination) : absolute(given),
    trust: serverTrust(invocation),
    withCatalog: true,
    ownFiles: [],
    once: invocation.has("once") || invocation.has("dry-run"),
    readToken() {
      this.token = readToken(invocation, context);
    },
  };
}

/**
 * Does a job, once or until the user interrupts, and resolves to its exit code.
 *
 * @param shared What it shares with other jobs of this process.
 * @throws {FilesyncError} When it cannot be done at all.
 */
export async function runWatchJob(
  job: WatchJob,
  printer: Printer,
  context: Context,
  shared?: PushJob["shared"],
): Promise<number> {
  const { invocation, destination, to, state, pace, ownFiles } = job;
  const { clock, signal } = context;
  const source = realDirectory(job.source);
  if (to.kind === "directory") realDirectory(to.path);
  const dryRun = invocation.has("dry-run");
  job.readToken();
  printer.report({ type: "started", command: "watch", source, destination, ...(dryRun ? { dryRun } : {}) });
  const fsync = !invocation.has("no-fsync");
  const opened = to.kind === "sftp"
    ? await openSftp(to, { clock, fsync, state, target: sshTarget(to, invocation, context) })
    : openDestination(to, {
      clock,
      fsync,
      token: job.token === undefined ? undefined : () => job.token,
      ...job.trust,
      client: clientName(source, context),
      version: context.version,
      // What is under way when the user interrupts is finished, not cut.
      signal: new AbortController().signal,
    });
  await using resources = new AsyncDisposableStack();
  resources.defer(() => opened.close());
  const ignore = invocation.flags("ignore");
  const catalog = dryRun || !job.withCatalog || !invocation.has("catalog") ? undefined : resources.use(
    await openLiveCatalog(invocation, context, {
      source,
      ignore: [...ignore, ...patternsFor(source, ownFiles)],
      printer,
    }),
  );
  const pushed: PushJob = {
    source,
    destination,
    receiver: pace === undefined ? opened : throttledReceiver(opened, pace, signal),
    state,
    ignore,
    ownFiles,
    onEvent: (event) => catalog?.note(event),
    onLook: (looks) => catalog?.look(looks),
    allowMassDelete: invocation.has("allow-mass-delete"),
    deleteExtra: invocation.has("delete"),
    dryRun,
    once: invocation.has("once"),
    shared,
  };
  const outcome = await push(pushed, printer, context);
  printer.report(outcome.totals);
  return exitCodeOfPush(outcome, pushed, signal);
}
