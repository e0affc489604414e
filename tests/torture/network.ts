/** The attack by the network: everything between a client and its server that can go wrong, all at once. @module */
import { systemClock } from "../../src/core/clock.ts";
import { FaultGateway, MISDEEDS } from "../support/fault_gateway.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { type Program, run as runProgram, startServer, startWatch } from "../support/program.ts";
import { storm } from "../support/storm.ts";
import { TempDirectory } from "../support/temp.ts";
import { makeTree, waitForSameTree } from "../support/trees.ts";
import { randomBytes } from "../support/bytes.ts";
import { type Attack, type AttackJob, type Figures, picker, randomFrom } from "./attack.ts";
import { faketime, type JumpingClock } from "./faketime.ts";

/** Milliseconds after which both sides must be equal when nothing is done to the network any more. */
const PATIENCE_MS = 120_000;

/** How long the network is bad before both sides are compared, milliseconds; less when the time is up. */
const ROUND_MS = 8_000;

/** The part of all requests that something happens to. */
const SHARE = 0.2;

const DAY_S = 86_400;

/** Everything that travels. */
const SAME = { directoryMtime: true, symlinkMtime: true };

const attack: Attack = {
  summary:
    "requests and answers lost, cut, doubled, swapped and refused, clocks set by a day: all arrives whole",
  run,
};

export default attack;

async function run({ signal, seed }: AttackJob): Promise<Figures> {
  const random = randomFrom(seed);
  const { one, chance, below } = picker(random);
  using temp = new TempDirectory("filesync-network-");
  const [source, destination, home] = ["source", "destination", "home"].map((name) => temp.directory(name));
  const clocks: Record<"client" | "server", JumpingClock | undefined> = {
    client: faketime(`${temp.path}/client-clock`),
    server: faketime(`${temp.path}/server-clock`),
  };
  await using server = await startServer(destination, { home, env: clocks.server?.env });
  await using gateway = new FaultGateway(server.url, { random });
  await using proxy = new FaultProxy(gateway.url, { seed });
  gateway.retryAfter = () => one([undefined, "0", "1", "soon", new Date(Date.now() + 1_500).toUTCString()]);
  const state = `${temp.path}/state`;
  await using watch = startWatch(source, proxy.url, server.token, { home, state, env: clocks.client?.env });
  await watch.event("connection", { state: "online" });

  const faults: string[] = [];
  const measured: Record<string, number> = { rounds: 0, changes: 0, clockJumps: 0, slowestRecoveryMs: 0 };
  for (let round = 0; faults.length === 0 && (round === 0 || !signal.aborted); round++) {
    const calm = AbortSignal.any([signal, AbortSignal.timeout(ROUND_MS)]);
    gateway.plan = () => chance(SHARE) ? one(MISDEEDS) : undefined;
    const trouble = (async () => {
      while (!calm.aborted) {
        await systemClock.sleep(100 + below(900));
        disturb(proxy, chance, below);
        if (chance(0.2)) {
          measured.clockJumps += jump(one([clocks.client, clocks.server]), one([-DAY_S, 0, DAY_S]));
        }
      }
    })();
    makeTree(source, { [`big-${round % 3}`]: randomBytes(seed + round, below(3 << 20)) });
    // Some changes come however short the time is.
    for (let i = 0; i < 2 || !calm.aborted; i++) {
      const counts = await storm(source, {
        seed: below(2 ** 31),
        operations: 40,
        sleep: (ms) => systemClock.sleep(2 * ms),
      });
      measured.changes += 40 - counts.skipped;
    }
    await trouble;
    gateway.plan = () => undefined;
    calmDown(proxy);
    for (const clock of Object.values(clocks)) clock?.set(0);
    const began = performance.now();
    try {
      await waitForSameTree(source, destination, PATIENCE_MS, SAME);
    } catch (error) {
      faults.push(
        `seed ${seed}, round ${round}: ${error instanceof Error ? error.message : error}\n${tailOf(watch)}`,
      );
    }
    measured.rounds++;
    measured.slowestRecoveryMs = Math.max(measured.slowestRecoveryMs, Math.round(performance.now() - began));
  }

  const { json: [status] } = await runProgram(["status", "--state", state, "--json"], { home });
  if (faults.length === 0 && status.problems.length > 0) {
    faults.push(`problems are left: ${JSON.stringify(status.problems)}`);
  }
  for (const program of [watch, server.program]) {
    const { code } = await program.stop();
    if (code !== 130) faults.push(`${program.label} ended with ${code}`);
    if (/^ {4}at |file:\/\/\//m.test(program.stdout + program.stderr)) {
      faults.push(`${program.label} showed a stack`);
    }
  }
  Object.assign(measured, { requests: gateway.requests, misdeeds: gateway.misdeeds }, gateway.counts);
  return { runs: measured.changes, faults, measured };
}

/** Does something to the connections themselves. */
function disturb(proxy: FaultProxy, chance: (p: number) => boolean, below: (most: number) => number): void {
  if (chance(0.15)) proxy.drop();
  if (chance(0.1)) proxy.halfClose(chance(0.5) ? "up" : "down");
  if (chance(0.1)) proxy.truncate(chance(0.5) ? "up" : "down", 1 + below(200_000));
  if (chance(0.1)) {
    proxy.freeze();
    setTimeout(() => proxy.thaw(), below(700));
  }
  proxy.delay = chance(0.3) ? below(60) : 0;
}

function calmDown(proxy: FaultProxy): void {
  proxy.delay = 0;
  proxy.thaw();
}

/** Sets a clock, and says whether there is one to set. */
function jump(clock: JumpingClock | undefined, seconds: number): number {
  clock?.set(seconds);
  return clock === undefined ? 0 : 1;
}

function tailOf({ stdout }: Program): string {
  return stdout.split("\n").slice(-30).map((line) => line.slice(0, 500)).join("\n");
}
