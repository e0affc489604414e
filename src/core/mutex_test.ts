import { assertEquals, assertRejects } from "@std/assert";
import { Mutex } from "./mutex.ts";

Deno.test("run() lets one work at a time, in the order they came", async () => {
  const mutex = new Mutex();
  const told: string[] = [];
  const work = (name: string, turns: number) => async () => {
    told.push(`${name} begins`);
    for (let i = 0; i < turns; i++) await Promise.resolve();
    told.push(`${name} ends`);
    return name;
  };
  const results = await Promise.all([
    mutex.run(work("a", 20)),
    mutex.run(work("b", 0)),
    mutex.run(work("c", 5)),
  ]);
  assertEquals(results, ["a", "b", "c"]);
  assertEquals(told, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

Deno.test("run() goes on after a failure, and gives it to the one whose it is", async () => {
  const mutex = new Mutex();
  const failing = mutex.run(() => Promise.reject(new Error("mine")));
  const next = mutex.run(() => Promise.resolve("fine"));
  await assertRejects(() => failing, Error, "mine");
  assertEquals(await next, "fine");
});
