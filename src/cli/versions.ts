/** `filesync versions`: what can come back. @module */
import { EXIT, FilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import type { Difference, Snapshot } from "../versions/snapshots.ts";
import { VersionStore } from "../versions/version_store.ts";
import { namedVersions, resolveVersion } from "../versions/version_names.ts";
import type { CommandBody, Context, Invocation } from "./command.ts";
import { describeEntry, localTime } from "./entry_text.ts";
import { jsonLine } from "./json_printer.ts";
import { showKept } from "./kept_versions.ts";
import { pathInTree } from "./places.ts";
import { quotePath, visible } from "./quote.ts";
import { count } from "../core/amounts.ts";
import { formatBytes } from "./sizes.ts";
import { openServed, servedIn, SERVER_FLAGS, serverIn } from "./served_tree.ts";
import { createStyle } from "./style.ts";
import { usageError } from "./usage_error.ts";
import { findVersions, type FoundVersions, FROM_FLAG } from "./version_places.ts";

export const versionsCommand: CommandBody = {
  description:
    "Works on a backup, on the source of a sync, and on a served directory; also when they were deleted. A version of a directory is a whole state of it; `filesync restore` brings it back.\n\n" +
    "A directory that is served with --keep, and a server itself, have a version of each file that was replaced or removed, what went last first.",
  arguments: [{
    name: "dir",
    description: "The directory, or a file or directory in it, or http(s)://… of a server",
  }],
  flags: [
    { name: "diff", short: "d", value: "VERSION", description: "Show what that version changed" },
    {
      name: "under",
      short: "u",
      value: "PATH",
      description: "Of a served tree, only what was at PATH and below it",
    },
    {
      name: "at",
      value: "TIME",
      description:
        "Of a served tree, show what stood there at TIME, such as 2026-11-20T18:00 or 2h, or before version N went",
    },
    {
      name: "number",
      short: "n",
      value: "N",
      default: "50",
      description: "Of a served tree, show at most N versions",
    },
    { name: "before", value: "N", description: "Of a served tree, only versions with a number below N" },
    FROM_FLAG,
    ...SERVER_FLAGS,
  ],
  examples: [
    { command: "filesync versions ~/documents", does: "All versions of a directory" },
    { command: "filesync versions ~/documents/letter.txt", does: "All versions of a file" },
    {
      command: "filesync versions ~/documents --diff previous",
      does: "What the version before the latest changed",
    },
    {
      command: "filesync versions https://backup.lan --under letters",
      does: "What went below a directory on a server",
    },
    { command: "filesync versions /srv/photos --at 2h", does: "What a served directory had two hours ago" },
  ],
  run: versions,
};

async function versions(invocation: Invocation, context: Context): Promise<number> {
  const [asked] = invocation.arguments;
  const server = serverIn(asked);
  const found = server === undefined ? findVersions(asked, invocation.flag("from"), context) : undefined;
  const served = server ?? servedIn(found!, asked);
  if (served === undefined) return showSnapshots(found!, invocation, context);
  refuseFlag("diff", "a served tree has no versions of the whole; show a state with --at", invocation);
  const under = invocation.flag("under");
  await using tree = await openServed(served, { invocation, context, toChange: false });
  return await showKept(
    tree,
    under === undefined ? served.within : pathInTree(under, "--under", served.within),
    invocation,
    context,
  );
}

function showSnapshots(found: FoundVersions, invocation: Invocation, context: Context): number {
  for (const flag of ["under", "at", "before"]) {
    refuseFlag(flag, "it is for served trees; of others name the path itself", invocation);
  }
  using store = new VersionStore(found.store, { readOnly: true });
  const tree = treeIn(store, found);
  const snapshots = store.snapshots.list(tree);
  const lines = found.path !== undefined
    ? ofPath(store, tree, found.path, context)
    : invocation.has("diff")
    ? ofDifference(store, snapshots, invocation.flag("diff")!, context)
    : ofTree(snapshots, context);
  for (const { json, text } of lines) {
    context.stdout.write(invocation.has("json") ? jsonLine(context.clock.now(), json) : `${text}\n`);
  }
  return EXIT.done;
}

function refuseFlag(name: string, reason: string, invocation: Invocation): void {
  if (invocation.flag(name) !== undefined) throw usageError(`use --${name}`, reason);
}

/** The number of the tree whose versions are asked for: the directory's own, else those of what it is a backup of. */
export function treeIn(store: VersionStore, { directory, store: place }: FoundVersions): number {
  const trees = store.snapshots.trees().filter(({ id }) => store.snapshots.last(id) !== undefined);
  const tree = trees.findLast(({ location }) => location === directory) ??
    trees.findLast(({ role }) => role !== "source") ?? trees.at(-1);
  if (tree !== undefined) return tree.id;
  throw new FilesyncError({
    code: "not-found",
    operation: `show versions of "${directory}"`,
    reason: `there are none in "${place}" yet`,
    hint: "One is made with every filesync sync that changes something",
    permanent: true,
  });
}

interface Line {
  json: { type: string } & Record<string, unknown>;
  text: string;
}

function* ofTree(snapshots: readonly Snapshot[], context: Context): Generator<Line> {
  const style = createStyle(context.colors);
  const { latest, previous } = namedVersions(snapshots);
  for (const snapshot of [...snapshots].reverse()) {
    const { number, time, digest, files, directories, symlinks, bytes, reason } = snapshot;
    const name = snapshot === latest ? "latest" : snapshot === previous ? "previous" : undefined;
    yield {
      json: {
        type: "version",
        ...{
          number,
          name,
          made: new Date(time).toISOString(),
          digest,
          files,
          directories,
          symlinks,
          bytes,
          reason,
        },
      },
      text: `${style.bold(String(number).padStart(5))}  ${localTime(time)}  ${
        count(files, "file").padStart(14)
      }  ${formatBytes(bytes).padStart(10)}  ${style.dim(digest.slice(0, 12))}  ${visible(reason)}${
        name === undefined ? "" : `  ${style.green(name)}`
      }`,
    };
  }
}

function* ofPath(store: VersionStore, tree: number, path: TreePath, context: Context): Generator<Line> {
  const style = createStyle(context.colors);
  const all = store.snapshots.versionsOf(tree, path);
  if (all.length === 0) {
    throw new FilesyncError({
      code: "not-found",
      operation: `show versions of "${path}"`,
      reason: "nothing of that name is in any version",
      hint: "Names are case-sensitive; see what a version changed with --diff",
      permanent: true,
    });
  }
  for (const { entry, snapshot, time, until } of all.reverse()) {
    yield {
      json: {
        type: "path-version",
        ...{ version: snapshot, made: new Date(time).toISOString(), entry },
        ...(until === undefined ? {} : { until: new Date(until.time).toISOString() }),
      },
      text: `${style.bold(String(snapshot).padStart(5))}  ${localTime(time)}  ${describeEntry(entry)}${
        until === undefined ? `  ${style.green("latest")}` : `  until ${localTime(until.time)}`
      }`,
    };
  }
}

function* ofDifference(
  store: VersionStore,
  snapshots: readonly Snapshot[],
  name: string,
  context: Context,
): Generator<Line> {
  const snapshot = resolveVersion(name, snapshots, context.clock.now());
  const before = snapshots.findLast(({ number }) => number < snapshot.number);
  if (before === undefined) {
    throw usageError(
      `show what version ${snapshot.number} changed`,
      "it is the first that is kept, so there is nothing to compare it with",
      "Restore it somewhere with filesync restore --into to see what is in it",
    );
  }
  for (const difference of store.snapshots.differences(before.number, snapshot.number)) {
    yield {
      json: { type: "difference", ...difference },
      text: textOfDifference(difference),
    };
  }
}

function textOfDifference({ path, before, after }: Difference): string {
  if (before === undefined) return `+ ${quotePath(path)}  ${describeEntry(after!)}`;
  if (after === undefined) return `- ${quotePath(path)}  ${describeEntry(before)}`;
  return `~ ${quotePath(path)}  ${describeEntry(before)} → ${describeEntry(after)}`;
}
