/** Walking a share of a tree, in one thread. @module */
import { osCode, toFilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import { IgnoreRules, RULE_FILE } from "../files/ignore_rules.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { type DirectoryReader, NotUnicode, openDirectoryReader } from "./directory_reader.ts";
import { ListingWriter } from "./listing.ts";
import { type Shard, shareOf } from "./shard.ts";

/** What is walked, and how. */
export interface WalkOptions {
  /** Absolute real path, `/`-separated, without a slash at the end. */
  root: string;
  /** Patterns of what is left out, beside those in rule files. */
  ignore: readonly string[];
  oneFileSystem: boolean;
  shard: Shard;
  /**
   * Trees below the root that are scanned for themselves, by absolute path: where rules leave one out, it is not
   * walked, but still said to be there. @default {[]}
   */
  apart?: readonly string[];
}

/** A directory that is still to be walked. */
export interface Task {
  /** Below the root, which is the empty string. */
  below: string;
  /** Whether rules may leave out some of it. */
  ruled: boolean;
}

/** What came of a share of the work. */
export interface Walked {
  /** Listings of what was read. */
  packed: Uint8Array<ArrayBuffer>;
  /** Directories that were found and not walked yet. */
  left: Task[];
  /** Directories that could not be read, by absolute path: what is in them is unknown. */
  unread: string[];
  problems: Problem[];
}

/** Entries after which a walker stops and gives what it has: some 20 ms of work. */
const MOST_ENTRIES = 8192;

/** How often a directory is listed that changes meanwhile; one that never rests is taken as it comes. */
const MOST_TRIES = 4;

/** Walks directories, deepest first, so that little is left to remember. */
export class Walker implements Disposable {
  readonly #options: WalkOptions;
  readonly #reader: DirectoryReader;
  readonly #writer = new ListingWriter();
  /** Takes the listings that belong to other parts of the tree. */
  readonly #scrap = new ListingWriter();
  /** Directories that hold trees apart, and those themselves, below the root. */
  readonly #apart: ReadonlySet<string>;
  /** Opened when a rule is first met. */
  #rules: { rules: IgnoreRules; root: TreeRoot } | undefined;

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#reader = openDirectoryReader(options.root, options.oneFileSystem);
    const names = (options.apart ?? []).map((path) => path.slice(options.root.length + 1).split("/"));
    this.#apart = new Set(names.flatMap((path) => path.map((_, i) => path.slice(0, i + 1).join("/"))));
  }

  /**
   * Walks `tasks` and what is below them until there is enough for one answer.
   *
   * @param shallow Whether all of `tasks` are listed, and what is below them is only told of.
   */
  walk(tasks: readonly Task[], shallow = false): Walked {
    const stack = [...tasks];
    const answer: Walked = { packed: new Uint8Array(), left: [], unread: [], problems: [] };
    let steps = 0;
    for (let task = stack.pop(); task !== undefined; task = stack.pop()) {
      this.#visit(task, shallow ? answer.left : stack, answer);
      // Directories that give nothing (foreign, unreadable) are work too.
      if (!shallow && this.#writer.entries + 4 * ++steps >= MOST_ENTRIES) break;
    }
    for (const task of stack) answer.left.push(task);
    this.#scrap.take();
    answer.packed = this.#writer.take();
    return answer;
  }

  #visit(task: Task, found: Task[], answer: Walked): void {
    const { root, shard } = this.#options;
    const { below } = task;
    const share = shareOf(below, shard);
    if (share === "foreign") return;
    const path = below === "" ? root : `${root}/${below}`;
    const pathOf = (name: string) => below === "" ? name : `${below}/${name}`;
    const before = found.length;
    const problems = answer.problems.length;
    let ruled = task.ruled || this.#options.ignore.length > 0;
    const read = (mayChange = false) => {
      if (ruled) this.#loadRules(below);
      return this.#reader.read(
        { path, below, asks: ruled, stopAt: ruled ? undefined : RULE_FILE, mayChange },
        share === "mine" ? this.#writer : this.#scrap,
        {
          ignores: (name, isDirectory) => {
            const path = pathOf(name);
            return !(isDirectory && this.#apart.has(path)) && this.#ignores(path, isDirectory);
          },
          directory: (name) => {
            const path = pathOf(name);
            const isLeftOut = ruled && this.#apart.has(path) && this.#ignores(path, true);
            if (!isLeftOut) found.push({ below: path, ruled });
          },
          problem: (name, reason) => answer.problems.push(problemWith(`${path}/${name}`, reason)),
        },
      );
    };
    try {
      for (let tries = 1;; tries++) {
        const outcome = read(tries >= MOST_TRIES);
        if (outcome !== "stopped" && outcome !== "changed") break;
        found.length = before;
        answer.problems.length = problems;
        if (outcome === "stopped") ruled = true;
      }
    } catch (error) {
      found.length = before;
      answer.problems.length = problems;
      // It went since its parent was listed; the next scan finds that out there.
      const isGone = ["ENOENT", "ENOTDIR", "ELOOP"].includes(osCode(error) ?? "");
      if (isGone && below !== "") return;
      answer.unread.push(path);
      answer.problems.push(problemWith(path || "/", error));
    }
  }

  #ignores(path: string, isDirectory: boolean): boolean {
    return this.#rules!.rules.ignores(path as TreePath, isDirectory);
  }

  /** Reads the rules for a directory now: while it is listed nothing else may be asked of the system. */
  #loadRules(below: string): void {
    if (this.#rules === undefined) {
      const root = TreeRoot.open(this.#options.root || "/");
      this.#rules = { root, rules: IgnoreRules.load(root, this.#options.ignore) };
    }
    this.#rules.rules.enter(below as TreePath, [RULE_FILE]);
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
    this.#rules?.root[Symbol.dispose]();
  }
}

function problemWith(path: string, reason: unknown): Problem {
  const operation = `read ${JSON.stringify(path)}`;
  if (reason instanceof NotUnicode) {
    return {
      code: "bad-path",
      path,
      message: `Cannot ${operation}: ${reason.message}`,
      hint: "Rename it; until then it, and what is in it, is missing in the catalog",
      permanent: true,
    };
  }
  return problemOf(toFilesyncError(operation, reason), path);
}
