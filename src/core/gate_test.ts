import { assertEquals, assertRejects } from "@std/assert";
import { Gate } from "./gate.ts";

Deno.test("run() lets in so many at once, in the order in which they came", async () => {
  const gate = new Gate(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const runs = ends.map(({ promise }, i) =>
    gate.run(async () => {
      begun.push(i);
      await promise;
      return i;
    })
  );
  await Promise.resolve();
  assertEquals(begun, [0, 1]);
  ends[1].resolve();
  await runs[1];
  assertEquals(begun, [0, 1, 2]);
  const late = gate.run(() => Promise.resolve(begun.push(9)));
  ends.forEach(({ resolve }) => resolve());
  assertEquals(await Promise.all(runs), [0, 1, 2, 3, 4]);
  await late;
  assertEquals(begun, [0, 1, 2, 3, 4, 9]);
});

Deno.test("run() hands a place on when work fails", async () => {
  const gate = new Gate(1);
  const first = gate.run(() => Promise.reject(new RangeError("no")));
  const second = gate.run(() => Promise.resolve("yes"));
  await assertRejects(() => first, RangeError);
  assertEquals(await second, "yes");
  assertEquals(await gate.run(() => Promise.resolve("again")), "again");
});
