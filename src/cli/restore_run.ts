/** What all kinds of restore do alike: plan, put back, report. @module */
import { ensureDirSync, existsSync } from "@std/fs";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { DescribePool } from "../chunking/describe_pool.ts";
import type { Action } from "../core/action.ts";
import type { Entry } from "../core/entry.ts";
import { EXIT, toFilesyncError } from "../core/errors.ts";
import { isWithin, type TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import { IgnoreRules } from "../files/ignore_rules.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { keepEntries } from "../sync/keep_tree.ts";
import { type ReadEntry, type ReadProgress, readTree } from "../sync/read_tree.ts";
import { restorePlan, type RestoreProgress, restoreTree } from "../sync/restore_tree.ts";
import type { RestoreOptions } from "../sync/restore_tree.ts";
import { REPLACED } from "../versions/snapshots.ts";
import type { VersionStore } from "../versions/version_store.ts";
import type { Context, Invocation } from "./command.ts";
import { quotePath } from "./quote.ts";
import type { Printer } from "./report.ts";

/** Where a restore takes from. */
export interface RestoreSource {
  /** What shall stand there, in the order of paths. */
  wanted: readonly Entry[];
  /** The parts that shall be so. */
  paths: readonly TreePath[];
}

/** What a restore into a directory needs. */
export interface RestoreInto extends RestoreSource {
  /** Writes the contents of a plan. */
  contentsFor(plan: readonly Action[]): RestoreOptions["writeTo"];
  /** Lends the store that keeps what stands in the directory now. */
  withStore<T>(work: (store: VersionStore) => Promise<T>): Promise<T>;
}

/** One restore, and what it has reported. */
export class RestoreRun {
  readonly dryRun: boolean;
  readonly printer: Printer;
  readonly #context: Context;
  readonly #deleteExtra: boolean;
  readonly #startedAt: number;
  readonly #counts = { put: 0, directory: 0, symlink: 0, remove: 0, move: 0 };
  #bytes = 0;
  #problems = 0;

  constructor(invocation: Invocation, context: Context, printer: Printer) {
    this.dryRun = invocation.has("dry-run");
    this.printer = printer;
    this.#context = context;
    this.#deleteExtra = invocation.has("delete");
    this.#startedAt = context.clock.now();
  }

  /** Tells what is restored, and where. */
  start(source: string, destination: string): void {
    this.printer.report({ type: "started", command: "restore", source, destination, ...this.#mark });
  }

  /** What makes `standing` what is wanted; directories above it are made, but stay as they are. */
  async plan({ wanted, paths }: RestoreSource, standing: ReadonlyMap<TreePath, Entry>): Promise<Action[]> {
    const plan = await restorePlan(wanted, standing.values(), this.#deleteExtra);
    return plan.filter((action) =>
      !(action.type === "directory" && isAbove(action.path, paths) &&
        standing.get(action.path)?.kind === "directory")
    );
  }

  /** Restores into a directory of this machine. What stands there now is kept before. */
  async into(target: string, source: RestoreInto): Promise<void> {
    const exists = existsSync(target);
    if (!exists && !this.dryRun) makeDirectory(target);
    using root = exists || !this.dryRun ? TreeRoot.open(target) : undefined;
    const current = root === undefined ? [] : await this.#read(root, source.paths);
    const standing = new Map(current.map(({ entry }) => [entry.path, entry]));
    const plan = await this.plan(source, standing);
    if (root === undefined || this.dryRun) return plan.forEach((action) => this.done(action));
    if (plan.some(({ path }) => standing.has(path))) {
      await source.withStore((store) => this.#keep(store, root, [...standing.values()], source.paths));
    }
    await restoreTree(root, plan, {
      current,
      signal: this.#context.signal,
      writeTo: source.contentsFor(plan),
      onDone: (action) => this.done(action),
      onProblem: (problem) => this.problem(problem),
      onProgress: (progress) => this.progress(progress),
    });
  }

  /** Tells that an action is done. */
  done(action: Action): void {
    this.#counts[action.type]++;
    if (action.type === "put") this.#bytes += action.size;
    this.printer.report({ type: "applied", action, ...this.#mark });
  }

  /** Tells of a path that could not be restored. */
  problem(problem: Problem): void {
    this.#problems++;
    this.printer.report({ type: "problem", problem });
  }

  /** Tells how far it is. */
  progress(progress: RestoreProgress | ReadProgress): void {
    this.printer.report({ type: "progress", ...progress, sentBytes: 0 });
  }

  /** Tells what was done in all. Returns the exit code. */
  finish(): number {
    const { clock, signal } = this.#context;
    this.printer.report({
      type: "totals",
      counts: { ...this.#counts },
      bytes: this.#bytes,
      sentBytes: 0,
      seconds: (clock.now() - this.#startedAt) / 1_000,
      problems: this.#problems,
      ...this.#mark,
      ...(signal.aborted ? { failed: true } : {}),
    });
    return signal.aborted ? EXIT.interrupted : this.#problems > 0 ? EXIT.problems : EXIT.done;
  }

  get #mark(): { dryRun?: boolean } {
    return this.dryRun ? { dryRun: true } : {};
  }

  async #keep(
    store: VersionStore,
    root: TreeRoot,
    standing: readonly Entry[],
    paths: readonly TreePath[],
  ): Promise<void> {
    const { clock, signal } = this.#context;
    const location = root.path;
    const role = store.snapshots.trees().find((tree) => tree.location === location)?.role ?? "source";
    const kept = { store, root, tree: store.tree({ role, location, host: Deno.hostname() }) };
    const onProblem = (problem: Problem) => this.problem(problem);
    const options = { reason: REPLACED, now: clock.now(), onProblem, signal };
    const snapshot = await keepEntries(kept, standing, paths, options);
    if (snapshot === undefined) return;
    this.printer.report({
      type: "notice",
      level: "info",
      message: `What stands in "${location}" is kept as version ${snapshot.number}`,
      hint: `To go back to it: filesync restore ${quotePath(location)} --version ${snapshot.number}`,
    });
  }

  async #read(root: TreeRoot, paths: readonly TreePath[]): Promise<ReadEntry[]> {
    using pool = new DescribePool(DEFAULT_CHUNKING);
    return await Array.fromAsync(readTree(root, {
      pool,
      // What is ignored is in no version, and stays.
      rules: IgnoreRules.load(root),
      paths,
      onProblem: (problem) => this.problem(problem),
      onProgress: (progress) => this.progress(progress),
      signal: this.#context.signal,
    }));
  }
}

function makeDirectory(path: string): void {
  try {
    ensureDirSync(path);
  } catch (error) {
    throw toFilesyncError(`make the directory "${path}"`, error);
  }
}

function isAbove(path: TreePath, paths: readonly TreePath[]): boolean {
  return paths.every((wanted) => path !== wanted && !isWithin(path, wanted));
}
