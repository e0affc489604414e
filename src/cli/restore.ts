/** `filesync restore`: bring a version back. @module */
import { ensureDirSync, existsSync } from "@std/fs";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { DescribePool } from "../chunking/describe_pool.ts";
import type { Action } from "../core/action.ts";
import type { Entry } from "../core/entry.ts";
import { EXIT, FilesyncError, toFilesyncError } from "../core/errors.ts";
import { isWithin, ROOT, type TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import { IgnoreRules } from "../files/ignore_rules.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { keepEntries } from "../sync/keep_tree.ts";
import { type ReadEntry, type ReadProgress, readTree } from "../sync/read_tree.ts";
import { entriesFor, restorePlan, restoreTree } from "../sync/restore_tree.ts";
import { resolveVersion } from "../versions/version_names.ts";
import type { Snapshot } from "../versions/snapshots.ts";
import { VersionStore } from "../versions/version_store.ts";
import { type CommandBody, type Context, type Invocation, LOG_FLAG } from "./command.ts";
import { absolute } from "./places.ts";
import { openPrinter } from "./printer.ts";
import type { Printer, TotalsReport } from "./report.ts";
import { findVersions, FROM_FLAG } from "./version_places.ts";
import { pathInTree, treeIn } from "./versions.ts";

export const restoreCommand: CommandBody = {
  description:
    "Brings <dir> to the state of a version: files that were changed or removed since come back, and a directory that was deleted is made anew. What stands there now is kept as a version first. Files that were made since are left alone, unless --delete is given.\n\n" +
    "<dir> is a backup, the source of a sync, a served directory with versions, or a file or directory in one of them.",
  arguments: [{ name: "dir", description: "What to restore" }],
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
    { name: "dry-run", short: "n", description: "Print what would be done, and do nothing" },
    LOG_FLAG,
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
  ],
  run: restore,
};

async function restore(invocation: Invocation, context: Context): Promise<number> {
  const { clock, signal } = context;
  const startedAt = clock.now();
  const found = findVersions(invocation.arguments[0], invocation.flag("from"), context);
  const given = [
    ...(found.path === undefined ? [] : [found.path]),
    ...invocation.flags("path").map(pathInTree),
  ];
  const paths = given.length === 0 ? [ROOT] : given;
  const into = invocation.flag("into");
  const target = into === undefined ? found.directory : absolute(into);
  const dryRun = invocation.has("dry-run");
  using printer = openPrinter(invocation, context);
  const problems: Problem[] = [];
  const onProblem = (problem: Problem) => {
    problems.push(problem);
    printer.report({ type: "problem", problem });
  };

  using store = new VersionStore(found.store, { readOnly: dryRun });
  const snapshot = snapshotIn(store, treeIn(store, found), invocation.flag("version")!, clock.now());
  const wanted = await Array.fromAsync(entriesFor(store.snapshots.entries(snapshot.number), paths));
  requireAll(paths, wanted, snapshot);
  printer.report({
    type: "started",
    command: "restore",
    source: `version ${snapshot.number} of ${new Date(snapshot.time).toISOString()}`,
    destination: target,
    ...(dryRun ? { dryRun } : {}),
  });

  const exists = existsSync(target);
  if (!exists && !dryRun) makeDirectory(target);
  using root = exists || !dryRun ? TreeRoot.open(target) : undefined;
  const current = root === undefined ? [] : await read(root, paths, onProblem, printer, signal);
  const standing = new Map(current.map(({ entry }) => [entry.path, entry]));
  const plan = (await restorePlan(wanted, standing.values(), invocation.has("delete")))
    // Directories above what is restored are made, but stay as they are.
    .filter((action) =>
      !(action.type === "directory" && isAbove(action.path, paths) &&
        standing.get(action.path)?.kind === "directory")
    );
  const totals = new Totals();
  if (root !== undefined && !dryRun) {
    if (plan.some(({ path }) => standing.has(path))) {
      const location = root.path;
      const role = store.snapshots.trees().find((tree) => tree.location === location)?.role ?? "source";
      const kept = { store, root, tree: store.tree({ role, location, host: Deno.hostname() }) };
      const options = { reason: "found before a restore", now: clock.now(), onProblem, signal };
      await keepEntries(kept, [...standing.values()], paths, options);
    }
    await restoreTree(root, plan, {
      current,
      signal,
      writeTo: (sink, digest) => store.contents.writeTo(sink, digest),
      onDone(action) {
        totals.add(action);
        printer.report({ type: "applied", action });
      },
      onProblem,
      onProgress: (progress) => printer.report({ type: "progress", ...progress, sentBytes: 0 }),
    });
  } else {
    for (const action of plan) {
      totals.add(action);
      printer.report({ type: "applied", action, dryRun });
    }
  }
  printer.report({
    ...totals.report(clock.now() - startedAt, problems.length),
    ...(dryRun ? { dryRun } : {}),
  });
  return signal.aborted ? EXIT.interrupted : problems.length > 0 ? EXIT.problems : EXIT.done;
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

function makeDirectory(path: string): void {
  try {
    ensureDirSync(path);
  } catch (error) {
    throw toFilesyncError(`make the directory "${path}"`, error);
  }
}

async function read(
  root: TreeRoot,
  paths: readonly TreePath[],
  onProblem: (problem: Problem) => void,
  printer: Printer,
  signal: AbortSignal,
): Promise<ReadEntry[]> {
  using pool = new DescribePool(DEFAULT_CHUNKING);
  // What is ignored is in no version, and stays.
  const rules = IgnoreRules.load(root);
  const onProgress = (progress: ReadProgress) =>
    printer.report({ type: "progress", ...progress, sentBytes: 0 });
  return await Array.fromAsync(readTree(root, { pool, rules, paths, onProblem, onProgress, signal }));
}

function isAbove(path: TreePath, paths: readonly TreePath[]): boolean {
  return paths.every((wanted) => path !== wanted && !isWithin(path, wanted));
}

class Totals {
  readonly #counts = { put: 0, directory: 0, symlink: 0, remove: 0, move: 0 };
  #bytes = 0;

  add(action: Action): void {
    this.#counts[action.type]++;
    if (action.type === "put") this.#bytes += action.size;
  }

  report(milliseconds: number, problems: number): TotalsReport {
    return {
      type: "totals",
      counts: { ...this.#counts },
      bytes: this.#bytes,
      sentBytes: 0,
      seconds: milliseconds / 1_000,
      problems,
    };
  }
}
