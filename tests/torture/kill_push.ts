/** A push whose two sides are killed at random moments while its source changes. @module */
import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../src/core/clock.ts";
import { SourceState } from "../../src/sync/source_state.ts";
import { randomBytes } from "../support/bytes.ts";
import { PATIENCE, until } from "../support/pair.ts";
import { Program, run } from "../support/program.ts";
import { storm } from "../support/storm.ts";
import { makeTree, waitForSameTree } from "../support/trees.ts";
import { picker } from "./attack.ts";
import type { Campaign } from "./kills.ts";

/** Most kills between two times of peace: few, so that nothing heals what one of them did, or many. */
const MOST_KILLS = [2, 8, 20];

/** Times of peace in a campaign: the tree and what both sides remember grow. */
const PEACES = 6;

const TOKEN = "known-to-both";

/** What may be in `.filesync` in the end. */
const OWN_NAMES = /^(index\.db(-wal|-shm)?|chunks\.pack|lock|tmp|versions)$/;

/** Kills watch and server, or a watch that pushes into a directory, until the time is up or it has seen some peace. */
export const killPush: Campaign = async ({ directory, random, signal, measured }) => {
  const pick = picker(random);
  await using sides = new Sides(directory, 20_000 + pick.below(12_000), {
    served: pick.chance(0.8),
    keep: pick.chance(0.3),
  });
  makeTree(sides.source, { middle: randomBytes(pick.below(1e6), pick.one([300_000, 9_000_000])) });
  await storm(sides.source, { seed: pick.below(1e6), operations: 60 });
  for (let peace = 0; peace < PEACES && !signal.aborted; peace++) {
    for (let kills = 1 + pick.below(pick.one(MOST_KILLS)); kills > 0 && !signal.aborted; kills--) {
      const raging = new AbortController();
      const storming = pick.chance(0.8) && storm(sides.source, {
        seed: pick.below(1e6),
        operations: Infinity,
        signal: raging.signal,
        sleep: (ms) => systemClock.sleep(4 * ms),
      });
      sides.start();
      await systemClock.sleep(20 * 50 ** random());
      const victims = pick.one([["server"], ["watch"], ["watch"], ["server", "watch"]] as const);
      if (pick.chance(0.5)) raging.abort();
      measured.kills += await sides.kill(victims);
      if (pick.chance(0.3)) await systemClock.sleep(pick.below(200));
      raging.abort();
      await storming;
      // What happens while nobody looks is found by the next look.
      if (pick.chance(0.3)) {
        await storm(sides.source, { seed: pick.below(1e6), operations: 1 + pick.below(6) });
      }
    }
    const startedAt = performance.now();
    await sides.peace();
    measured.peaces++;
    measured.slowestMs = Math.max(measured.slowestMs, Math.round(performance.now() - startedAt));
  }
  await sides.assertClean();
};

/** Both sides of a push, with a program for each. */
class Sides implements AsyncDisposable {
  readonly source: string;
  readonly #destination: string;
  readonly #state: string;
  readonly #home: string;
  readonly #running = new Map<"server" | "watch", { program: Program; ended?: Deno.CommandStatus }>();

  constructor(
    directory: string,
    readonly port: number,
    readonly options: { served: boolean; keep: boolean },
  ) {
    this.source = `${directory}/source`;
    this.#destination = `${directory}/destination`;
    this.#state = `${directory}/state`;
    this.#home = `${directory}/home`;
    Deno.mkdirSync(this.source);
    Deno.mkdirSync(this.#destination);
  }

  /** Starts what does not run. */
  start(): void {
    const { served, keep } = this.options;
    const address = `127.0.0.1:${this.port}`;
    const to = served ? address : this.#destination;
    if (served) {
      const args = ["serve", this.#destination, "--listen", address, ...(keep ? ["--keep", "3"] : [])];
      this.#start("server", args);
    }
    // A storm on a small tree looks like an accident.
    this.#start("watch", ["watch", this.source, "--to", to, "--state", this.#state, "--allow-mass-delete"]);
  }

  /** Kills those of `victims` that run; gives how many that were. */
  async kill(victims: readonly ("server" | "watch")[]): Promise<number> {
    this.#requireRunning();
    const running = victims.flatMap((name) => this.#running.get(name) ?? []);
    for (const { program } of running) program.kill("SIGKILL");
    for (const { program } of running) await program.status;
    for (const name of victims) this.#running.delete(name);
    return running.length;
  }

  /** Lets both run until they are in step, and fails when they never are, or when anything is left to be done. */
  async peace(): Promise<void> {
    this.start();
    await this.#inStep();
    await until("nothing waits, and nothing is a problem", () => {
      this.#requireRunning();
      // As `filesync status` looks at it, from another process.
      using state = new SourceState(this.#state, { clock: systemClock, readOnly: true });
      return state.queue.size + state.queue.failedCount + state.problems().length === 0;
    });
    await this.#inStep();
    assertEquals(namesIn(`${this.#destination}/.filesync/tmp`), [], "temporary files");
  }

  /** Stops both, and fails when they leave anything behind, or know otherwise than it is. */
  async assertClean(): Promise<void> {
    for (const { program } of this.#running.values()) await program.stop();
    this.#running.clear();
    const own = `${this.#destination}/.filesync`;
    assertEquals(namesIn(own).filter((name) => !OWN_NAMES.test(name)), [], "names in .filesync");
    for (const path of [`${own}/index.db`, `${this.#state}/state.db`]) {
      using db = new DatabaseSync(path, { readOnly: true });
      assertEquals(
        db.prepare("PRAGMA integrity_check").get(),
        { __proto__: null, integrity_check: "ok" },
        path,
      );
    }
    const { code, stdout, stderr } = await run(["verify", this.#destination], { home: this.#home });
    assertEquals(code, 0, stdout + stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { program } of this.#running.values()) await program[Symbol.asyncDispose]();
  }

  #requireRunning(): void {
    for (const { program, ended } of this.#running.values()) {
      if (ended === undefined) continue;
      throw new Error(
        `${program.label} ended by itself with ${ended.code}: ${
          program.stdout.slice(-2_000)
        }${program.stderr}`,
      );
    }
  }

  async #inStep(): Promise<void> {
    const everything = { directoryMtime: true, symlinkMtime: true };
    try {
      await waitForSameTree(this.source, this.#destination, PATIENCE, everything);
    } catch (error) {
      const printed = [...this.#running.values()].map(({ program }) =>
        `${program.label}: ${(program.stdout + program.stderr).slice(-1_500)}`
      );
      throw new Error(`${(error as Error).message}\n${printed.join("\n")}`);
    }
  }

  #start(name: "server" | "watch", args: string[]): void {
    if (this.#running.has(name)) return;
    const env = { FILESYNC_TOKEN: TOKEN };
    const side: { program: Program; ended?: Deno.CommandStatus } = {
      program: Program.start([...args, "--json"], { home: this.#home, env }),
    };
    side.program.status.then((status) => side.ended = status);
    this.#running.set(name, side);
  }
}

function namesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
