/**
 * A push as commands run it: the state that belongs to the pair, what is told of the events,
 * a dry run, and what came of it.
 *
 * @module
 */
import { join } from "@std/path";
import type { Action } from "../core/action.ts";
import { EXIT, FilesyncError, toFilesyncError } from "../core/errors.ts";
import type { PushEvent, PushTotals } from "../sync/push_event.ts";
import { Pusher } from "../sync/pusher.ts";
import { SourceState } from "../sync/source_state.ts";
import type { Receiver } from "../transport/receiver.ts";
import type { Context } from "./command.ts";
import { patternsFor } from "./places.ts";
import type { Printer, TotalsReport } from "./report.ts";

/** What is pushed where. */
export interface PushJob {
  /** A real path. */
  source: string;
  /** Names the receiver. */
  destination: string;
  receiver: Receiver;
  /** Where the state of this pair is kept. */
  state: string;
  /** Patterns to leave out. */
  ignore: string[];
  /** Files of ours that may lie in the source. */
  ownFiles: (string | undefined)[];
  allowMassDelete: boolean;
  deleteExtra: boolean;
  /** Hold back content that changed while neither size nor time of the file did. @default {false} */
  suspectDamage?: boolean;
  /** Plan it only. @default {false} */
  dryRun?: boolean;
  /** Push what is there now, or every change until the user interrupts. */
  once: boolean;
}

/** What a push did, or would have done. */
export interface PushOutcome {
  totals: TotalsReport;
  /** Actions that still wait. */
  waiting: number;
  /** Why removals were held back, when they were. */
  brake?: string;
}

/**
 * Runs `job` and reports what happens, but not the totals.
 *
 * @throws {FilesyncError} When it cannot be done at all; the totals have been reported then.
 */
export async function push(job: PushJob, printer: Printer, context: Context): Promise<PushOutcome> {
  const { source, destination, receiver, dryRun = false } = job;
  const { clock, signal } = context;
  const startedAt = clock.now();
  using scratch = dryRun ? scratchDirectory() : undefined;
  if (scratch !== undefined) copyState(job.state, scratch.path);
  using state = new SourceState(scratch?.path ?? job.state, { clock });
  claimState(state, source, destination);
  await using pusher = new Pusher({
    source,
    state,
    receiver,
    clock,
    random: Math.random,
    onEvent: (event) => tell(event, printer, state),
    ignore: [...job.ignore, ...patternsFor(source, [job.state, ...job.ownFiles])],
    allowMassDelete: job.allowMassDelete,
    deleteExtra: job.deleteExtra,
    suspectDamage: job.suspectDamage,
  });
  let planned: Action[] = [];
  const outcome = (): PushOutcome => {
    const totals = withPlanned(pusher.totals, planned);
    return {
      totals: { ...totalsReport(totals, clock.now() - startedAt), ...(dryRun ? { dryRun } : {}) },
      waiting: totals.waiting,
      brake: pusher.brake,
    };
  };
  if (dryRun) {
    await pusher.plan(signal);
    planned = state.queue.pending().map(({ action }) => action);
    for (const action of planned) printer.report({ type: "applied", action, dryRun });
    return outcome();
  }
  try {
    await (job.once ? pusher.pushOnce(signal) : pusher.watch(signal));
  } catch (error) {
    if (!signal.aborted) {
      const failure = toFilesyncError(`push "${source}" to ${destination}`, error);
      rememberConnection(state, { state: "offline", detail: failure.reason });
      printer.report(outcome().totals);
      throw failure;
    }
  }
  return outcome();
}

/** The exit code that tells how a push ended. */
export function exitCodeOfPush(
  { totals, waiting, brake }: PushOutcome,
  { once, dryRun = false }: Pick<PushJob, "once" | "dryRun">,
  signal: AbortSignal,
): number {
  if (signal.aborted) return EXIT.interrupted;
  if (once && brake !== undefined) return EXIT.brake;
  return totals.problems > 0 || (once && !dryRun && waiting > 0) ? EXIT.problems : EXIT.done;
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
  printer.report(event);
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
): TotalsReport {
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
