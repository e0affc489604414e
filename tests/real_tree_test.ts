import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { Pair } from "./support/pair.ts";
import { realSourceTree } from "./support/real_tree.ts";
import { storm } from "./support/storm.ts";
import { systemClock } from "../src/core/clock.ts";

Deno.test("a source tree of over 10,000 files arrives, is not sent twice, and lives through a storm", async (t) => {
  await using pair = await Pair.start();
  await realSourceTree(pair.source);

  await t.step("the first push brings every entry, byte by byte", async () => {
    const { code, totals, stderr } = await pair.push();
    assertEquals({ code, stderr, problems: totals?.problems }, { code: 0, stderr: "", problems: 0 });
    assertGreater(totals!.counts.put, 10_000);
    await pair.assertInStep();
  });

  await t.step("a second push sends almost nothing", async () => {
    pair.proxy.resetCounts();
    const { code, totals } = await pair.push();
    assertEquals([code, totals?.counts.put], [0, 0]);
    assertLess(pair.bytes, 10_000);
  });

  await t.step("a push in which much was touched and little changed sends little", async () => {
    for (const { name } of Deno.readDirSync(`${pair.source}/node_modules/antd/es/button`)) {
      Deno.utimeSync(`${pair.source}/node_modules/antd/es/button/${name}`, 1_700_000_000, 1_700_000_000);
    }
    Deno.writeTextFileSync(`${pair.source}/node_modules/typescript/lib/typescript.js`, "// one more line\n", {
      append: true,
    });
    pair.proxy.resetCounts();
    assertEquals((await pair.push()).code, 0);
    await pair.assertInStep();
    assertLess(pair.bytes, 150_000);
  });

  await t.step("what is changed by a storm while it is watched arrives", async () => {
    const watch = pair.watch();
    await watch.event("connection", { state: "online" });
    await storm(pair.source, { seed: 1, operations: 1_500, sleep: (ms) => systemClock.sleep(ms) });
    await pair.inStep();
    assertEquals((await watch.stop()).code, 130);
  });
});
