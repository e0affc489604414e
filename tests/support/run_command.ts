/** The program's own commands, run as its command line runs them, in a world of their own. @module */
import { COMMANDS } from "../../src/cli/commands.ts";
import type { Context } from "../../src/cli/command.ts";
import { main } from "../../src/cli/main.ts";
import { systemClock } from "../../src/core/clock.ts";
import { type FakeContext, fakeContext } from "./command_line.ts";
import { TempDirectory } from "./temp.ts";

/** What a command left behind. */
export interface Outcome {
  code: number;
  out: string;
  err: string;
}

/** A home with nothing in it, where commands keep their states. */
export class Home implements Disposable {
  readonly #temp = new TempDirectory();
  readonly path = this.#temp.path;
  /** What the environment holds. */
  readonly environment: Record<string, string> = { HOME: this.#temp.directory("home") };

  /** Makes a directory. */
  directory(name: string): string {
    return this.#temp.directory(name);
  }

  context(changes: Partial<Context> = {}): FakeContext {
    return fakeContext({ clock: systemClock, environment: (name) => this.environment[name], ...changes });
  }

  /** Runs `filesync` with these arguments to its end. */
  async run(...args: string[]): Promise<Outcome> {
    return await this.runIn(this.context(), ...args);
  }

  async runIn(context: FakeContext, ...args: string[]): Promise<Outcome> {
    const code = await main(args, COMMANDS, context);
    return { code, out: context.printed, err: context.complained };
  }

  [Symbol.dispose](): void {
    this.#temp[Symbol.dispose]();
  }
}

/** The lines of `--json`. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}
