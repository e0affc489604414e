/** One round of `filesync sync` in one direction: a push that also removes, between two snapshots. @module */
import { SYNC_SHARE } from "../sync/brake.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import { guardedReceiver } from "../transport/guarded_receiver.ts";
import type { Receiver } from "../transport/receiver.ts";
import { Pace } from "../core/pace.ts";
import { throttledReceiver } from "../transport/throttled_receiver.ts";
import { openBackup } from "./backup_place.ts";
import { BackupVersions, type KeptSide } from "./backup_versions.ts";
import type { Context } from "./command.ts";
import { whileInPlace } from "./in_place.ts";
import { exitCodeOfPush, isIdle, push, type PushJob } from "./push.ts";
import type { Printer } from "./report.ts";
import type { SyncJob } from "./sync_job.ts";

/** How often versions are made while every change is followed, when nothing says otherwise, milliseconds. */
const SNAPSHOT_MS = 60_000;

/**
 * Brings the backup in step with the source, with `job.watch` until the user interrupts.
 *
 * @param quietly Whether to say nothing when there is nothing to do.
 * @returns The exit code.
 * @throws {FilesyncError} When it cannot be done at all.
 */
export async function mirror(
  job: SyncJob,
  quietly: boolean,
  printer: Printer,
  context: Context,
): Promise<number> {
  await using resources = new AsyncDisposableStack();
  if (job.destination.kind === "sftp" && !quietly) {
    const message = "No versions are kept on an SFTP server: what is replaced or removed there is gone";
    printer.report({ type: "notice", level: "info", message });
  }
  const receiver = await openBackup(job, resources, printer, context);
  resources.defer(() => receiver.close());
  const roots = receiver instanceof LocalReceiver ? [receiver.root] : [];
  if (!job.watch) return await pushTo(receiver, job, quietly, printer, context);
  return await whileInPlace(roots, context, (context) => pushTo(receiver, job, quietly, printer, context));
}

async function pushTo(
  receiver: Receiver,
  job: SyncJob,
  quietly: boolean,
  printer: Printer,
  context: Context,
): Promise<number> {
  const { clock, signal } = context;
  using resources = new DisposableStack();
  const keeper = keeperOf(job, receiver, printer, context);
  if (keeper !== undefined) resources.use(keeper.versions);
  const isGood = keeper?.versions.syncedIn(keeper.backup) ?? (() => false);
  const limited = job.limit === undefined
    ? receiver
    : throttledReceiver(receiver, new Pace(job.limit, clock), signal);
  const pushed: PushJob = {
    source: job.source,
    destination: job.name,
    receiver: guardedReceiver(limited, ({ path, digest }) => isGood(path, digest)),
    state: job.state,
    ignore: job.ignore,
    ownFiles: [job.log],
    allowMassDelete: job.allowMassDelete,
    deleteExtra: true,
    brakeShare: SYNC_SHARE,
    isGood,
    dryRun: job.dryRun && "exact",
    quietly,
    once: !job.watch,
  };
  await keeper?.before(signal);
  const outcome = await whileKeeping(keeper, job, context, () => push(pushed, printer, context));
  await keeper?.after(signal);
  if (!(quietly && isIdle(outcome))) printer.report(outcome.totals);
  return exitCodeOfPush(outcome, pushed, signal);
}

/** What is kept before and after a push into a directory. */
interface Keeper {
  versions: BackupVersions;
  backup: KeptSide;
  before(signal: AbortSignal): Promise<void>;
  /**
   * Once the user has interrupted, nobody shall wait for a first version to be made: it is made with the next sync.
   * Later ones are finished: little has changed since the one before.
   */
  after(signal: AbortSignal): Promise<void>;
}

function keeperOf(job: SyncJob, receiver: Receiver, printer: Printer, context: Context): Keeper | undefined {
  if (job.dryRun || job.versions === undefined || !(receiver instanceof LocalReceiver)) return undefined;
  const versions = new BackupVersions(job.versions, printer, context);
  const backup: KeptSide = { role: "backup", location: receiver.root.path };
  const source: KeptSide = { role: "source", location: job.source };
  let rounds = 0;
  return {
    versions,
    backup,
    before: (signal) => versions.keepFound(backup, receiver, signal),
    async after(signal) {
      const until = rounds++ > 0 ? undefined : signal;
      if (until?.aborted) return;
      await versions.keepSynced(backup, receiver, until);
      versions.ended(receiver);
      // The source as it was synced is what the backup holds.
      await versions.keepAlike(source, backup, receiver, until);
      await versions.prune();
    },
  };
}

/** Makes snapshots again and again beside work that only ends when the user interrupts. */
async function whileKeeping<T>(
  keeper: Keeper | undefined,
  { watch, interval = SNAPSHOT_MS }: SyncJob,
  { clock, signal }: Context,
  work: () => Promise<T>,
): Promise<T> {
  if (keeper === undefined || !watch) return await work();
  const ended = new AbortController();
  const stopped = AbortSignal.any([signal, ended.signal]);
  const keeping = (async () => {
    for (;;) {
      await clock.sleep(interval, stopped);
      await keeper.after(signal);
    }
  })().catch((error) => {
    if (!stopped.aborted) keeper.versions.tell(error);
  });
  try {
    return await work();
  } finally {
    ended.abort();
    await keeping;
  }
}
