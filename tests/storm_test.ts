import { assertEquals } from "@std/assert";
import { Pair } from "./support/pair.ts";
import { storm } from "./support/storm.ts";
import { systemClock } from "../src/core/clock.ts";

for (const seed of [11, 12, 13]) {
  Deno.test(`a storm of changes while it is watched arrives, and the bursts after it (seed ${seed})`, async () => {
    await using pair = await Pair.start();
    await storm(pair.source, { seed: 50 + seed, operations: 400 });
    const watch = await pair.watchInStep();
    await storm(pair.source, { seed, operations: 600, sleep: (ms) => systemClock.sleep(ms) });
    await pair.inStep();
    for (let burst = 0; burst < 3; burst++) {
      // As fast as it goes: much is made, moved and removed before anybody can look.
      await storm(pair.source, { seed: 100 * seed + burst, operations: 150 });
      await pair.inStep();
    }
    assertEquals((await pair.status()).problems, []);
    assertEquals((await watch.stop()).code, 130);
  });
}

Deno.test("storms of changes made while nothing runs are brought by the next push", async () => {
  await using pair = await Pair.start();
  for (let seed = 21; seed < 31; seed++) {
    await storm(pair.source, { seed, operations: 250 });
    const { code, stderr } = await pair.push();
    assertEquals([code, stderr], [0, ""]);
    await pair.assertInStep();
  }
});

Deno.test("what changes while a push is under way is brought by the next one at the latest", async () => {
  await using pair = await Pair.start();
  await storm(pair.source, { seed: 41, operations: 600 });
  for (let seed = 42; seed < 46; seed++) {
    const pushing = pair.push();
    await storm(pair.source, { seed, operations: 100, sleep: (ms) => systemClock.sleep(ms) });
    await pushing;
  }
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
});
