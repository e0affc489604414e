import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { fractionOf, type Progress, ProgressBar, renderProgress } from "./progress_bar.ts";
import { widthOf } from "./text_width.ts";

const MIB = 1024 ** 2;
const half: Progress = {
  doneItems: 40,
  totalItems: 1200,
  doneBytes: 45 * MIB,
  totalBytes: 90 * MIB,
  sentBytes: 3 * MIB,
  current: "photos/2024/summer/img_0001.jpg",
};

function setUp(columns = 100) {
  const clock = new FakeClock();
  const writes: string[] = [];
  const bar = new ProgressBar({
    out: { write: (text) => void writes.push(text) },
    clock,
    columns: () => columns,
  });
  return { bar, clock, writes };
}

Deno.test("renderProgress() leaves out the least important first", () => {
  assertEquals([120, 80, 60, 40, 20, 3].map((columns) => renderProgress(half, 4.5 * MIB, columns)), [
    "[######------]  50 %  45.0 MiB of 90.0 MiB  4.5 MiB/s  10s left  40 of 1,200  photos/2024/summer/img_0001.jpg",
    "[######------]  50 %  45.0 MiB of 90.0 MiB  4.5 MiB/s  10s left  40 of 1,200",
    "[######------]  50 %  45.0 MiB of 90.0 MiB  4.5 MiB/s",
    " 50 %  45.0 MiB of 90.0 MiB  4.5 MiB/s",
    " 50 %  …img_0001.jpg",
    "… %",
  ]);
});

Deno.test("renderProgress() never takes more room than there is, nor writes what a name says", () => {
  const number = fc.nat({ max: 2 ** 40 });
  fc.assert(fc.property(
    fc.record({
      doneItems: number,
      totalItems: number,
      doneBytes: number,
      totalBytes: number,
      sentBytes: number,
      current: fc.option(fc.string({ unit: "binary" }), { nil: undefined }),
    }),
    fc.option(fc.double({ min: 0, max: 1e12, noNaN: true }), { nil: undefined }),
    fc.integer({ min: 1, max: 200 }),
    (progress, rate, columns) => {
      const line = renderProgress(progress, rate, columns);
      return widthOf(line) <= columns && !/[\x00-\x1f\x7f-\x9f]/.test(line);
    },
  ));
});

Deno.test("fractionOf() goes by items where there are no bytes, and stays within 0 and 1", () => {
  assertEquals(fractionOf(half), 0.5);
  assertEquals(fractionOf({ ...half, totalBytes: 0, doneItems: 300 }), 0.25);
  assertEquals(fractionOf({ ...half, doneBytes: 100 * MIB }), 1);
  assertEquals(fractionOf({ ...half, totalBytes: 0, totalItems: 0 }), 0);
});

Deno.test("ProgressBar draws at most ten times a second", async () => {
  const { bar, clock, writes } = setUp();
  for (let i = 0; i < 50; i++) {
    bar.update({ ...half, doneItems: i });
    await clock.advance(20);
  }
  assertEquals(writes.length, 10);
});

Deno.test("ProgressBar measures the rate of a single big file and says when it is done", async () => {
  const { bar, clock, writes } = setUp();
  for (let i = 0; i <= 20; i++) {
    bar.update({ doneItems: 0, totalItems: 1, doneBytes: i * MIB, totalBytes: 100 * MIB, sentBytes: 0 });
    await clock.advance(500);
  }
  assertEquals(
    writes.at(-1),
    "\r\x1b[K[##----------]  20 %  20.0 MiB of 100.0 MiB  2.0 MiB/s  40s left",
  );
});

Deno.test("ProgressBar forgets the rate when work begins anew", async () => {
  const { bar, clock, writes } = setUp();
  bar.update(half);
  await clock.advance(2000);
  bar.update({ ...half, doneBytes: 1 });
  assert(!writes.at(-1)!.includes("B/s"));
});

Deno.test("ProgressBar is taken away when all is done, and back again at once for more", () => {
  const { bar, writes } = setUp(8);
  bar.update(half);
  bar.update({ ...half, doneItems: half.totalItems });
  bar.update({ ...half, doneItems: half.totalItems });
  bar.update(half);
  assertEquals(writes, ["\r\x1b[K 50 %", "\r\x1b[K", "\r\x1b[K 50 %"]);
});

Deno.test("ProgressBar.above() makes room for a line", () => {
  const { bar, writes } = setUp(8);
  bar.above(() => writes.push("first\n"));
  bar.update(half);
  bar.above(() => writes.push("second\n"));
  bar.clear();
  bar.clear();
  assertEquals(writes, ["first\n", "\r\x1b[K 50 %", "\r\x1b[K", "second\n", " 50 %", "\r\x1b[K"]);
});

Deno.test("ProgressBar goes on when the clock is set back", () => {
  const times = [10_000, 5_000];
  const writes: string[] = [];
  const bar = new ProgressBar({
    out: { write: (text) => void writes.push(text) },
    clock: { now: () => times.shift()!, sleep: () => Promise.resolve() },
    columns: () => 40,
  });
  bar.update(half);
  bar.update(half);
  assertEquals(writes.length, 2);
});
