/** The attack by a crowd: many watchers push to one server at once, each into its own sub-directory. @module */
import { systemClock } from "../../src/core/clock.ts";
import type { Program } from "../support/program.ts";
import type { Attack, AttackJob, Figures } from "./attack.ts";
import { peakOf, QuietPair, textAt } from "./quiet_pair.ts";

/** Watchers for each second that there is, and how many at least and at most. */
const CLIENTS = { aSecond: 0.1, least: 4, most: 50 };

/** Files of each, for each second, and at most. */
const FILES = { aSecond: 10, most: 2_000 };

/** Files that each changes afterwards, all at the same time, in each round. */
const CHANGED = 20;
const ROUNDS = 3;

/** Most memory that the server may have, and a watcher. */
const MOST_MIB = 400;

/** The last may take so many times as long as the one in the middle, and some seconds for the machine. */
const UNFAIR = { times: 3, seconds: 5 };

/** Longest that anything is waited for, milliseconds. */
const PATIENCE_MS = 900_000;

const attack: Attack = {
  summary: "50 watchers push into one server at once: nothing is lost, none starves, memory is bounded",
  unable: () => Deno.build.os === "linux" ? undefined : "memory is told by /proc only",
  run,
};

export default attack;

/** Somebody who pushes. */
interface Client {
  name: string;
  source: string;
  program: Program;
}

async function run({ seconds, seed }: AttackJob): Promise<Figures> {
  const count = Math.round(Math.min(CLIENTS.most, Math.max(CLIENTS.least, seconds * CLIENTS.aSecond)));
  const files = Math.round(Math.min(FILES.most, seconds * FILES.aSecond));
  await using pair = await QuietPair.start();
  await using programs = new AsyncDisposableStack();
  const faults: string[] = [];
  const measured: Record<string, number> = { clients: count, files: count * files };
  const contents = (name: string, n: number, round: number) =>
    `${seed} ${name} ${n} ${round}\n`.repeat(1 + n % 20);
  const write = (source: string, name: string, from: number, to: number, round: number) => {
    for (let n = from; n < to; n++) Deno.writeTextFileSync(`${source}/${n}`, contents(name, n, round));
  };

  const names = Array.from({ length: count }, (_, i) => `client-${i}`);
  for (const name of names) write(pair.temp.directory(name), name, 0, files, 0);
  const began = performance.now();
  const clients = names.map((name): Client => {
    const source = `${pair.temp.path}/${name}`;
    return { name, source, program: programs.use(pair.watch(source, "--into", `crowd/${name}`)) };
  });

  /** Waits until everybody's first files are as they were in `round`; tells of the seconds that it took each. */
  const arrive = async (what: string, since: number, upTo: number, round: number) => {
    const next = new Map(clients.map((client) => [client, 0]));
    const took: number[] = [];
    while (next.size > 0) {
      for (const [client, at] of next) {
        const { name } = client;
        let n = at;
        while (n < upTo && textAt(`${pair.served}/crowd/${name}/${n}`) === contents(name, n, round)) n++;
        next.set(client, n);
        if (n < upTo) continue;
        next.delete(client);
        took.push((performance.now() - since) / 1_000);
      }
      if (performance.now() - since > PATIENCE_MS) {
        const [[{ name, program }, n]] = next;
        faults.push(
          `${what}: ${next.size} did not arrive, such as ${name}, file ${n}: ${program.stderr.slice(0, 300)}`,
        );
        return;
      }
      await systemClock.sleep(10);
    }
    const [median, slowest] = [took[took.length >> 1], took.at(-1)!].map((time) =>
      Math.round(time * 10) / 10
    );
    measured[`${what}MedianSeconds`] = Math.max(median, measured[`${what}MedianSeconds`] ?? 0);
    measured[`${what}SlowestSeconds`] = Math.max(slowest, measured[`${what}SlowestSeconds`] ?? 0);
    if (slowest > UNFAIR.times * median + UNFAIR.seconds) {
      faults.push(`${what}: the last had to wait for ${slowest} s, the one in the middle for ${median} s`);
    }
  };

  await arrive("first", began, files, 0);
  for (let round = 1; round <= ROUNDS && faults.length === 0; round++) {
    const since = performance.now();
    for (const { name, source } of clients) write(source, name, 0, Math.min(CHANGED, files), round);
    await arrive("change", since, Math.min(CHANGED, files), round);
  }

  measured.serverMiB = pair.serverPeakMiB;
  measured.watcherMiB = Math.max(...clients.map(({ program }) => peakOf(program.pid)));
  for (const what of ["serverMiB", "watcherMiB"]) {
    if (measured[what] > MOST_MIB) faults.push(`${what}: ${measured[what]}, more than ${MOST_MIB}`);
  }
  await Promise.all(clients.map(async ({ name, program }) => {
    const { code } = await program.stop(60_000);
    // Who has to wait too long for an answer says so, and asks again.
    const complaints = program.stderr.replace(/^offline: .*\n/gm, "");
    measured.outOfReach = (measured.outOfReach ?? 0) + (program.stderr.match(/^offline/gm)?.length ?? 0);
    if (code !== 130 || complaints !== "") {
      faults.push(`${name} ended with ${code}: ${program.stderr.slice(0, 300)}`);
    }
  }));
  for (const { name } of clients) {
    const there = [...Deno.readDirSync(`${pair.served}/crowd/${name}`)].length;
    if (there !== files) faults.push(`${name}: ${there} files in place of ${files}`);
  }
  return { runs: count * (files + ROUNDS * CHANGED), faults, measured };
}
