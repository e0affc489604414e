/**
 * A directory and its backup, which the program keeps in step: the scene of the end-to-end tests of
 * `sync`. The backup is a directory beside its versions, or one that is served.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { VersionStore } from "../../src/versions/version_store.ts";
import { type JsonLine, Program, run, type RunningServer, type RunResult, startServer } from "./program.ts";
import { TempDirectory } from "./temp.ts";
import { assertSameTree, type SameTreeOptions, snapshotTree } from "./trees.ts";

/** Everything that is synced: times of directories and links too. */
const EVERYTHING: SameTreeOptions = { directoryMtime: true, symlinkMtime: true };

/** Settings of {@linkcode SyncScene}. */
export interface SyncSceneOptions {
  /** The directory of the backup and its versions. @default {a temporary one} */
  backups?: string;
  /** What starts the program, in place of what the tests were started with; such as another user. */
  command?: string[];
}

/** See the module's comment. Everything is gone when it is disposed of. */
export class SyncScene implements AsyncDisposable {
  readonly #temp = new TempDirectory("filesync-sync-");
  readonly #command: string[] | undefined;
  readonly #programs: AsyncDisposable[] = [];
  #server: RunningServer | undefined;
  /** What `sync` is given as its backup, when it is not the directory; such as a proxy in front of a server. */
  address: string | undefined;
  readonly home = this.#temp.directory("home");
  readonly source: string;
  readonly backup: string;
  /** Beside the backup. */
  readonly versions: string;

  constructor({ backups = this.#temp.directory("backups"), command }: SyncSceneOptions = {}) {
    this.#command = command;
    this.source = this.#temp.directory("source");
    this.backup = `${backups}/backup`;
    this.versions = `${backups}/__versions__/backup`;
  }

  /** Where everything is that goes with the test. */
  get path(): string {
    return this.#temp.path;
  }

  /** The server of the backup. */
  get server(): RunningServer {
    return this.#server!;
  }

  /** Has the backup served from now on, again on the port where it was. */
  async serve(...args: string[]): Promise<RunningServer> {
    const { home, backup } = this;
    Deno.mkdirSync(backup, { recursive: true });
    this.#server = await startServer(backup, { home, port: this.#server?.port, args });
    this.#programs.push(this.#server);
    this.address ??= this.#server.url;
    return this.#server;
  }

  /** Runs `filesync` to its end. */
  run(...args: string[]): Promise<RunResult> {
    return run(args, this.#options());
  }

  /** Starts `filesync`. */
  start(...args: string[]): Program {
    const program = Program.start(args, this.#options());
    this.#programs.push(program);
    return program;
  }

  /** Runs `filesync sync --json` to its end. */
  sync(...args: string[]): Promise<RunResult> {
    return this.run(...this.#sync(args));
  }

  /** Starts `filesync sync --json`. */
  startSync(...args: string[]): Program {
    return this.start(...this.#sync(args));
  }

  /** Runs `filesync sync`, and fails unless it did all it had to do. */
  async syncWell(...args: string[]): Promise<RunResult> {
    const result = await this.sync(...args);
    assertEquals([result.code, result.stderr, problemsIn(result.json)], [0, "", []]);
    return result;
  }

  /** Fails unless both trees are the same now. */
  async assertInStep(options: SameTreeOptions = {}): Promise<void> {
    await assertSameTree(this.source, this.backup, { ...EVERYTHING, ...options });
  }

  /** Fails when something was left half-written, in a tree or in the versions. */
  async assertClean(): Promise<void> {
    const left = [this.source, this.backup].flatMap((tree) =>
      namesIn(`${tree}/.filesync/tmp`).map((name) => `${tree}/.filesync/tmp/${name}`)
    );
    assertEquals(left, []);
    await this.assertVersionsGood();
  }

  /** Fails when a chunk of the versions is damaged or missing. */
  async assertVersionsGood(): Promise<void> {
    if (!this.hasVersions) return;
    using store = new VersionStore(this.versions, { readOnly: true });
    for await (const event of store.scrub()) assertEquals(event.type, "progress", JSON.stringify(event));
  }

  get hasVersions(): boolean {
    return namesIn(this.versions).length > 0;
  }

  /** The digests of all files on both sides. */
  async contents(): Promise<Set<string>> {
    const trees = [await snapshotTree(this.source), await snapshotTree(this.backup)];
    return new Set(trees.flatMap((tree) => [...tree.values()].flatMap(({ sha256 }) => sha256 ?? [])));
  }

  /** Those of `contents` that are on neither side and in no version. */
  async lost(contents: Iterable<string>): Promise<string[]> {
    const standing = await this.contents();
    using store = this.hasVersions ? new VersionStore(this.versions, { readOnly: true }) : undefined;
    return [...contents].filter((digest) =>
      !standing.has(digest) && !store?.contents.has(digest as Parameters<typeof store.contents.has>[0])
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map((program) => program[Symbol.asyncDispose]()));
    this.#temp[Symbol.dispose]();
  }

  #sync(args: string[]): string[] {
    return ["sync", this.source, this.address ?? this.backup, "--json", ...args];
  }

  #options() {
    const env: Record<string, string> = this.#server === undefined
      ? {}
      : { FILESYNC_TOKEN: this.#server.token };
    return { home: this.home, command: this.#command, env };
  }
}

/** The messages of all problems in what `--json` printed. */
export function problemsIn(json: readonly JsonLine[]): string[] {
  return json.flatMap(({ type, problem }) => type === "problem" ? [problem.message] : []);
}

/** The last totals in what `--json` printed. */
export function totalsIn(json: readonly JsonLine[]): JsonLine | undefined {
  return json.findLast(({ type }) => type === "totals");
}

function namesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
