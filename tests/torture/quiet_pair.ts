/**
 * A server and what is pushed to it, both the real program, saying nothing: for trees of which a line for
 * each file would be more than the files. Memory is what the kernel says was the most.
 *
 * @module
 */
import { systemClock } from "../../src/core/clock.ts";
import { Program, type ProgramOptions } from "../support/program.ts";
import { TempDirectory } from "../support/temp.ts";

/** How often the memory of a program that may end is looked at, milliseconds. */
const LOOK_MS = 50;

/** How a push went. */
export interface PushFigures {
  code: number;
  seconds: number;
  /** Most memory that it had. */
  peakMiB: number;
  /** What it complained of. */
  stderr: string;
}

/** See the module's comment. Disposing of it stops the server and removes all trees. */
export class QuietPair implements AsyncDisposable {
  readonly temp: TempDirectory;
  /** Where the destination's tree is. */
  readonly served: string;
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly server: Program;
  readonly #options: ProgramOptions;

  private constructor(temp: TempDirectory, served: string, url: string, server: Program, home: string) {
    this.temp = temp;
    this.served = served;
    this.url = url;
    this.server = server;
    this.#options = { home };
  }

  /** Starts the server. */
  static async start(): Promise<QuietPair> {
    const temp = new TempDirectory();
    const served = temp.directory("served");
    const home = temp.directory("home");
    const server = Program.start(["serve", served, "--listen", "127.0.0.1:0", "--quiet"], { home });
    try {
      const [url] = await server.line(/http:\/\/127\.0\.0\.1:\d+/);
      return new QuietPair(temp, served, url, server, home);
    } catch (error) {
      await server[Symbol.asyncDispose]();
      temp[Symbol.dispose]();
      throw error;
    }
  }

  /** Starts pushing `source`. */
  watch(source: string, ...args: string[]): Program {
    return Program.start(["watch", source, "--to", this.url, "--quiet", ...args], this.#options);
  }

  /** Pushes what is in `source` now. */
  async push(source: string, ...args: string[]): Promise<PushFigures> {
    const began = performance.now();
    await using program = this.watch(source, "--once", ...args);
    let peakMiB = 0;
    const ended = new AbortController();
    program.status.finally(() => ended.abort());
    while (!ended.signal.aborted) {
      peakMiB = Math.max(peakMiB, peakOf(program.pid));
      await systemClock.sleep(LOOK_MS, ended.signal).catch(() => {});
    }
    const { code } = await program.status;
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    return { code, seconds, peakMiB, stderr: program.stderr };
  }

  /** Most memory that the server ever had, MiB. */
  get serverPeakMiB(): number {
    return peakOf(this.server.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.temp[Symbol.dispose]();
  }
}

/** The most memory that a process ever had, MiB; 0 when it has ended. */
export function peakOf(pid: number): number {
  try {
    const [, kilobytes = "0"] = /^VmHWM:\s+(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ??
      [];
    return Math.round(Number(kilobytes) / 1_024);
  } catch {
    return 0;
  }
}

/** The text of a file; `undefined` when there is none. */
export function textAt(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}
