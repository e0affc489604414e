/**
 * Attacks the program for as long as it is told to: `deno task torture <seconds> [names]`. Each attack of
 * `tests/torture` gets that time; with no names all of them, one after the other. `--seed N` goes the way of
 * an earlier run, as far as the machine allows. Exits with 1 when anything went wrong.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool of the command line
import type { Attack, Figures } from "../tests/torture/attack.ts";
import disk from "../tests/torture/disk.ts";
import kills from "../tests/torture/kills.ts";
import network from "../tests/torture/network.ts";
import powercut from "../tests/torture/powercut.ts";
import requests from "../tests/torture/requests.ts";
import scaleCrowd from "../tests/torture/scale_crowd.ts";
import scaleFiles from "../tests/torture/scale_files.ts";
import scaleShapes from "../tests/torture/scale_shapes.ts";
import sockets from "../tests/torture/sockets.ts";
import swaps from "../tests/torture/swaps.ts";

/** All attacks by name. */
export const ATTACKS: Record<string, Attack> = {
  swaps,
  requests,
  sockets,
  kills,
  powercut,
  network,
  disk,
  "scale-files": scaleFiles,
  "scale-shapes": scaleShapes,
  "scale-crowd": scaleCrowd,
};

/** What came of an attack, in one line and one for each fault. */
export function textOf(name: string, seconds: number, { runs, faults, measured }: Figures): string {
  const numbers = Object.entries(measured).map(([what, number]) => `${what} ${number}`);
  return [`${name}: ${seconds} s, ${runs} runs, ${faults.length} faults; ${numbers.join(", ")}`, ...faults]
    .join("\n  fault: ");
}

/** Runs one attack for `seconds`. */
export async function attackFor(attack: Attack, seconds: number, seed: number): Promise<Figures> {
  return await attack.run({ signal: AbortSignal.timeout(1_000 * seconds), seconds, seed });
}

async function main(args: string[]): Promise<number> {
  const at = args.indexOf("--seed");
  const [, given] = at < 0 ? [] : args.splice(at, 2);
  const [time, ...names] = args;
  const seconds = Number(time);
  const unknown = names.filter((name) => !Object.hasOwn(ATTACKS, name));
  if (!(seconds > 0) || unknown.length > 0) {
    console.error("deno task torture <seconds> [names] [--seed N]; the names are:");
    for (const [name, { summary }] of Object.entries(ATTACKS)) {
      console.error(`  ${name.padEnd(12)} ${summary}`);
    }
    return 2;
  }
  let faults = 0;
  for (const name of names.length > 0 ? names : Object.keys(ATTACKS)) {
    const why = ATTACKS[name].unable?.();
    if (why !== undefined) {
      console.log(`${name}: skipped, ${why}`);
      continue;
    }
    const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
    console.log(`${name}: ${seconds} s from seed ${seed} …`);
    const figures = await attackFor(ATTACKS[name], seconds, seed);
    console.log(textOf(name, seconds, figures));
    faults += figures.faults.length;
  }
  return faults > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
