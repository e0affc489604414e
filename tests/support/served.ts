/** The program's own `serve`, as its command line runs it. @module */
import { systemClock } from "../../src/core/clock.ts";
import type { FakeContext } from "./command_line.ts";
import type { Home, Outcome } from "./run_command.ts";

/** A server that runs until the test ends: `serve`, or another command that listens. */
export class Served implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly context: FakeContext;
  readonly #ended: Promise<Outcome>;

  constructor(home: Home, ...args: string[]) {
    this.context = home.context({ signal: this.#stop.signal });
    this.#ended = home.runIn(this.context, ...(args[0] === "catalog" ? args : ["serve", ...args]));
  }

  /** The object or the line that says that it listens. */
  async listening(): Promise<string> {
    for (const end = systemClock.now() + 30_000; !this.context.printed.includes("listening");) {
      if (systemClock.now() > end) throw new Error(`It does not listen: ${this.context.complained}`);
      await systemClock.sleep(10);
    }
    return this.context.printed;
  }

  async url(): Promise<string> {
    return /http:\/\/[^\s"]+/.exec(await this.listening())![0];
  }

  async stop(): Promise<Outcome> {
    this.#stop.abort();
    return await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
