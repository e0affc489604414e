/** `filesync sync`: make a backup equal to a directory, once or again and again, and keep versions. @module */
import { backoffDelay } from "../core/backoff.ts";
import { EXIT, FilesyncError, toFilesyncError } from "../core/errors.ts";
import { refuseNesting } from "../sync/pusher.ts";
import type { ConflictPolicy } from "../sync/two_way/decide.ts";
import { type CommandBody, type Context, type Invocation, LOG_FLAGS } from "./command.ts";
import {
  type Destination,
  destinationName,
  INTO_FLAG,
  parseDestination,
  SERVER_FLAGS,
  serverTrust,
} from "./destination.ts";
import { LIMIT_FLAG, limitOf } from "./limit.ts";
import { mirror } from "./mirror.ts";
import { absolute, realDirectory, realPathOf } from "./places.ts";
import { openPrinter } from "./printer.ts";
import type { Printer } from "./report.ts";
import { RETENTION_FLAGS, retentionOf } from "./retention_flags.ts";
import { parseDuration } from "./sizes.ts";
import type { SyncJob } from "./sync_job.ts";
import { SSH_FLAGS, sshTarget } from "./ssh.ts";
import { STATE_FLAG, stateDirectoryFor } from "./state_home.ts";
import { readToken, TOKEN_FILE_FLAG } from "./token.ts";
import { twoWay } from "./two_way.ts";
import { anyOf } from "./suggest.ts";
import { usageError } from "./usage_error.ts";
import { versionsBeside } from "./version_places.ts";

export const syncCommand: CommandBody = {
  description:
    "Makes <backup> equal to <source>: content, names, permissions, times, links and empty directories. What is not in <source> is removed from <backup>. With --two-way both are made equal to each other; what both changed is decided by --conflict, and the one that loses is kept as a version, or as a copy with host and time in its name.\n\n" +
    "Beside the backup, in __versions__, every state that was synced is kept, by default the latest and the previous one; see `filesync versions` and `filesync restore`. Only chunks that are new take space. A server keeps versions by itself, with `filesync serve --keep`; on sftp:// none are kept, and what is replaced or removed there is gone.\n\n" +
    "When <source> is empty, was replaced, or has lost ten entries or more and over 30 % of all, nothing is removed and the exit code is 4.",
  arguments: [
    { name: "source", description: "The directory to back up, or one of two" },
    {
      name: "backup",
      description:
        "Another directory, or host[:port] or http(s)://… of `filesync serve`, or sftp://user@host/path",
    },
  ],
  flags: [
    {
      name: "two-way",
      short: "2",
      description: "Carry the changes of both sides over to the other, and remove only what was removed",
    },
    {
      name: "conflict",
      short: "c",
      value: "WHO",
      default: "newer",
      env: "FILESYNC_CONFLICT",
      description:
        "Who wins where both sides changed a file: newer, source, backup, or both, which keeps the other one as a copy",
    },
    {
      name: "interval",
      short: "e",
      value: "TIME",
      env: "FILESYNC_INTERVAL",
      description: "Do it again every TIME, such as 30s or 1h, until you stop it",
    },
    {
      name: "watch",
      short: "w",
      description: "Follow every change at once; versions are made every --interval (60s)",
    },
    INTO_FLAG,
    ...RETENTION_FLAGS,
    {
      name: "ignore",
      short: "i",
      value: "PATTERN",
      repeat: true,
      env: "FILESYNC_IGNORE",
      description: "Leave out what matches, as if it stood in .filesyncignore",
    },
    {
      name: "allow-mass-delete",
      description: "Carry out removals even if <source> is empty or more than 30 % of it is gone",
    },
    {
      name: "rebuild",
      negatable: true,
      description:
        "Make a backup anew that was deleted; without a word, when its versions still stand beside it",
    },
    TOKEN_FILE_FLAG,
    STATE_FLAG,
    LIMIT_FLAG,
    ...SERVER_FLAGS,
    ...SSH_FLAGS,
    { name: "dry-run", short: "n", description: "Print what would be done, and do nothing" },
    ...LOG_FLAGS,
  ],
  examples: [
    { command: "filesync sync ~/documents /mnt/backup/documents", does: "Back up a directory" },
    {
      command: "filesync sync ~/documents /mnt/backup/docs -e 1h --keep staggered",
      does: "Every hour, with older versions thinned out",
    },
    {
      command: "filesync sync ~/notes /mnt/usb/notes --two-way",
      does: "Carry over what either side changed",
    },
    { command: "filesync sync src /mnt/mirror/src --dry-run", does: "See what would be done" },
  ],
  run: sync,
};

/** What follows changes for so long before it fails did well, milliseconds. */
const LASTING_MS = 60_000;

async function sync(invocation: Invocation, context: Context): Promise<number> {
  const job = jobOf(invocation, context);
  using printer = openPrinter(invocation, context);
  printer.report({
    type: "started",
    command: "sync",
    source: job.source,
    destination: job.name,
    ...(job.dryRun ? { dryRun: true } : {}),
  });
  const round = job.twoWay === undefined ? mirror : twoWay;
  return await repeat(job, (quietly) => round(job, quietly, printer, context), printer, context);
}

function jobOf(invocation: Invocation, context: Context): SyncJob {
  const [first, second] = invocation.arguments;
  const conflict = conflictOf(invocation);
  // Of the two sides that both change, either may be made anew from the other one.
  const source = conflict === undefined ? realDirectory(first) : realPathOf(first);
  const destination = parseDestination(second, Deno.cwd(), invocation.flag("into"));
  if (destination.kind === "directory") {
    destination.path = realPathOf(destination.path);
    refuseNesting(source, destination.path);
  }
  const name = destinationName(destination);
  if (destination.kind === "sftp" && conflict !== undefined) {
    throw usageError(
      `sync "${source}" with ${name} both ways`,
      "an SFTP server cannot tell what changed there",
      "Run filesync serve there, or leave --two-way out",
    );
  }
  const [given, interval] = ["state", "interval"].map((flag) => invocation.flag(flag));
  const limit = limitOf(invocation);
  const versions = versionsOf(invocation, source, destination);
  return {
    source,
    destination,
    name,
    state: given === undefined ? stateDirectoryFor(context, source, name) : absolute(given),
    ...(versions === undefined ? {} : { versions }),
    ...(conflict === undefined ? {} : { twoWay: { conflict } }),
    ...(interval === undefined ? {} : { interval: intervalIn(interval) }),
    watch: invocation.has("watch"),
    dryRun: invocation.has("dry-run"),
    ignore: invocation.flags("ignore"),
    allowMassDelete: invocation.has("allow-mass-delete"),
    ...(invocation.settings.has("rebuild") ? { rebuild: invocation.has("rebuild") } : {}),
    token: readToken(invocation, context),
    trust: serverTrust(invocation),
    ...(destination.kind === "sftp" ? { ssh: sshTarget(destination, invocation, context) } : {}),
    ...(limit === undefined ? {} : { limit }),
    log: invocation.flag("log"),
  };
}

const POLICIES: readonly ConflictPolicy[] = ["newer", "source", "backup", "both"];

/** Who wins conflicts; `undefined` when there cannot be any, because only the source counts. */
function conflictOf(invocation: Invocation): ConflictPolicy | undefined {
  const text = invocation.flag("conflict")!.trim().toLowerCase();
  const policy = POLICIES.find((policy) => policy === text);
  if (policy === undefined) {
    throw usageError(
      `use ${JSON.stringify(text)} for --conflict`,
      "nobody is called that",
      `Write ${anyOf(POLICIES)}`,
    );
  }
  if (invocation.has("two-way")) return policy;
  if (!invocation.has("conflict") || invocation.settings.get("conflict")?.from !== "flag") return undefined;
  throw usageError("use --conflict", "with one way only there are no conflicts", "Add --two-way");
}

function versionsOf(
  invocation: Invocation,
  source: string,
  destination: Destination,
): SyncJob["versions"] {
  const retention = retentionOf(invocation);
  if (destination.kind !== "directory") {
    const given = ["keep", "keep-for"].find((flag) => invocation.has(flag));
    if (given === undefined) return undefined;
    if (retention === undefined) return undefined;
    throw destination.kind === "sftp"
      ? usageError(
        `keep versions on ${destination.host}`,
        "an SFTP server keeps none",
        "Run filesync serve --keep there, or sync to a directory",
      )
      : usageError(
        `keep versions for ${destination.url.host}`,
        "a server keeps them by itself",
        `Give --${given} to filesync serve`,
      );
  }
  if (retention === undefined) return undefined;
  const directory = versionsBeside(destination.path);
  // A store within the source would be backed up itself, and grow with every round.
  refuseNesting(source, directory);
  return { directory, retention };
}

/**
 * Runs rounds until one is enough, or the user interrupts. A failure that may pass is told, and the next round
 * tries again. One that follows changes lasts until it fails.
 */
async function repeat(
  { interval, watch, dryRun, source, name }: SyncJob,
  round: (quietly: boolean) => Promise<number>,
  printer: Printer,
  { clock, signal }: Context,
): Promise<number> {
  if (dryRun || (interval === undefined && !watch)) return await round(false);
  let last: number = EXIT.done;
  for (let rounds = 0, failures = 0; !signal.aborted; rounds++) {
    const startedAt = clock.now();
    try {
      last = await round(rounds > 0);
    } catch (error) {
      if (signal.aborted) break;
      const failure = toFilesyncError(`sync "${source}" with ${name}`, error);
      if (!mayPass(failure)) throw failure;
      printer.report({ type: "notice", level: "warning", message: failure.message, hint: failure.hint });
    }
    failures = clock.now() - startedAt > LASTING_MS ? 1 : failures + 1;
    await clock.sleep(watch ? backoffDelay(failures) : interval!, signal).catch(() => {});
  }
  return signal.aborted ? EXIT.interrupted : last;
}

/** @throws {FilesyncError} `usage` for what is no duration, or none at all. */
function intervalIn(text: string): number {
  const interval = parseDuration(text, "--interval");
  if (interval > 0) return interval;
  throw usageError(
    `use ${JSON.stringify(text)} for --interval`,
    "without a pause it would take all of a processor",
    "Write a time such as 30s or 1h, or follow every change at once with --watch",
  );
}

/** Whether a failed round says nothing of the next one: a disk may be mounted again, a server come back. */
function mayPass({ permanent, code }: FilesyncError): boolean {
  return !permanent || code === "not-found" || code === "brake" || code === "locked";
}
