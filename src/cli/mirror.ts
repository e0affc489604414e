/** One round of `filesync sync` in one direction: a push that also removes, between two snapshots. @module */
import { existsSync } from "@std/fs";
import { dirname, join } from "@std/path";
import type { Clock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { keepTree, type KeptTree, SYNCED } from "../sync/keep_tree.ts";
import { STATE_FILE } from "../sync/source_state.ts";
import { TreeRoot } from "../files/tree_root.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { guardedReceiver } from "../transport/guarded_receiver.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import type { Receiver } from "../transport/receiver.ts";
import { throttledReceiver } from "../transport/throttled_receiver.ts";
import type { TreeIdentity } from "../versions/snapshots.ts";
import { STORE_FILE, VersionStore } from "../versions/version_store.ts";
import type { Context } from "./command.ts";
import { clientName, openDestination } from "./destination.ts";
import { exitCodeOfPush, isIdle, push, type PushJob } from "./push.ts";
import { copyDatabase, scratchDirectory } from "./places.ts";
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
  const { clock, signal } = context;
  await using resources = new AsyncDisposableStack();
  const receiver = await openBackup(job, resources, printer, context);
  resources.defer(() => receiver.close());
  const versions = job.dryRun || job.versions === undefined || !(receiver instanceof LocalReceiver)
    ? undefined
    : resources.use(new Versions(job, job.versions, receiver, printer, context));
  const isGood = versions?.synced() ?? (() => false);
  const limited = job.limit === undefined ? receiver : throttledReceiver(receiver, job.limit, clock, signal);
  const pushed: PushJob = {
    source: job.source,
    destination: job.name,
    receiver: guardedReceiver(limited, ({ path, digest }) => isGood(path, digest)),
    state: job.state,
    ignore: job.ignore,
    ownFiles: [job.log],
    allowMassDelete: job.allowMassDelete,
    deleteExtra: true,
    isGood,
    dryRun: job.dryRun && "exact",
    quietly,
    once: !job.watch,
  };
  await versions?.keepFound();
  const outcome = await whileKeeping(versions, job, context, () => push(pushed, printer, context));
  await versions?.keepBackup(SYNCED);
  await versions?.keepSource();
  await versions?.prune();
  if (!(quietly && isIdle(outcome))) printer.report(outcome.totals);
  return exitCodeOfPush(outcome, pushed, signal);
}

/** Makes snapshots again and again beside work that only ends when the user interrupts. */
async function whileKeeping<T>(
  versions: Versions | undefined,
  { watch, interval = SNAPSHOT_MS }: SyncJob,
  { clock, signal }: Context,
  work: () => Promise<T>,
): Promise<T> {
  if (versions === undefined || !watch) return await work();
  const ended = new AbortController();
  const stopped = AbortSignal.any([signal, ended.signal]);
  const keeping = (async () => {
    for (;;) {
      await clock.sleep(interval, stopped);
      await versions.keepBackup(SYNCED);
      await versions.prune();
    }
  })().catch((error) => {
    if (!stopped.aborted) versions.tell(error);
  });
  try {
    return await work();
  } finally {
    ended.abort();
    await keeping;
  }
}

/** The store of a backup, and what is kept in it. */
class Versions implements Disposable {
  readonly #job: SyncJob;
  readonly #settings: NonNullable<SyncJob["versions"]>;
  readonly #receiver: LocalReceiver;
  readonly #printer: Printer;
  readonly #context: Context;
  readonly #store: VersionStore;

  constructor(
    job: SyncJob,
    settings: NonNullable<SyncJob["versions"]>,
    receiver: LocalReceiver,
    printer: Printer,
    context: Context,
  ) {
    this.#job = job;
    this.#settings = settings;
    this.#receiver = receiver;
    this.#printer = printer;
    this.#context = context;
    this.#store = new VersionStore(settings.directory);
  }

  /** Tells whether a path had a content when it was last synced: then it is not damaged. */
  synced(): (path: TreePath, content: Digest) => boolean {
    const tree = this.#treeOf("backup", this.#receiver.root);
    const last = this.#store.snapshots.list(tree).findLast(({ reason }) => reason === SYNCED);
    return (path, content) => {
      const entry = last && this.#store.snapshots.entry(last.number, path);
      return entry?.kind === "file" && entry.digest === content;
    };
  }

  /** Makes a snapshot of the backup, unless it is equal to its last one. */
  async keepBackup(reason: string): Promise<void> {
    const { root, index } = this.#receiver;
    const tree = this.#treeOf("backup", root);
    await this.#receiver.atRest(() => this.#keep({ store: this.#store, tree, root }, index, reason, true));
  }

  /** Keeps what others did to the backup since the last sync; a tree that was emptied holds nothing that could be lost. */
  async keepFound(): Promise<void> {
    if (!this.#receiver.index.isEmpty) await this.keepBackup("found before a sync");
  }

  /** Makes a snapshot of the source as it was synced: it is what the backup holds. */
  async keepSource(): Promise<void> {
    const { root, index } = this.#receiver;
    const tree = this.#store.tree({ role: "source", location: this.#job.source, host: Deno.hostname() });
    await this.#receiver.atRest(() => this.#keep({ store: this.#store, tree, root }, index, SYNCED));
  }

  /** Removes versions that are not to be kept any more. */
  async prune(): Promise<void> {
    await this.#store.prune(this.#settings.retention, this.#context.clock.now(), this.#context.signal)
      .catch((error) => this.#context.signal.aborted || this.tell(error));
  }

  /** Tells of an error that stops nothing. */
  tell(error: unknown): void {
    const { message, hint } = toFilesyncError("keep versions", error);
    this.#printer.report({ type: "notice", level: "warning", message, hint });
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }

  async #keep(kept: KeptTree, index: TreeIndex, reason: string, sequenced = false): Promise<void> {
    const snapshot = await keepTree(kept, index, {
      reason,
      sequenced,
      now: this.#context.clock.now(),
      onProblem: (problem) => this.#printer.report({ type: "problem", problem }),
    });
    if (snapshot === undefined) return;
    const { number, digest, files, bytes } = snapshot;
    const { role } = this.#store.snapshots.trees().find(({ id }) => id === kept.tree)!;
    this.#printer.report({ type: "version", number, of: role, digest, files, bytes, reason });
  }

  #treeOf(role: TreeIdentity["role"], root: TreeRoot): number {
    return this.#store.tree({ role, location: root.path, host: Deno.hostname() });
  }
}

async function openBackup(
  job: SyncJob,
  resources: AsyncDisposableStack,
  printer: Printer,
  context: Context,
): Promise<Receiver> {
  const { destination } = job;
  const { clock, version } = context;
  if (destination.kind === "server") {
    const client = clientName(job.source, context);
    // What is under way when the user interrupts is finished, not cut.
    const signal = new AbortController().signal;
    return openDestination(destination, {
      clock,
      token: job.token,
      allowPlainHttp: job.allowPlainHttp,
      client,
      version,
      signal,
    });
  }
  ensureBackup(job, destination.path, printer);
  const scratch = job.dryRun ? resources.use(scratchDirectory()) : undefined;
  const receiver = scratch === undefined
    ? new LocalReceiver(destination.path, { clock })
    : untouched(destination.path, scratch.path, clock);
  try {
    const { problems } = await receiver.ready;
    for (const problem of problems) printer.report({ type: "problem", problem });
    return receiver;
  } catch (error) {
    await receiver.close();
    throw error;
  }
}

/** A receiver that keeps all it notes of the backup in `scratch`; one that is not there is empty. */
function untouched(backup: string, scratch: string, clock: Clock): LocalReceiver {
  const state = join(scratch, "state");
  Deno.mkdirSync(state);
  if (!existsSync(backup)) {
    const empty = join(scratch, "backup");
    Deno.mkdirSync(empty);
    return new LocalReceiver(empty, { clock, state });
  }
  copyDatabase(join(backup, STATE_DIRECTORY), "index.db", state);
  return new LocalReceiver(backup, { clock, state });
}

/**
 * Makes a backup that is not there: the first time, and again when it was deleted. One that is gone together
 * with its versions is rather on a disk that is not mounted.
 *
 * @throws {FilesyncError} When it must not be made, or cannot.
 */
function ensureBackup({ state, versions, rebuild, dryRun }: SyncJob, backup: string, printer: Printer): void {
  if (existsSync(backup) || dryRun) return;
  const isKnown = existsSync(join(state, STATE_FILE));
  const hasVersions = versions !== undefined && existsSync(join(versions.directory, STORE_FILE));
  if (isKnown && !(rebuild ?? hasVersions)) {
    throw new FilesyncError({
      code: "brake",
      operation: `sync to "${backup}"`,
      reason: hasVersions ? "the backup is gone" : "the backup is gone, and so are its versions",
      hint: "Mount the disk it is on; or, if it was deleted, make it anew with --rebuild",
      permanent: true,
    });
  }
  try {
    Deno.mkdirSync(backup);
  } catch (error) {
    const { code, reason } = toFilesyncError("", error);
    throw new FilesyncError({
      code,
      operation: `make the backup "${backup}"`,
      reason: code === "not-found" ? `there is no directory "${dirname(backup)}"` : reason,
      hint: code === "not-found" ? "Create it, or mount the disk it is on" : undefined,
      permanent: true,
      cause: error,
    });
  }
  if (isKnown) {
    const message = `The backup "${backup}" was deleted, and is made anew`;
    printer.report({ type: "notice", level: "warning", message });
  }
}
