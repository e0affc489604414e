/** `filesync restore`: bring a version back. @module */
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { ROOT, type TreePath } from "../core/path.ts";
import { entriesFor } from "../sync/restore_tree.ts";
import { resolveVersion } from "../versions/version_names.ts";
import type { Snapshot } from "../versions/snapshots.ts";
import { VersionStore } from "../versions/version_store.ts";
import { type CommandBody, type Context, type Invocation, LOG_FLAGS } from "./command.ts";
import { absolute, pathInTree } from "./places.ts";
import { openPrinter } from "./printer.ts";
import { RestoreRun } from "./restore_run.ts";
import { restoreServed } from "./restore_served.ts";
import { servedIn, SERVER_FLAGS, serverIn } from "./served_tree.ts";
import { findVersions, type FoundVersions, FROM_FLAG } from "./version_places.ts";
import { treeIn } from "./versions.ts";

export const restoreCommand: CommandBody = {
  description:
    "Brings <dir> to the state of a version: files that were changed or removed since come back, and a directory that was deleted is made anew. What stands there now is kept as a version first. Files that were made since are left alone, unless --delete is given.\n\n" +
    "<dir> is a backup, the source of a sync, a served directory with versions, or a file or directory in one of them. It may be a server, too, by its URL: with --into its tree is restored here, without it there. A served tree is brought to the state of any moment since versions are kept; the number of a version, as filesync versions shows it, means the state before that one went, of its path only.\n\n" +
    "While a directory is served, it is restored by way of its server.",
  arguments: [{ name: "dir", description: "What to restore, or http(s)://… of a server" }],
  flags: [
    {
      name: "version",
      short: "V",
      value: "VERSION",
      default: "latest",
      description: "latest, previous, a number, a time such as 2026-11-20T18:00, or an age such as 2h or 3d",
    },
    {
      name: "path",
      short: "p",
      value: "PATH",
      repeat: true,
      description: "Only this file or directory in <dir>",
    },
    { name: "into", value: "DIR", description: "Put it into DIR and leave <dir> alone" },
    { name: "delete", description: "Also remove what is not in the version; it is kept as a version first" },
    FROM_FLAG,
    ...SERVER_FLAGS,
    { name: "dry-run", short: "n", description: "Print what would be done, and do nothing" },
    ...LOG_FLAGS,
  ],
  examples: [
    { command: "filesync restore ~/documents", does: "Undo everything since the last sync" },
    {
      command: "filesync restore ~/documents/letter.txt --version previous",
      does: "Bring back the version of a file before the latest",
    },
    {
      command: "filesync restore ~/documents --version 3d --into /tmp/then",
      does: "See how it all was three days ago",
    },
    {
      command: "filesync restore https://backup.lan --version 2h --into ./then",
      does: "Fetch what a server had two hours ago",
    },
    {
      command: "filesync restore https://backup.lan --path letters --version previous",
      does: "Undo the last change of a directory on the server",
    },
  ],
  run: restore,
};

async function restore(invocation: Invocation, context: Context): Promise<number> {
  const [asked] = invocation.arguments;
  const server = serverIn(asked);
  const found = server === undefined ? findVersions(asked, invocation.flag("from"), context) : undefined;
  const served = server ?? servedIn(found!, asked);
  const within = served === undefined ? found!.path : served.within;
  const given = invocation.flags("path").map((text) => pathInTree(text, "--path", within));
  const paths = given.length > 0 || within === undefined ? given : [within];
  using printer = openPrinter(invocation, context);
  const run = new RestoreRun(invocation, context, printer);
  if (served !== undefined) {
    return await restoreServed(run, served, paths, { invocation, context });
  }
  return await restoreSnapshot(run, found!, paths.length === 0 ? [ROOT] : paths, invocation, context);
}

async function restoreSnapshot(
  run: RestoreRun,
  found: FoundVersions,
  paths: readonly TreePath[],
  invocation: Invocation,
  { clock }: Context,
): Promise<number> {
  const into = invocation.flag("into");
  const target = into === undefined ? found.directory : absolute(into);
  using store = new VersionStore(found.store, { readOnly: run.dryRun });
  const snapshot = snapshotIn(store, treeIn(store, found), invocation.flag("version")!, clock.now());
  const wanted = await Array.fromAsync(entriesFor(store.snapshots.entries(snapshot.number), paths));
  requireAll(paths, wanted, snapshot);
  run.start(`version ${snapshot.number} of ${new Date(snapshot.time).toISOString()}`, target);
  await run.into(target, {
    wanted,
    paths,
    contentsFor: () => (sink, digest) => store.contents.writeTo(sink, digest),
    withStore: (work) => work(store),
  });
  return run.finish();
}

/** The snapshot of a name; numbers are those of all trees in the store. */
function snapshotIn(store: VersionStore, tree: number, name: string, now: number): Snapshot {
  const number = /^#?(\d+)$/.exec(name.trim())?.[1];
  const any = number === undefined ? undefined : store.snapshots.get(Number(number));
  return any ?? resolveVersion(name, store.snapshots.list(tree), now);
}

function requireAll(paths: readonly TreePath[], wanted: readonly Entry[], { number }: Snapshot): void {
  for (const path of paths) {
    if (path === ROOT || wanted.some((entry) => entry.path === path)) continue;
    throw new FilesyncError({
      code: "not-found",
      operation: `restore "${path}"`,
      reason: `it is not in version ${number}`,
      hint: "See its versions with filesync versions <dir>/<path>",
      permanent: true,
    });
  }
}
