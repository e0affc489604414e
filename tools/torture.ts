/**
 * Attacks the program for as long as it is told to: `deno task torture <seconds> [names]`. Each attack of
 * `tests/torture` gets that time; with no names all of them, one after the other. Exits with 1 when
 * anything went wrong.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a tool of the command line
import type { Attack, Figures } from "../tests/torture/attack.ts";
import requests from "../tests/torture/requests.ts";
import sockets from "../tests/torture/sockets.ts";
import swaps from "../tests/torture/swaps.ts";

/** All attacks by name. */
export const ATTACKS: Record<string, Attack> = { swaps, requests, sockets };

/** What came of an attack, in one line and one for each fault. */
export function textOf(name: string, seconds: number, { runs, faults, measured }: Figures): string {
  const numbers = Object.entries(measured).map(([what, number]) => `${what} ${number}`);
  return [`${name}: ${seconds} s, ${runs} runs, ${faults.length} faults; ${numbers.join(", ")}`, ...faults]
    .join("\n  fault: ");
}

/** Runs one attack for `seconds`. */
export async function attackFor(attack: Attack, seconds: number, seed: number): Promise<Figures> {
  return await attack.run({ signal: AbortSignal.timeout(1_000 * seconds), seed });
}

async function main([time, ...names]: string[]): Promise<number> {
  const seconds = Number(time);
  const unknown = names.filter((name) => !Object.hasOwn(ATTACKS, name));
  if (!(seconds > 0) || unknown.length > 0) {
    console.error("deno task torture <seconds> [names]; the names are:");
    for (const [name, { summary }] of Object.entries(ATTACKS)) {
      console.error(`  ${name.padEnd(10)} ${summary}`);
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
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`${name}: ${seconds} s from seed ${seed} …`);
    const figures = await attackFor(ATTACKS[name], seconds, seed);
    console.log(textOf(name, seconds, figures));
    faults += figures.faults.length;
  }
  return faults > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
