import { assertEquals, assertLess } from "@std/assert";
import { integer, randomBytes, seededRandom, writeBigFile } from "./support/bytes.ts";
import { Pair, treeBytes, until } from "./support/pair.ts";
import { copyTree, realPair } from "./support/real_tree.ts";
import { storm } from "./support/storm.ts";
import { makeTree } from "./support/trees.ts";
import { systemClock } from "../src/core/clock.ts";

const MiB = 1 << 20;

/** What may be lost and sent again when one side is killed: three batches with three requests of 4 MiB under way. */
const UNDER_WAY = 36 * MiB;

/** A source with thousands of small files, some of many chunks, and a few big ones. */
async function fill(source: string): Promise<void> {
  await copyTree((await realPair()).before, source);
  for (let i = 0; i < 40; i++) {
    makeTree(source, { [`middle/${i}`]: randomBytes(100 + i, 300_000 + 10_000 * i) });
  }
  for (let i = 0; i < 2; i++) writeBigFile(`${source}/big-${i}`, 40 * MiB, 200 + i);
}

Deno.test("a first push goes on where it was when the server is killed in the middle of it", async () => {
  await using pair = await Pair.start();
  const random = seededRandom(1);
  await fill(pair.source);
  const clean = await treeBytes(pair.source);
  const watch = pair.watch();
  let kills = 0;
  for (const part of [0.2, 0.5, 0.8]) {
    await pair.proxy.passed("up", (part + 0.1 * random()) * clean);
    await pair.killServer();
    kills++;
    await systemClock.sleep(integer(random, 300));
    await pair.restartServer();
  }
  await pair.inStep();
  assertEquals(pair.leftovers, []);
  await watch.stop();
  assertLess(pair.proxy.counts().up, 1.15 * clean + kills * UNDER_WAY);
});

Deno.test("a first push goes on where it was when it is killed itself", async () => {
  await using pair = await Pair.start();
  const random = seededRandom(2);
  await fill(pair.source);
  const clean = await treeBytes(pair.source);
  let kills = 0;
  for (const part of [0.1, 0.4, 0.7]) {
    const watch = pair.watch();
    await pair.proxy.passed("up", (part + 0.1 * random()) * clean);
    watch.kill("SIGKILL");
    await watch.status;
    kills++;
  }
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
  assertEquals(pair.leftovers, []);
  assertLess(pair.proxy.counts().up, 1.15 * clean + kills * UNDER_WAY);
});

for (const seed of [1, 2, 3]) {
  Deno.test(`both sides are killed again and again in a storm of changes, and are equal in the end (seed ${seed})`, async () => {
    await using pair = await Pair.start(seed);
    const random = seededRandom(seed);
    for (let i = 0; i < 300; i++) {
      makeTree(pair.source, { [`start/d${i % 20}/f${i}`]: randomBytes(i, 10 * i) });
    }
    await storm(pair.source, { seed: 100 + seed, operations: 200 });
    let watch = pair.watch();
    const raging = new AbortController();
    const storming = storm(pair.source, {
      seed,
      operations: Infinity,
      signal: raging.signal,
      sleep: (ms) => systemClock.sleep(2 * ms),
    });
    for (let kills = 0; kills < 8; kills++) {
      await systemClock.sleep(50 + integer(random, 900));
      if (random() < 0.5) {
        await pair.killServer();
        await systemClock.sleep(integer(random, 400));
        await pair.restartServer();
      } else {
        watch.kill("SIGKILL");
        await watch.status;
        await systemClock.sleep(integer(random, 200));
        watch = pair.watch();
      }
    }
    raging.abort();
    await storming;
    await pair.inStep();
    assertEquals(pair.leftovers, []);
    // Both may be equal while something waits to be tried once more.
    await until("no problem is left", async () => (await pair.status()).problems.length === 0);
    await watch.stop();
  });
}
