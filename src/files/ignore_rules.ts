/**
 * Which paths are left out, by the rules of gitignore(5).
 *
 * A rule file speaks for its own directory and everything below; where files of
 * several levels match, the deepest decides; in one file the last matching pattern does.
 * An ignored directory is never entered, so nothing below it can be brought back.
 *
 * @module
 */
import ignore from "ignore";
import { FilesyncError } from "../core/errors.ts";
import { childOf, isWithin, parentOf, ROOT, type TreePath } from "../core/path.ts";
import { stepTowards } from "./directories.ts";
import type { TreeRoot } from "./tree_root.ts";

/** The name of a rule file. Rule files are themselves kept in step, unless a rule says otherwise. */
export const RULE_FILE = ".filesyncignore";

/** Where a pattern given on the command line comes from. */
export const FLAG_SOURCE = "--ignore";

/** A pattern that ignores, and where it stands. */
export interface Rule {
  /** The path of the rule file, or {@linkcode FLAG_SOURCE}. */
  file: string;
  pattern: string;
}

/** Nobody writes longer rules; whatever this is, it is something else. */
const MAX_RULE_FILE_BYTES = 4 * 1024 * 1024;

/** Directories remembered. One costs about 100 bytes; forgetting them only costs time. */
const MAX_SCOPES = 200_000;

/** What holds for the names in one directory. Directories without a rule file share their parent's. */
interface Scope {
  /** The rule by which the directory itself is ignored, and with it all below. */
  ignoredBy?: Rule;
  /** Deepest first. */
  levels: readonly Level[];
}

/** The rules of a tree. Files are read when a path in their directory is first asked about. */
export class IgnoreRules {
  readonly #root: TreeRoot;
  readonly #flags: readonly ignore.PatternParams[];
  readonly #scopes = new Map<TreePath, Scope>();

  private constructor(root: TreeRoot, patterns: readonly string[]) {
    this.#root = root;
    this.#flags = patterns.map((pattern) => ({ pattern, mark: FLAG_SOURCE }));
  }

  /**
   * The rules of the tree at `root`.
   *
   * @param patterns Count as if they stood at the end of the root's rule file.
   * @throws {FilesyncError} When the root's rule file is there and cannot be read.
   */
  static load(root: TreeRoot, patterns: readonly string[] = []): IgnoreRules {
    const rules = new IgnoreRules(root, patterns);
    rules.reload();
    return rules;
  }

  /**
   * Whether `path` is left out.
   *
   * @throws {FilesyncError} When a rule file that has a say is there and cannot be read.
   */
  ignores(path: TreePath, isDirectory: boolean): boolean {
    return this.ruleFor(path, isDirectory) !== undefined;
  }

  /** The rule by which `path`, or a directory above it, is left out; `undefined` when it is not. */
  ruleFor(path: TreePath, isDirectory: boolean): Rule | undefined {
    if (path === ROOT) return undefined;
    const { ignoredBy, levels } = this.#scopeOf(parentOf(path));
    if (ignoredBy !== undefined || levels.length === 0) return ignoredBy;
    return decide(levels, path, isDirectory).rule;
  }

  /**
   * Tells of the names just listed in `directory`: without a rule file among them, none has
   * to be looked for. Only saves time.
   */
  enter(directory: TreePath, names: readonly string[]): void {
    if (!this.#scopes.has(directory)) this.#scopeOf(directory, names.includes(RULE_FILE));
  }

  /** Forgets what was read in `directory` and below; to be called when a rule file or the directory changed. */
  forget(directory: TreePath): void {
    for (const known of this.#scopes.keys()) {
      if (isWithin(known, directory)) this.#scopes.delete(known);
    }
  }

  /**
   * Forgets, and reads the rule file of `directory` again.
   *
   * @throws {FilesyncError} When it is there and cannot be read.
   */
  reload(directory: TreePath = ROOT): void {
    this.forget(directory);
    this.#scopeOf(directory);
  }

  #scopeOf(directory: TreePath, mayHaveRules = true): Scope {
    const known = this.#scopes.get(directory);
    if (known !== undefined) return known;
    if (this.#scopes.size >= MAX_SCOPES) this.#scopes.clear();

    let at = directory;
    let scope: Scope | undefined;
    while (scope === undefined && at !== ROOT) {
      at = parentOf(at);
      scope = this.#scopes.get(at);
    }
    if (scope === undefined) {
      const rules = [...(directory !== ROOT || mayHaveRules ? this.#read(ROOT) : []), ...this.#flags];
      scope = { levels: rules.length === 0 ? [] : [new Level(ROOT, rules)] };
      this.#scopes.set(ROOT, scope);
    }
    while (at !== directory) {
      at = stepTowards(directory, at);
      scope = this.#below(scope, at, at !== directory || mayHaveRules);
      this.#scopes.set(at, scope);
    }
    return scope;
  }

  /** What holds in `directory`, given what holds in its parent. */
  #below(scope: Scope, directory: TreePath, mayHaveRules: boolean): Scope {
    if (scope.ignoredBy !== undefined) return scope;
    const { rule, overruled } = decide(scope.levels, directory, true);
    if (rule !== undefined) return { ignoredBy: rule, levels: [] };
    const levels = overruled.length === 0
      ? scope.levels
      : scope.levels.map((level) => overruled.includes(level) ? level.except(directory) : level);
    const own = mayHaveRules ? this.#read(directory) : [];
    if (own.length > 0) return { levels: [new Level(directory, own), ...levels] };
    return levels === scope.levels ? scope : { levels };
  }

  #read(directory: TreePath): ignore.PatternParams[] {
    const path = childOf(directory, RULE_FILE);
    using anchor = this.#root.anchor();
    if (anchor.lstat(path) === undefined) return [];
    using file = anchor.openRead(path);
    if (file.stat.size > MAX_RULE_FILE_BYTES) {
      throw new FilesyncError({
        code: "too-large",
        operation: `read ${JSON.stringify(path)}`,
        reason: `it is larger than ${MAX_RULE_FILE_BYTES} bytes`,
        hint: `Shorten it, or give what it is another name: ${RULE_FILE} holds one pattern a line`,
      });
    }
    const content = new Uint8Array(file.stat.size);
    let length = 0;
    for (let read = -1; read !== 0; length += read) read = file.read(content.subarray(length), length);
    return new TextDecoder().decode(content.subarray(0, length))
      .split(/\r?\n/)
      .filter((pattern) => pattern !== "" && !pattern.startsWith("#"))
      .map((pattern) => ({ pattern, mark: path }));
  }
}

/** The patterns of one rule file, for paths below its directory. */
class Level {
  readonly #base: TreePath;
  readonly #patterns: readonly ignore.PatternParams[];
  #matcher: ignore.Ignore;
  #tests = 0;

  constructor(base: TreePath, patterns: readonly ignore.PatternParams[]) {
    this.#base = base;
    this.#patterns = patterns;
    this.#matcher = compile(patterns);
  }

  test(path: TreePath, isDirectory: boolean): ignore.TestResult {
    // The library remembers every answer; without a fresh start now and then a long run
    // would keep all paths of the tree in memory, once for each level.
    if (++this.#tests % 50_000 === 0) this.#matcher = compile(this.#patterns);
    const relative = this.#base === ROOT ? path : path.slice(this.#base.length + 1);
    return this.#matcher.test(isDirectory ? `${relative}/` : relative);
  }

  /**
   * These patterns for what is below `directory`, which they ignore and a deeper file took
   * back. By itself the library would ignore everything in it still.
   */
  except(directory: TreePath): Level {
    const relative = this.#base === ROOT ? directory : directory.slice(this.#base.length + 1);
    const literal = relative.replaceAll(/[\\*?[]/g, "\\$&");
    return new Level(this.#base, [...this.#patterns, { pattern: `!/${literal}/` }]);
  }
}

function compile(patterns: readonly ignore.PatternParams[]): ignore.Ignore {
  return ignore({ ignorecase: false }).add(patterns);
}

/** The deepest level with an opinion decides; `overruled` are those above it that would ignore. */
function decide(
  levels: readonly Level[],
  path: TreePath,
  isDirectory: boolean,
): { rule?: Rule; overruled: readonly Level[] } {
  for (let i = 0; i < levels.length; i++) {
    const { ignored, unignored, rule } = levels[i].test(path, isDirectory);
    if (ignored) return { rule: { file: rule!.mark!, pattern: rule!.pattern }, overruled: [] };
    if (unignored) {
      return { overruled: isDirectory ? levels.slice(i + 1).filter((l) => l.test(path, true).ignored) : [] };
    }
  }
  return NO_OPINION;
}

const NO_OPINION = { overruled: [] };
