/** The attack by `kill -9`: every program at any moment, thousands of times. @module */
import { systemClock } from "../../src/core/clock.ts";
import { TempDirectory } from "../support/temp.ts";
import { type Attack, type AttackJob, type Figures, randomFrom } from "./attack.ts";
import { killPush } from "./kill_push.ts";
import { killRestore, killSync } from "./kill_sync.ts";

/** What a campaign works with. */
export interface CampaignJob {
  /** An empty directory of its own. */
  directory: string;
  random: () => number;
  /** Aborts when the time is up. */
  signal: AbortSignal;
  /** What is counted over all campaigns. */
  measured: Measured;
}

/** What is counted. */
export interface Measured extends Record<string, number> {
  campaigns: number;
  kills: number;
  /** Times that everything had to be right by itself. */
  peaces: number;
  /** The longest that took, milliseconds. */
  slowestMs: number;
}

/** Kills something again and again, and throws when it is not right afterwards. */
export type Campaign = (job: CampaignJob) => Promise<void>;

/** The push most of all: it is what runs day and night. */
const CAMPAIGNS: readonly Campaign[] = [killPush, killSync, killPush, killRestore, killPush];

const attack: Attack = {
  summary: "watch, serve, sync and restore killed at any moment while everything changes",
  unable: () => Deno.build.os === "windows" ? "nothing is killed that way on Windows" : undefined,
  leastRuns: 0,
  run,
};

export default attack;

async function run({ signal, seed }: AttackJob): Promise<Figures> {
  const faults: string[] = [];
  const measured: Measured = { campaigns: 0, kills: 0, peaces: 0, slowestMs: 0 };
  for (; !signal.aborted && faults.length < 5; measured.campaigns++) {
    const own = seed + measured.campaigns;
    const campaign = CAMPAIGNS[own % CAMPAIGNS.length];
    const temp = new TempDirectory("filesync-kills-");
    try {
      await campaign({ directory: temp.path, random: randomFrom(own), signal, measured });
      temp[Symbol.dispose]();
    } catch (error) {
      faults.push(
        `${campaign.name} from seed ${own}, left in ${temp.path}, ${
          new Date(systemClock.now()).toISOString()
        }: ${error instanceof Error ? error.message : error}`,
      );
    }
  }
  const { kills, ...others } = measured;
  return { runs: kills, faults, measured: others };
}
