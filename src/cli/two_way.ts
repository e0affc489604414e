/** `filesync sync --two-way`: rounds that bring two trees in step with each other. @module */
import { existsSync } from "@std/fs";
import { join } from "@std/path";
import type { Clock } from "../core/clock.ts";
import { EXIT, FilesyncError, toFilesyncError } from "../core/errors.ts";
import { orAborted } from "../core/or_aborted.ts";
import { IgnoreRules } from "../files/ignore_rules.ts";
import type { TreeRoot } from "../files/tree_root.ts";
import type { Conflict } from "../sync/two_way/reconcile.ts";
import { syncTwoWay, type TwoWayResult, type TwoWaySide } from "../sync/two_way/sync_two_way.ts";
import type { Side } from "../sync/two_way/triple.ts";
import type { SideTotals, TwoWayEvent } from "../sync/two_way/two_way_event.ts";
import { TWO_WAY_FILE, TwoWayState } from "../sync/two_way/two_way_state.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import type { Receiver } from "../transport/receiver.ts";
import { Pace } from "../core/pace.ts";
import { throttledReceiver } from "../transport/throttled_receiver.ts";
import { Watcher } from "../watcher/watcher.ts";
import { openBackup } from "./backup_place.ts";
import { BackupVersions, type KeptSide } from "./backup_versions.ts";
import type { Context } from "./command.ts";
import { whileInPlace } from "./in_place.ts";
import { copyDatabase, patternsFor, scratchDirectory } from "./places.ts";
import type { Printer, TotalsReport } from "./report.ts";
import type { SyncJob } from "./sync_job.ts";

/** What the two sides are called. */
const NAMES: Record<Side, "source" | "backup"> = { a: "source", b: "backup" };

/** How often both sides are looked at while changes are followed, when nothing says otherwise, milliseconds. */
const LOOK_MS = 60_000;

/** Changes that come within this time are carried together, milliseconds. */
const GATHER_MS = 100;

/**
 * Brings both sides in step, with `job.watch` until the user interrupts.
 *
 * @param quietly Whether to say nothing when there is nothing to do.
 * @returns The exit code.
 * @throws {FilesyncError} When it cannot be done at all.
 */
export async function twoWay(
  job: SyncJob,
  quietly: boolean,
  printer: Printer,
  context: Context,
): Promise<number> {
  await using resources = new AsyncDisposableStack();
  const rounds = await openRounds(job, resources, printer, context);
  if (!job.watch) return await rounds.run(quietly);
  return await whileInPlace(rounds.roots, context, (context) => follow(job, rounds, quietly, context));
}

/** Does a round after every change, and now and then. */
async function follow(
  { interval = LOOK_MS, state }: SyncJob,
  rounds: Rounds,
  quietly: boolean,
  { clock, signal }: Context,
): Promise<number> {
  await using resources = new AsyncDisposableStack();
  const stop = new AbortController();
  const stopped = AbortSignal.any([signal, stop.signal]);
  let changed = Promise.withResolvers<void>();
  const watchers = rounds.roots.map(({ path }) =>
    resources.use(new Watcher(path, { clock, stateDirectory: state }))
  );
  // Before the first look: what changes after it must be heard of.
  await orAborted(Promise.all(watchers.map(({ ready }) => ready)), signal);
  const watching = watchers.map(async (watcher) => {
    for await (const _event of watcher.events(stopped)) changed.resolve();
  });
  resources.defer(async () => {
    stop.abort();
    await Promise.allSettled(watching);
  });
  for (let quiet = quietly; !signal.aborted; quiet = true) {
    changed = Promise.withResolvers();
    await rounds.run(quiet);
    const waited = new AbortController();
    await Promise.race([
      changed.promise,
      clock.sleep(interval, AbortSignal.any([stopped, waited.signal])).catch(() => {}),
      ...watching,
    ]).finally(() => waited.abort());
    await clock.sleep(GATHER_MS, stopped).catch(() => {});
  }
  return EXIT.interrupted;
}

/** Two open sides, and what is done with them. */
interface Rounds {
  /** Those that are directories of this machine. */
  roots: TreeRoot[];
  /** Does one round; returns the exit code. */
  run(quietly: boolean): Promise<number>;
}

async function openRounds(
  job: SyncJob,
  resources: AsyncDisposableStack,
  printer: Printer,
  context: Context,
): Promise<Rounds> {
  const { clock, signal } = context;
  const scratch = job.dryRun ? resources.use(scratchDirectory()).path : undefined;
  const isRebuilt = ensureSource(job, printer);
  const hadBackup = job.destination.kind !== "directory" || existsSync(job.destination.path);
  const receiver = await openBackup(job, resources, printer, context);
  resources.defer(() => receiver.close());
  const source = await openSource(job, scratch, clock);
  resources.defer(() => source.close());
  const state = resources.use(openState(job, scratch, isRebuilt || !hadBackup));

  const sides: Record<Side, KeptSide> = {
    a: { role: "source", location: job.source },
    b: { role: "backup", location: job.name },
  };
  const versions = job.dryRun || job.versions === undefined
    ? undefined
    : resources.use(new BackupVersions(job.versions, printer, context));
  const locals = [[sides.a, source], ...(receiver instanceof LocalReceiver ? [[sides.b, receiver]] : [])] as [
    KeptSide,
    LocalReceiver,
  ][];
  const host = Deno.hostname();
  const side = (which: Side, receiver: Receiver): TwoWaySide => ({
    receiver,
    name: `the ${NAMES[which]}`,
    host: which === "b" && job.destination.kind === "server" ? job.destination.url.hostname : host,
    keepsLosers: job.versions !== undefined,
  });
  const limited = job.limit === undefined
    ? receiver
    : throttledReceiver(receiver, new Pace(job.limit, clock), signal);
  const patterns = [...job.ignore, ...patternsFor(job.source, [job.state, job.log])];
  const rules = locals.map(([, { root }]) => IgnoreRules.load(root, patterns));

  /** Why removals were held back in the round before: what is followed is not told again and again. */
  let told: string | undefined;
  async function run(quietly: boolean): Promise<number> {
    const startedAt = clock.now();
    const problems = new Set<string>();
    if (versions !== undefined) {
      await Promise.all(locals.map(([, receiver]) => receiver.refresh()));
      for (const [kept, receiver] of locals) await versions.keepFound(kept, receiver, signal);
    }
    const result = await syncTwoWay({
      a: side("a", source),
      b: side("b", limited),
      state,
      conflict: job.twoWay!.conflict,
      rules,
      ruleSettings: JSON.stringify(patterns),
      dryRun: job.dryRun,
      allowMassDelete: job.allowMassDelete,
      clock,
      random: Math.random,
      signal,
      suspectDamage: true,
      onEvent(event) {
        if (event.type === "problem") problems.add(JSON.stringify(event.problem));
        tell(event, printer);
      },
    });
    const { brake, plan = [] } = result;
    if (brake === undefined) {
      for (const [kept, receiver] of locals) await versions?.keepSynced(kept, receiver, signal);
    }
    if (!result.interrupted) { for (const [, receiver] of locals) versions?.ended(receiver); }
    await versions?.prune();
    for (const { side, action } of plan) {
      printer.report({ type: "applied", action, on: NAMES[side], dryRun: true });
    }
    if (brake !== undefined && brake !== told) {
      warn(printer, `Nothing is removed on either side: ${brake}`);
    }
    told = brake;
    const totals = totalsOf(result, problems.size, (clock.now() - startedAt) / 1_000, job.dryRun);
    if (!(quietly && isIdle(totals))) printer.report(totals);
    if (result.interrupted || signal.aborted) return EXIT.interrupted;
    if (brake !== undefined) return EXIT.brake;
    return problems.size > 0 ? EXIT.problems : EXIT.done;
  }
  return { roots: locals.map(([, { root }]) => root), run };
}

/** Makes a source anew that was deleted since it was synced; returns whether it did. */
function ensureSource({ source, state, rebuild, dryRun, versions }: SyncJob, printer: Printer): boolean {
  if (existsSync(source)) return false;
  const isKnown = existsSync(join(state, TWO_WAY_FILE));
  if (!isKnown || dryRun || !(rebuild ?? versions !== undefined)) {
    throw new FilesyncError({
      code: "not-found",
      operation: `sync "${source}"`,
      reason: "it does not exist",
      hint: isKnown
        ? "Mount the disk it is on; or make it anew with --rebuild"
        : "Create it, or correct the path",
      permanent: true,
    });
  }
  try {
    Deno.mkdirSync(source);
  } catch (error) {
    throw toFilesyncError(`make the directory "${source}" anew`, error);
  }
  warn(printer, `The source "${source}" was deleted, and is made anew`);
  return true;
}

/** The source takes changes, too; what is noted of it lies with the state. */
async function openSource(
  { source, state }: SyncJob,
  scratch: string | undefined,
  clock: Clock,
): Promise<LocalReceiver> {
  const own = join(state, "source");
  const place = scratch === undefined ? own : join(scratch, "source");
  Deno.mkdirSync(place, { recursive: true });
  if (scratch !== undefined) copyDatabase(own, "index.db", place);
  const receiver = new LocalReceiver(source, { clock, state: place });
  await receiver.ready;
  return receiver;
}

/** @param anew Whether the last common state says nothing any more, because a side was deleted as a whole. */
function openState(
  { state, source, name }: SyncJob,
  scratch: string | undefined,
  anew: boolean,
): TwoWayState {
  const place = scratch ?? state;
  if (scratch !== undefined) copyDatabase(state, TWO_WAY_FILE, scratch);
  const opened = TwoWayState.open(place);
  opened.claim(source, name);
  if (anew) opened.forget();
  return opened;
}

function tell(event: TwoWayEvent, printer: Printer): void {
  switch (event.type) {
    case "looking":
      return;
    case "applied":
      return printer.report({ type: "applied", action: event.action, on: NAMES[event.side] });
    case "conflict":
      return printer.report(conflictReport(event.conflict));
    case "problem":
      return printer.report({ type: "problem", problem: event.problem });
    default:
      printer.report(event);
  }
}

function conflictReport({ path, winner, copy }: Conflict) {
  return {
    type: "conflict" as const,
    path,
    winner: NAMES[winner],
    ...(copy === undefined ? {} : { copy }),
  };
}

function totalsOf(
  { totals, interrupted, plan = [] }: TwoWayResult,
  problems: number,
  seconds: number,
  dryRun: boolean,
): TotalsReport {
  const counts = { put: 0, directory: 0, symlink: 0, remove: 0, move: 0 };
  let [bytes, sentBytes] = [0, 0];
  for (const { put, directory, symlink, remove, move, ...sizes } of Object.values<SideTotals>(totals)) {
    const done = { put, directory, symlink, remove, move };
    for (const type of Object.keys(counts) as (keyof typeof counts)[]) counts[type] += done[type];
    bytes += sizes.bytes;
    sentBytes += sizes.sentBytes;
  }
  for (const { action } of plan) {
    counts[action.type]++;
    if (action.type === "put") bytes += action.size;
  }
  return {
    type: "totals",
    counts,
    bytes,
    sentBytes,
    savedBytes: dryRun ? 0 : Math.max(0, bytes - sentBytes),
    seconds,
    problems,
    ...(dryRun ? { dryRun } : {}),
    ...(interrupted ? { failed: true } : {}),
  };
}

function isIdle({ counts, problems }: TotalsReport): boolean {
  return problems === 0 && Object.values(counts).every((count) => count === 0);
}

function warn(printer: Printer, message: string): void {
  const hint = message.startsWith("Nothing") ? "If that is meant, add --allow-mass-delete" : undefined;
  printer.report({ type: "notice", level: "warning", message, hint });
}
