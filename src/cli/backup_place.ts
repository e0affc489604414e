/** Opening what a sync goes to: a server, or a directory that is made when it may be. @module */
import { existsSync } from "@std/fs";
import { dirname, join } from "@std/path";
import type { Clock } from "../core/clock.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { STATE_DIRECTORY } from "../core/path.ts";
import { STATE_FILE } from "../sync/source_state.ts";
import { TWO_WAY_FILE } from "../sync/two_way/two_way_state.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import type { Receiver } from "../transport/receiver.ts";
import { STORE_FILE } from "../versions/version_store.ts";
import type { Context } from "./command.ts";
import { clientName, openDestination } from "./destination.ts";
import { copyDatabase, scratchDirectory } from "./places.ts";
import type { Printer } from "./report.ts";
import { openSftp } from "./ssh.ts";
import type { SyncJob } from "./sync_job.ts";

/** Opens the backup; of a directory, tells what could not be read in it. For a dry run nothing is written into it. */
export async function openBackup(
  job: SyncJob,
  resources: AsyncDisposableStack,
  printer: Printer,
  context: Context,
): Promise<Receiver> {
  const { destination } = job;
  const { clock, version } = context;
  if (destination.kind === "sftp") {
    const { state, ssh } = job;
    return await openSftp(destination, { clock, state, target: ssh! });
  }
  if (destination.kind === "server") {
    const client = clientName(job.source, context);
    // What is under way when the user interrupts is finished, not cut.
    const signal = new AbortController().signal;
    return openDestination(destination, {
      clock,
      token: job.token,
      ...job.trust,
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
function ensureBackup(job: SyncJob, backup: string, printer: Printer): void {
  const { source, state, versions, rebuild, dryRun } = job;
  if (existsSync(backup) || dryRun) return;
  const isKnown = [STATE_FILE, TWO_WAY_FILE].some((name) => existsSync(join(state, name)));
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
    // What only its owner may enter must not be open to all as a backup; the owner has to write into it.
    Deno.mkdirSync(backup, { mode: (Deno.statSync(source).mode ?? 0o777) & 0o777 | 0o700 });
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
