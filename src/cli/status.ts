/** `filesync status`: what waits, and what has problems. @module */
import { count, grouped } from "../core/amounts.ts";
import { EXIT, FilesyncError, nextStep } from "../core/errors.ts";
import type { QueuedAction } from "../queue/action_queue.ts";
import type { CommandBody, Context, Invocation } from "./command.ts";
import { jsonLine } from "./json_printer.ts";
import { realPathOf } from "./places.ts";
import { quotePath, visible } from "./quote.ts";
import { formatBytes, formatDuration } from "./sizes.ts";
import { type KnownState, openStates, STATE_FLAG } from "./state_home.ts";
import { createStyle } from "./style.ts";
import type { WatchJob } from "./watch_job.ts";

export const statusCommand: CommandBody = {
  description:
    "Works while `filesync watch` runs and when it does not. The exit code is 1 when any path has a problem.",
  arguments: [{ name: "dir", optional: true, description: "Only pushes of this directory" }],
  flags: [STATE_FLAG],
  examples: [
    { command: "filesync status", does: "Show every push this user has" },
    { command: "filesync status ~/photos --json", does: "One JSON object, for a script" },
  ],
  run: status,
};

/** Problems shown in text; JSON has all. */
const SHOWN = 20;

/** How the receiver was last met. */
interface Connection {
  state: "online" | "offline" | "indexing";
  detail?: string;
  retryAt?: number;
}

async function status(invocation: Invocation, context: Context): Promise<number> {
  const [directory] = invocation.arguments;
  const source = directory === undefined ? undefined : realPathOf(directory);
  const states = openStates(context, invocation.flag("state"))
    .filter((known) => source === undefined || known.source === source);
  using _open = disposeAll(states);
  const reports: StatusReport[] = states.map((known) => describe(known));
  for (const { source: from, destination, state } of await configured(invocation, context)) {
    const isKnown = reports.some((report) => report.source === from && report.destination === destination);
    if (isKnown || (source !== undefined && source !== from)) continue;
    reports.push({ ...NEVER_STARTED, source: from, destination, state });
  }
  if (invocation.has("json")) {
    for (const report of reports) context.stdout.write(jsonLine(context.clock.now(), report));
  } else if (reports.length === 0) {
    const what = source === undefined
      ? "Nothing is pushed from here yet"
      : `${quotePath(source)} is not pushed anywhere`;
    context.stdout.write(
      `${what}\n  Start with: filesync watch ${
        directory === undefined ? "<dir>" : quotePath(directory)
      } --to <host>\n`,
    );
  } else {
    context.stdout.write(reports.map((report) => textOf(report, context)).join("\n"));
  }
  return reports.some(({ problems }) => problems.length > 0) ? EXIT.problems : EXIT.done;
}

/** What the settings file names; trouble with it is for `filesync watch` and `filesync doctor` to tell. */
async function configured(invocation: Invocation, context: Context): Promise<WatchJob[]> {
  if (invocation.file.watch === undefined || invocation.flag("state") !== undefined) return [];
  try {
    const { configuredJobs } = await import("./watch_tables.ts");
    return configuredJobs(invocation, context);
  } catch (error) {
    if (error instanceof FilesyncError) return [];
    throw error;
  }
}

type StatusReport = ReturnType<typeof describe> & { configured?: true };

/** The report on a push that the settings file names, and that was never started. */
const NEVER_STARTED = {
  type: "status" as const,
  configured: true as const,
  running: false,
  connection: undefined,
  known: { entries: 0, bytes: 0 },
  waiting: { actions: 0, bytes: 0 },
  nextTry: undefined,
  problems: [],
};

function describe({ state, source, destination, running }: KnownState) {
  const { queue, index } = state;
  const connection = index.meta("connection");
  const backingOff = queue.pending().filter(({ error }) => error !== undefined);
  return {
    type: "status" as const,
    source,
    destination,
    running,
    connection: connection === undefined ? undefined : JSON.parse(connection) as Connection,
    known: index.count(),
    waiting: { actions: queue.size, bytes: queue.bytes },
    nextTry: queue.nextReadyAt(),
    problems: [
      ...queue.failed().map((action) => problemLine(action, false)),
      ...backingOff.map((action) => problemLine(action, true)),
      ...state.problems().map(({ problem, since }) => ({ ...problem, since })),
    ].map((problem) => ({ ...problem, hint: nextStep(problem) })),
    state: state.directory,
  };
}

function problemLine({ action, error, attempts, readyAt, queuedAt }: QueuedAction, again: boolean) {
  return { ...error!, path: action.path, attempts, since: queuedAt, ...(again ? { nextTry: readyAt } : {}) };
}

function textOf(report: StatusReport, context: Context): string {
  const { source, destination, running, connection, known, waiting, problems } = report;
  const style = createStyle(context.colors);
  const now = context.clock.now();
  if (report.configured) {
    return `${style.bold(quotePath(source))} → ${visible(destination)}\n  ${
      style.yellow("not started yet")
    }; the settings file names it\n  Start all of them with: filesync watch\n`;
  }
  const lines = [`${style.bold(quotePath(source))} → ${visible(destination)}`];
  lines.push(
    `  ${running ? style.green("running") : style.yellow("not running")}${
      connectionText(running, connection, now)
    }`,
  );
  lines.push(`  ${count(known.entries, "entry", "entries")} known, ${formatBytes(known.bytes)}`);
  lines.push(
    waiting.actions === 0
      ? `  nothing waits`
      : `  ${count(waiting.actions, "change")} ${waiting.actions === 1 ? "waits" : "wait"}, ${
        formatBytes(waiting.bytes)
      }${inTime(report.nextTry, now, ", next try ")}`,
  );
  if (problems.length > 0) lines.push(`  ${style.red(`${count(problems.length, "problem")}:`)}`);
  for (const problem of problems.slice(0, SHOWN)) {
    const nextTry = "nextTry" in problem ? inTime(problem.nextTry as number, now, "; next try ") : "";
    lines.push(`    ${quotePath(problem.path ?? "")}: ${visible(problem.message)}${nextTry}`);
    lines.push(`      ${style.dim(visible(nextStep(problem)))}`);
  }
  if (problems.length > SHOWN) {
    lines.push(`    and ${grouped(problems.length - SHOWN)} more; see them with --json`);
  }
  return `${lines.join("\n")}\n`;
}

function connectionText(running: boolean, connection: Connection | undefined, now: number): string {
  if (!running || connection === undefined) return "";
  const { state, detail, retryAt } = connection;
  if (state === "online") return ", the receiver answers";
  const reason = detail === undefined ? "" : `: ${visible(detail)}`;
  return `, the receiver is ${state === "offline" ? "out of reach" : "reading its files"}${reason}${
    inTime(retryAt, now, "; next try ")
  }`;
}

function inTime(time: number | undefined, now: number, lead: string): string {
  if (time === undefined) return "";
  return lead + (time <= now ? "now" : `in ${formatDuration(time - now)}`);
}

function disposeAll(resources: Disposable[]): Disposable {
  const stack = new DisposableStack();
  for (const resource of resources) stack.use(resource);
  return stack;
}
