import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { deadline } from "@std/async";
import { integer, randomBytes, seededRandom, writeBigFile } from "./support/bytes.ts";
import { FaultGateway, MISDEEDS } from "./support/fault_gateway.ts";
import type { Direction } from "./support/fault_proxy.ts";
import { Pair, PATIENCE } from "./support/pair.ts";
import { copyTree, realPair } from "./support/real_tree.ts";
import { storm } from "./support/storm.ts";
import { link, makeTree } from "./support/trees.ts";
import { systemClock } from "../src/core/clock.ts";

const MiB = 1 << 20;

/** A small tree with everything in it, other for every round. */
function fill(source: string, round: number): void {
  makeTree(`${source}/round-${round}`, {
    "small": `round ${round}`,
    "directory/many": Object.fromEntries(
      Array.from({ length: 60 }, (_, i) => [`${i}`, `${round}, file ${i}`]),
    ),
    "link": link("small"),
    "chunks": randomBytes(round, 700_000),
    "more chunks": randomBytes(1000 + round, 3 * MiB),
    "empty": {},
  });
}

Deno.test("a connection that is cut after any number of bytes, in either direction, loses nothing", async (t) => {
  await using pair = await Pair.start();
  const watch = await pair.watchInStep();
  const random = seededRandom(3);
  let round = 0;
  for (const direction of ["up", "down"] as Direction[]) {
    // What goes down is little: answers.
    const most = direction === "up" ? 4 * MiB : 2_500;
    const offsets = [0, 1, 100, ...Array.from({ length: 9 }, () => integer(random, most))];
    for (const offset of offsets.sort((a, b) => a - b)) {
      await t.step(`${offset} bytes ${direction}`, async () => {
        const cut = pair.proxy.truncate(direction, offset + 1);
        fill(pair.source, round++);
        await deadline(cut, PATIENCE);
        await pair.inStep();
      });
    }
  }
  assertEquals(pair.leftovers, []);
  assertEquals((await pair.status()).problems, []);
  await watch.stop();
});

Deno.test("a first push arrives through a network that drops most connections", async () => {
  await using pair = await Pair.start(4);
  await copyTree((await realPair()).before, pair.source);
  writeBigFile(`${pair.source}/big`, 30 * MiB, 5);
  const watch = pair.watch();
  pair.proxy.flaky(0.9, 3 * MiB);
  await pair.inStep({}, 120_000);
  assertGreater(pair.proxy.counts().connections, 3);
  pair.proxy.flaky(0, 0);
  assertEquals((await watch.stop()).code, 130);
  await pair.assertInStep();
});

Deno.test("a storm of changes arrives through a slow network that keeps breaking", async () => {
  await using pair = await Pair.start(5);
  await storm(pair.source, { seed: 6, operations: 300 });
  const watch = await pair.watchInStep();
  pair.proxy.delay = 40;
  pair.proxy.flaky(0.5, 200_000);
  const random = seededRandom(7);
  const breaking = new AbortController();
  const troubles = (async () => {
    while (!breaking.signal.aborted) {
      await systemClock.sleep(200 + integer(random, 600));
      if (random() < 0.5) pair.proxy.drop();
      else {
        pair.proxy.cut();
        await systemClock.sleep(integer(random, 500));
        pair.proxy.mend();
      }
    }
  })();
  await storm(pair.source, { seed: 8, operations: 500, sleep: (ms) => systemClock.sleep(3 * ms) });
  breaking.abort();
  await troubles;
  pair.proxy.flaky(0, 0);
  await pair.inStep();
  assertEquals((await pair.status()).problems, []);
  assertEquals((await watch.stop()).code, 130);
});

Deno.test("changes made while there is no network arrive when there is one", async () => {
  await using pair = await Pair.start();
  fill(pair.source, 1);
  const watch = await pair.watchInStep();
  pair.proxy.cut();
  const mark = watch.mark();
  fill(pair.source, 2);
  Deno.renameSync(`${pair.source}/round-1`, `${pair.source}/moved`);
  const [, retryAt] = await watch.line(/"offline".*"retryAt":"(.*?)"/, undefined, mark);
  assertGreater(Date.parse(retryAt), 0);
  fill(pair.source, 3);
  Deno.removeSync(`${pair.source}/round-2`, { recursive: true });
  pair.proxy.mend();
  await pair.inStep();
  await watch.event("connection", { state: "online" }, undefined, mark);
});

Deno.test("a network that freezes and thaws holds nothing up for good", async () => {
  await using pair = await Pair.start();
  const watch = await pair.watchInStep();
  fill(pair.source, 1);
  pair.proxy.freeze();
  fill(pair.source, 2);
  await systemClock.sleep(3_000);
  pair.proxy.thaw();
  await pair.inStep();
  await watch.stop();
});

Deno.test("a big file that is cut in the middle, twice, goes on where it was", async () => {
  const size = 150 * MiB;
  await using pair = await Pair.start();
  writeBigFile(`${pair.source}/big`, size, 9);
  const watch = pair.watch();
  for (const part of [0.4, 0.7]) {
    await pair.proxy.passed("up", part * size);
    pair.proxy.cut();
    await systemClock.sleep(300);
    pair.proxy.mend();
  }
  await pair.inStep();
  assertLess(pair.proxy.counts().up, 1.1 * size + 2 * 12 * MiB);
  await watch.stop();
});

Deno.test("a proxy that loses, cuts, doubles, refuses and mixes up costs nothing but time", async () => {
  await using pair = await Pair.start();
  await using gateway = new FaultGateway(pair.proxy.target, { random: seededRandom(11) });
  pair.proxy.target = gateway.url;
  const watch = await pair.watchInStep();
  gateway.plan = () =>
    gateway.requests % 8 > 0 ? undefined : MISDEEDS[(gateway.requests / 8) % MISDEEDS.length];
  for (let round = 0; Object.values(gateway.counts).includes(0); round++) {
    makeTree(pair.source, {
      [`small-${round % 20}`]: `${round}`,
      [`chunks-${round % 5}`]: randomBytes(round, 300_000),
    });
    await systemClock.sleep(20);
  }
  gateway.plan = () => undefined;
  await pair.inStep();
  await pair.quiet();
  assertEquals([pair.leftovers, (await pair.status()).problems], [[], []]);
  assertEquals((await watch.stop()).code, 130);
});
