/** The attack by power cuts: disks are copied while the program works, as a cut would leave them. @module */
import { DatabaseSync } from "node:sqlite";
import { type Program, programCommand } from "../support/program.ts";
import { TempDirectory } from "../support/temp.ts";
import { type Attack, type AttackJob, type Figures, picker, randomFrom } from "./attack.ts";
import { type Cache, type CutDisks, fileSystems, PowerDisks, whyNoDisks } from "./power_disks.ts";
import { cutPush } from "./power_push.ts";
import { cutSync } from "./power_sync.ts";

/** The disks: each of the two sides of a push or a sync has one of its own. */
export const DISKS = ["source", "destination"] as const;

/** What a series of cuts works with. */
export interface SeriesJob {
  disks: PowerDisks;
  /** A directory that no cut reaches. */
  directory: string;
  random: () => number;
  /** Aborts when the time is up. */
  signal: AbortSignal;
  measured: Measured;
}

/** What is counted. */
export interface Measured extends Record<string, number> {
  /** Cuts, by what was lost with the power. */
  written: number;
  flushed: number;
  /** Files that were compared after a cut, and those among them that had been acknowledged. */
  files: number;
  acknowledged: number;
  /** Versions that were restored after a cut. */
  restored: number;
  /** Entries that a source had lost and the destination has. */
  extra: number;
}

/** Cuts again and again while something works, and throws when what is left is not right. */
export type Series = (job: SeriesJob) => Promise<void>;

const SERIES: readonly Series[] = [cutPush, cutSync, cutPush];

const attack: Attack = {
  summary: "the power is cut while watch, serve, sync and restore work, with and without the disk's cache",
  unable: whyNoDisks,
  leastRuns: 0,
  run,
};

export default attack;

async function run({ signal, seed }: AttackJob): Promise<Figures> {
  const faults: string[] = [];
  const measured: Measured = {
    series: 0,
    written: 0,
    flushed: 0,
    files: 0,
    acknowledged: 0,
    restored: 0,
    extra: 0,
  };
  for (; !signal.aborted && faults.length < 5; measured.series++) {
    const own = seed + measured.series;
    const random = randomFrom(own);
    const series = SERIES[own % SERIES.length];
    using temp = new TempDirectory("filesync-power-");
    const fileSystem = picker(random).one(fileSystems());
    using disks = new PowerDisks(temp, DISKS, fileSystem);
    try {
      await series({ disks, directory: temp.directory("aside"), random, signal, measured });
    } catch (error) {
      const on = `${fileSystem.type} with ${fileSystem.options}`;
      faults.push(
        `${series.name} from seed ${own} on ${on}: ${error instanceof Error ? error.message : error}`,
      );
    }
  }
  return { runs: measured.written + measured.flushed, faults, measured };
}

/**
 * What starts the program on the disks as a cut left them, at the paths where they were before, with a network of
 * its own.
 */
export function commandAfter(cut: CutDisks, disks: PowerDisks): string[] {
  const binds = DISKS.map((name) => `mount --bind ${cut.path(name)} ${disks.path(name)}`);
  const script = ["ip link set lo up", ...binds, 'exec "$@"'].join("; ");
  return ["unshare", "--mount", "--net", "sh", "-ec", script, "sh", ...programCommand()];
}

/** What starts the program where one that {@linkcode commandAfter} started runs. */
export function commandBeside({ pid }: Program): string[] {
  return ["nsenter", "--target", String(pid), "--mount", "--net", ...programCommand()];
}

/** Cuts the power of all disks, or of one while everything on the other one is brought to its disk before. */
export function cutSome(
  { disks, random, measured }: Pick<SeriesJob, "disks" | "random" | "measured">,
  survivor: typeof DISKS[number] | undefined,
): CutDisks {
  const cache = picker(random).one<Cache>(["written", "flushed"]);
  disks.writeBack(random, 100);
  if (survivor !== undefined) disks.flush(survivor);
  measured[cache]++;
  return disks.cut(cache);
}

/** What is wrong with a database, in SQLite's words. */
export function databaseFaults(path: string): string[] {
  try {
    using db = new DatabaseSync(path);
    const rows = db.prepare("PRAGMA integrity_check").all() as { integrity_check: string }[];
    return rows.flatMap(({ integrity_check: found }) => found === "ok" ? [] : [`${path}: ${found}`]);
  } catch (error) {
    return [`${path}: ${error}`];
  }
}
