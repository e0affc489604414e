/**
 * A push as commands run it: the state that belongs to the pair, what is told of the events,
 * a dry run, and what came of it.
 *
 * @module
 */
import type { Action } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import { EXIT, FilesyncError, isPassing, nextStep, toFilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import type { OnPushEvent, PushEvent, PushTotals } from "../sync/push_event.ts";
import { Pusher, type PusherOptions } from "../sync/pusher.ts";
import { SourceState, STATE_FILE } from "../sync/source_state.ts";
import { StatusReporter } from "../sync/status_reporter.ts";
import type { Receiver } from "../transport/receiver.ts";
import type { Context } from "./command.ts";
import { copyDatabase, patternsFor, scratchDirectory } from "./places.ts";
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
  /** Told of everything that happens, besides the printer. */
  onEvent?: OnPushEvent;
  onLook?: PusherOptions["onLook"];
  allowMassDelete: boolean;
  deleteExtra: boolean;
  /** The part of everything known that may be gone at once without that. */
  brakeShare?: number;
  /**
   * Whether a content is known to be good at a path. When given, content that changed while neither size nor
   * time of the file did is held back unless it is: it is damaged.
   */
  isGood?: (path: TreePath, content: Digest) => boolean;
  /** What several pushes of one process share. */
  shared?: Pick<PusherOptions, "pool" | "openWatch">;
  /** Plan it only, by what was known after the last run, or exactly, by asking the receiver. @default {false} */
  dryRun?: boolean | "exact";
  /** Say nothing when nothing had to be done. @default {false} */
  quietly?: boolean;
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
  if (scratch !== undefined) copyDatabase(job.state, STATE_FILE, scratch.path);
  using state = new SourceState(scratch?.path ?? job.state, { clock });
  claimState(state, source, destination);
  const reporter = new StatusReporter({ receiver, state, clock, brake: () => pusher.brake });
  await using pusher: Pusher = new Pusher({
    source,
    state,
    receiver,
    clock,
    random: Math.random,
    onEvent(event) {
      job.onEvent?.(event);
      reporter.note(event);
      if (!(job.quietly && event.type === "connection" && event.state === "online")) {
        tell(event, printer, state);
      }
      // For `filesync why`: a reason to brake comes and goes with a notice, or with the next look.
      remember(state, "brake", pusher.brake ?? "");
    },
    onLook: job.onLook,
    ignore: [...job.ignore, ...patternsFor(source, [job.state, ...job.ownFiles])],
    allowMassDelete: job.allowMassDelete,
    deleteExtra: job.deleteExtra,
    isGood: job.isGood,
    brakeShare: job.brakeShare,
    ...job.shared,
  });
  let planned: Action[] = [];
  const outcome = (): PushOutcome => {
    const totals = withPlanned(pusher.totals, planned);
    // Following changes ends by being interrupted, all else would have gone on.
    const brokeOff = signal.aborted && (job.once || totals.waiting > 0);
    return {
      totals: {
        ...totalsReport(totals, clock.now() - startedAt),
        ...(dryRun ? { dryRun: true } : {}),
        ...(brokeOff ? { failed: true } : {}),
      },
      waiting: totals.waiting,
      brake: pusher.brake,
    };
  };
  if (dryRun) {
    await pusher.plan(signal, dryRun === "exact");
    planned = state.queue.pending().map(({ action }) => action);
    for (const action of planned) printer.report({ type: "applied", action, dryRun: true });
    return outcome();
  }
  const ended = new AbortController();
  const telling = reporter.run(AbortSignal.any([signal, ended.signal]));
  try {
    await (job.once ? pusher.pushOnce(signal) : pusher.watch(signal));
    if (!signal.aborted) await reporter.finish();
  } catch (error) {
    if (!signal.aborted) {
      const failure = toFilesyncError(`push "${source}" to ${destination}`, error);
      const hint = failure.permanent ? { hint: nextStep(failure) } : {};
      rememberConnection(state, { state: "offline", detail: failure.reason, ...hint });
      printer.report({ ...outcome().totals, failed: true });
      throw failure;
    }
  } finally {
    ended.abort();
    await telling;
  }
  return outcome();
}

/** Whether a push had nothing to do, and left nothing undone. */
export function isIdle({ totals: { counts, problems }, brake }: PushOutcome): boolean {
  return problems === 0 && brake === undefined && Object.values(counts).every((count) => count === 0);
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
  remember(state, "connection", JSON.stringify(connection));
}

/** Keeps for `filesync status` and `filesync why` what they need; a push does not end because its disk is full. */
function remember(state: SourceState, name: string, value: string): void {
  try {
    state.index.setMeta(name, value);
  } catch (error) {
    if (!isPassing(error)) throw error;
  }
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
