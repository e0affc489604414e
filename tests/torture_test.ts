import { assert, assertEquals } from "@std/assert";
import { attackFor, ATTACKS, textOf } from "../tools/torture.ts";

/** Seconds of each attack; `deno task torture` goes on for as long as one likes. */
const SECONDS = 6;

/** Of these the time only says how big they are. */
const BIG = /^scale-/;

for (const [name, attack] of Object.entries(ATTACKS)) {
  Deno.test({
    name: `the attack "${name}" comes to nothing for a moment`,
    ignore: attack.unable?.() !== undefined,
    async fn() {
      const seconds = BIG.test(name) ? 1 : SECONDS;
      const figures = await attackFor(attack, seconds, 20_260_301);
      assertEquals(figures.faults, [], textOf(name, seconds, figures));
      assert(figures.runs > (attack.leastRuns ?? 10), textOf(name, seconds, figures));
    },
    // Connections that are attacked with are dropped at the end, with reads under way.
    sanitizeOps: false,
    sanitizeResources: false,
  });
}
