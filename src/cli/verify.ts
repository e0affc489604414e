/** `filesync verify`: read everything, and find what a disk has spoilt. @module */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { DescribePool } from "../chunking/describe_pool.ts";
import type { FileEntry } from "../core/entry.ts";
import { EXIT, FilesyncError, toFilesyncError } from "../core/errors.ts";
import type { Problem } from "../core/problem.ts";
import { IgnoreRules } from "../files/ignore_rules.ts";
import { TreeRoot } from "../files/tree_root.ts";
import type { ReadEntry, ReadProgress } from "../sync/read_tree.ts";
import { restoreTree } from "../sync/restore_tree.ts";
import { type Finding, verifyTree } from "../sync/verify_tree.ts";
import type { BrokenContent, Damage } from "../versions/scrub.ts";
import { VersionStore } from "../versions/version_store.ts";
import { type CommandBody, type Context, type Invocation, LOG_FLAGS } from "./command.ts";
import { realDirectory } from "./places.ts";
import { openPrinter } from "./printer.ts";
import type { Printer } from "./report.ts";
import { Sides } from "./sides.ts";
import { findVersions, FROM_FLAG } from "./version_places.ts";

export const verifyCommand: CommandBody = {
  description:
    "Compares every file of <dir> with the digest that was recorded of it, and every chunk of its versions with its name. A file whose content changed while neither its size nor its time did is damaged: a program that writes a file changes its time, a failing disk does not. Anything else that differs was changed by somebody, and is only counted.\n\n" +
    "With --repair, good content is taken from the versions or from the other side of a sync. A damaged file is never carried over a good one by `filesync sync`, whether or not this was run.\n\n" +
    "The exit code is 1 when something is damaged and was not repaired, or could not be read.",
  arguments: [{ name: "dir", description: "A backup, the source of a sync, or a served directory" }],
  flags: [
    { name: "repair", short: "r", description: "Put good content in the place of what is damaged" },
    FROM_FLAG,
    ...LOG_FLAGS,
  ],
  examples: [
    { command: "filesync verify /mnt/backup/documents", does: "Read a backup and its versions" },
    { command: "filesync verify ~/documents --repair", does: "Mend what the disk has spoilt" },
  ],
  run: verify,
};

async function verify(invocation: Invocation, context: Context): Promise<number> {
  const startedAt = context.clock.now();
  const directory = realDirectory(invocation.arguments[0]);
  const repair = invocation.has("repair");
  using printer = openPrinter(invocation, context);
  using store = openStore(directory, invocation.flag("from"), repair, context);
  using sides = new Sides(directory, store, context);
  const check = new Check({ directory, repair, store, sides, printer, context });
  printer.report({ type: "started", command: "verify", source: directory });
  await check.tree();
  if (store !== undefined) await check.versions(store);
  return check.finish(context.clock.now() - startedAt);
}

function openStore(
  directory: string,
  from: string | undefined,
  repair: boolean,
  context: Context,
): VersionStore | undefined {
  let place: string;
  try {
    place = findVersions(directory, from, context).store;
  } catch (error) {
    if (from === undefined && error instanceof FilesyncError && error.code === "not-found") return undefined;
    throw error;
  }
  return new VersionStore(place, { readOnly: !repair });
}

interface CheckOptions {
  directory: string;
  repair: boolean;
  store: VersionStore | undefined;
  sides: Sides;
  printer: Printer;
  context: Context;
}

class Check {
  readonly #options: CheckOptions;
  readonly #counts = { same: 0, damaged: 0, changed: 0, missing: 0, added: 0 };
  #repaired = 0;
  #unreadable = 0;
  #damagedChunks = 0;
  #repairedChunks = 0;

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  /** Reads the directory. */
  async tree(): Promise<void> {
    const { directory, repair, sides, context } = this.#options;
    using root = TreeRoot.open(directory);
    using pool = new DescribePool(DEFAULT_CHUNKING);
    const damaged: Finding[] = [];
    const findings = verifyTree(root, sides.recorded, {
      pool,
      rules: IgnoreRules.load(root),
      signal: context.signal,
      onProblem: (problem) => this.#unreadableAt(problem),
      onProgress: (progress) => this.#progress(progress),
    });
    for await (const finding of findings) {
      this.#counts[finding.verdict]++;
      if (finding.verdict === "damaged") damaged.push(finding);
    }
    for (const finding of damaged) await this.#handle(root, finding, repair);
  }

  /** Reads the versions. */
  async versions(store: VersionStore): Promise<void> {
    const { repair, context } = this.#options;
    for await (const event of store.scrub(context.signal)) {
      if (event.type === "progress") {
        this.#progress({ doneItems: 0, totalItems: 1, doneBytes: event.done, totalBytes: event.total });
        continue;
      }
      this.#damagedChunks++;
      if (event.type === "broken") {
        this.#damageAt({
          code: "digest-mismatch",
          message: `A version of ${
            named({ contents: [event.content] })
          } is lost: its chunks do not make it up`,
          hint: "Bring store.db back from a copy, and check the disk",
          permanent: true,
        });
        continue;
      }
      const { damage } = event;
      if (repair && await this.#repairChunk(store, damage)) {
        this.#repairedChunks++;
        this.#tell("info", `A damaged chunk of versions of ${named(damage)} was repaired`);
      } else {
        const paths = named(damage);
        this.#damageAt({
          code: "digest-mismatch",
          message: `A chunk of versions of ${paths} is damaged: ${damage.reason}`,
          hint: repair ? "No good copy of it was found" : "Run filesync verify --repair",
          permanent: true,
        });
      }
    }
  }

  /** Reports what was found. Returns the exit code. */
  finish(milliseconds: number): number {
    const { printer, context } = this.#options;
    const damaged = this.#counts.damaged + this.#damagedChunks;
    const repaired = this.#repaired + this.#repairedChunks;
    printer.report({
      type: "verified",
      ...this.#counts,
      damagedChunks: this.#damagedChunks,
      repaired,
      unreadable: this.#unreadable,
      seconds: milliseconds / 1_000,
    });
    if (context.signal.aborted) return EXIT.interrupted;
    return damaged > repaired || this.#unreadable > 0 ? EXIT.problems : EXIT.done;
  }

  async #handle(root: TreeRoot, { path, recorded }: Finding, repair: boolean): Promise<void> {
    const entry = recorded as FileEntry;
    if (isChanged(root, entry)) {
      // All was read before anything is repaired: this is no damage any more, but somebody's work.
      this.#counts.damaged--;
      this.#counts.changed++;
      return;
    }
    if (repair && await this.#repairFile(root, entry)) {
      this.#repaired++;
      this.#tell("info", `"${path}" was damaged, and has its good content back`);
      return;
    }
    this.#damageAt({
      code: "digest-mismatch",
      path,
      message: `"${path}" is damaged: its content changed, but neither its size nor its time did`,
      hint: repair
        ? "No good copy of it was found; if the change is meant, run touch on it"
        : "Run filesync verify --repair; if the change is meant, run touch on it",
      permanent: true,
    });
  }

  async #repairFile(root: TreeRoot, entry: FileEntry): Promise<boolean> {
    const { store, sides, context } = this.#options;
    let isDone = false;
    using anchor = root.anchor();
    const stat = anchor.lstat(entry.path);
    if (stat === undefined) return false;
    const current: ReadEntry[] = [{ entry, stat }];
    await restoreTree(root, [{ type: "put", ...putOf(entry) }], {
      current,
      signal: context.signal,
      async writeTo(sink, digest) {
        if (store?.contents.has(digest)) return await store.contents.writeTo(sink, digest);
        if (!sides.writeTo(sink, digest)) {
          throw new FilesyncError({
            code: "content-missing",
            operation: `repair "${entry.path}"`,
            reason: "no good copy of it was found",
            permanent: true,
          });
        }
      },
      onDone: () => isDone = true,
      onProblem: () => {},
    });
    return isDone;
  }

  async #repairChunk(store: VersionStore, { chunk, length, contents }: Damage): Promise<boolean> {
    for (const { digest, start } of contents) {
      const data = new Uint8Array(length);
      let at = 0;
      const found = this.#options.sides.writeTo({
        write(piece) {
          const from = Math.max(start - at, 0);
          const into = Math.max(at - start, 0);
          if (from < piece.length && into < length) {
            data.set(piece.subarray(from, Math.min(piece.length, from + length - into)), into);
          }
          at += piece.length;
        },
        truncate: () => at = 0,
      }, digest);
      if (!found) continue;
      try {
        await store.repair(chunk, data);
        return true;
      } catch (error) {
        this.#tell("warning", toFilesyncError("repair a version", error).message);
      }
    }
    return false;
  }

  #unreadableAt(problem: Problem): void {
    this.#unreadable++;
    this.#options.printer.report({ type: "problem", problem });
  }

  #damageAt(problem: Problem): void {
    this.#options.printer.report({ type: "problem", problem });
  }

  #tell(level: "info" | "warning", message: string): void {
    this.#options.printer.report({ type: "notice", level, message });
  }

  #progress(progress: ReadProgress): void {
    this.#options.printer.report({ type: "progress", ...progress, sentBytes: 0 });
  }
}

/** Whether something else stands there than what was recorded, as far as it can be told without reading it. */
function isChanged(root: TreeRoot, { path, size, mtime }: FileEntry): boolean {
  using anchor = root.anchor();
  const stat = anchor.lstat(path);
  return stat?.kind !== "file" || stat.size !== size || stat.mtime !== mtime;
}

function putOf({ path, size, mtime, mode, digest }: FileEntry) {
  return { path, size, mtime, mode, digest };
}

function named({ contents }: { contents: readonly BrokenContent[] }): string {
  const paths = [...new Set(contents.flatMap(({ paths }) => paths))];
  const some = paths.slice(0, 3).map((path) => `"${path}"`).join(", ");
  return paths.length > 3 ? `${some} and others` : some || "something that was deleted";
}
