import { assert, assertEquals, assertRejects } from "@std/assert";
import { AHEAD, mapSeveral } from "./several.ts";

Deno.test("mapSeveral() keeps the order, and does no more than some at a time", async () => {
  let underWay = 0;
  let most = 0;
  const items = Array.from({ length: 100 }, (_, i) => i);
  const results = await mapSeveral(items, async (item, at) => {
    most = Math.max(most, ++underWay);
    // Later ones are sooner done.
    for (let i = item; i < 100; i++) await Promise.resolve();
    underWay--;
    return item + at;
  });
  assertEquals(results, items.map((item) => 2 * item));
  assertEquals(most, AHEAD);
  assertEquals(await mapSeveral([], () => Promise.reject(new Error("never"))), []);
});

Deno.test("mapSeveral() begins nothing after a failure, and waits for what is under way", async () => {
  const begun: number[] = [];
  let ended = 0;
  const items = Array.from({ length: 100 }, (_, i) => i);
  await assertRejects(
    () =>
      mapSeveral(items, async (item) => {
        begun.push(item);
        await Promise.resolve();
        if (item === 3) throw new Error("the third");
        for (let i = 0; i < 50; i++) await Promise.resolve();
        ended++;
      }),
    Error,
    "the third",
  );
  assert(begun.length <= AHEAD + 3);
  assertEquals(ended, begun.length - 1);
});
