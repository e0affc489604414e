/**
 * A source directory, a destination that the program serves, and a {@linkcode FaultProxy} between
 * the two: the scene of the end-to-end tests.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { systemClock } from "../../src/core/clock.ts";
import { FaultProxy } from "./fault_proxy.ts";
import {
  type JsonLine,
  type Program,
  pushOnce,
  run,
  type RunningServer,
  startServer,
  startWatch,
} from "./program.ts";
import { TempDirectory } from "./temp.ts";
import { type SameTreeOptions, snapshotTree, treeDifferences, waitForSameTree } from "./trees.ts";

/** Milliseconds that being in step may take: these tests are about what happens, not how fast. */
export const PATIENCE = 180_000;

/** Everything that travels: times of directories and of links too. */
const EVERYTHING: SameTreeOptions = { directoryMtime: true, symlinkMtime: true };

/** Milliseconds without a byte after which the wire is taken for quiet; the canary and the retries are not on it. */
const QUIET_MS = 700;

/** Settings of {@linkcode Pair.push} and {@linkcode Pair.watch}. */
export interface PairRunOptions {
  /** More arguments of `watch`. */
  args?: string[];
  env?: Record<string, string>;
  /** For a run that is to end. @default {120_000} */
  timeoutMs?: number;
}

/** See the module's comment. Everything is gone when it is disposed of. */
export class Pair implements AsyncDisposable {
  readonly source: string;
  readonly destination: string;
  /** Where the watcher keeps its state. */
  readonly state: string;
  readonly proxy: FaultProxy;
  readonly #temp: TempDirectory;
  readonly #programs: AsyncDisposable[] = [];
  #server: RunningServer;

  private constructor(temp: TempDirectory, server: RunningServer, seed: number) {
    this.#temp = temp;
    this.source = temp.directory("source");
    this.destination = temp.directory("destination");
    this.state = `${temp.path}/state`;
    this.#server = server;
    this.proxy = new FaultProxy(server.url, { seed });
  }

  /** Starts a server on an empty directory. */
  static async start(seed = 1): Promise<Pair> {
    const temp = new TempDirectory("filesync-pair-");
    try {
      const home = temp.directory("home");
      return new Pair(temp, await startServer(temp.directory("destination"), { home }), seed);
    } catch (error) {
      temp[Symbol.dispose]();
      throw error;
    }
  }

  /** A directory for whatever else the test needs. */
  directory(name: string): string {
    return this.#temp.directory(name);
  }

  /** The home directory of every program. */
  get home(): string {
    return this.#temp.directory("home");
  }

  get server(): RunningServer {
    return this.#server;
  }

  /** Kills the server as a power cut would, or the system when it is out of memory. */
  async killServer(): Promise<void> {
    this.#server.program.kill("SIGKILL");
    await this.#server.program.status;
  }

  /** Starts the server again, on the same port. */
  async restartServer(): Promise<void> {
    const { port } = this.#server;
    this.#server = await startServer(this.destination, { home: this.home, port });
  }

  /** Runs `watch --once` through the proxy. */
  push({ args, env, timeoutMs }: PairRunOptions = {}): ReturnType<typeof pushOnce> {
    const { home, state } = this;
    return pushOnce(this.source, this.proxy.url, this.#server.token, { home, state, args, env, timeoutMs });
  }

  /** Starts `watch` through the proxy. */
  watch({ args, env }: PairRunOptions = {}): Program {
    const { home, state } = this;
    const program = startWatch(this.source, this.proxy.url, this.#server.token, { home, state, args, env });
    this.#programs.push(program);
    return program;
  }

  /** Starts `watch` and waits until the destination is like the source. */
  async watchInStep(options?: PairRunOptions, same?: SameTreeOptions): Promise<Program> {
    const program = this.watch(options);
    await program.event("connection", { state: "online" });
    await this.inStep(same);
    return program;
  }

  /** Waits until the destination is like the source. */
  async inStep(options: SameTreeOptions = {}, timeoutMs = PATIENCE): Promise<void> {
    await waitForSameTree(this.source, this.destination, timeoutMs, { ...EVERYTHING, ...options });
  }

  /** Fails unless the destination is like the source now. */
  async assertInStep(options: SameTreeOptions = {}): Promise<void> {
    const [source, destination] = [await snapshotTree(this.source), await snapshotTree(this.destination)];
    assertEquals(treeDifferences(source, destination, { ...EVERYTHING, ...options }), []);
  }

  /** Waits until nothing crosses the proxy. */
  async quiet(): Promise<void> {
    for (let seen = -1, now = this.bytes; now !== seen; now = this.bytes) {
      seen = now;
      await systemClock.sleep(QUIET_MS);
    }
  }

  /** Bytes that crossed the proxy, in both directions. */
  get bytes(): number {
    const { up, down } = this.proxy.counts();
    return up + down;
  }

  /** What `filesync status` says of the push. */
  async status(): Promise<JsonLine> {
    const { json: [status] } = await run(["status", "--state", this.state, "--json"], { home: this.home });
    return status;
  }

  /** Names of what was left half-written at the destination. */
  get leftovers(): string[] {
    try {
      return [...Deno.readDirSync(`${this.destination}/.filesync/tmp`)].map(({ name }) => name);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Disposing of a temporary directory under a program that still writes would fail.
    await Promise.all([...this.#programs, this.#server].map((program) => program[Symbol.asyncDispose]()));
    await this.proxy[Symbol.asyncDispose]();
    this.#temp[Symbol.dispose]();
  }
}

/** Bytes of all files in a tree. */
export async function treeBytes(dir: string): Promise<number> {
  const standing = [...(await snapshotTree(dir, { content: false })).values()];
  return standing.reduce((sum, { size = 0 }) => sum + size, 0);
}

/** Waits until `condition` holds; fails with `what` when it never does. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = PATIENCE,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${what}`);
    await systemClock.sleep(25);
  }
}
