import { assertEquals, assertGreater, assertNotEquals } from "@std/assert";
import { storm } from "./storm.ts";
import { withTemp } from "./temp.ts";
import { link, makeTree, snapshotTree, treeDifferences } from "./trees.ts";

/** A storm over a small tree, and what it leaves. */
async function stormOver(dir: string, seed: number, operations: number) {
  makeTree(dir, { "a": { "b": "1", "c": { "d": "2" } }, "l": link("a"), ".filesync": { "kept": "" } });
  const counts = await storm(dir, { seed, operations });
  return { counts, snapshot: await snapshotTree(dir) };
}

Deno.test("storm() makes every kind of change and leaves the program's own directory alone", () =>
  withTemp(async (dir) => {
    const { counts, snapshot } = await stormOver(dir, 1, 1500);
    for (const [name, count] of Object.entries(counts)) assertGreater(count, 0, name);
    assertEquals(Object.values(counts).reduce((a, b) => a + b), 1500);
    assertGreater(1500 / 5, counts.skipped);
    assertGreater(snapshot.size, 50);
    assertEquals([...Deno.readDirSync(`${dir}/.filesync`)].map(({ name }) => name), ["kept"]);
  }));

Deno.test("storm() leaves the same tree for the same seed, and another for another", () =>
  withTemp(async (dir) => {
    const one = await stormOver(`${dir}/1`, 7, 500);
    const two = await stormOver(`${dir}/2`, 7, 500);
    const other = await stormOver(`${dir}/3`, 8, 500);
    assertEquals(treeDifferences(one.snapshot, two.snapshot, { mtime: false }), []);
    assertEquals(one.counts, two.counts);
    assertNotEquals(other.counts, one.counts);
  }));

Deno.test("storm() rests as told and ends when its signal aborts", () =>
  withTemp(async (dir) => {
    const controller = new AbortController();
    const rests: number[] = [];
    const counts = await storm(dir, {
      seed: 1,
      operations: 1000,
      signal: controller.signal,
      sleep(ms) {
        if (rests.push(ms) === 10) controller.abort();
        return Promise.resolve();
      },
    });
    assertEquals(Object.values(counts).reduce((a, b) => a + b), 10);
    assertEquals(rests.every((ms) => ms >= 0 && ms < 5), true);
  }));

Deno.test("storm() goes on when another one changes the same tree", () =>
  withTemp(async (dir) => {
    const sleep = () => new Promise((resolve) => setTimeout(resolve, 0));
    await Promise.all([1, 2].map((seed) => storm(dir, { seed, operations: 150, sleep })));
  }));
