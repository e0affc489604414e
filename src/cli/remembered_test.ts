import { assertEquals, assertRejects } from "@std/assert";
import { Remembered } from "./remembered.ts";

Deno.test("Remembered asks again only when the version is another one", async () => {
  let version = 1;
  let asked = 0;
  const remembered = new Remembered(() => Promise.resolve(version));
  const get = (key: string) => remembered.get(key, () => Promise.resolve(`${key} ${++asked}`));
  assertEquals([await get("a"), await get("a"), await get("b"), await get("a")], [
    "a 1",
    "a 1",
    "b 2",
    "a 1",
  ]);
  version++;
  assertEquals([await get("a"), await get("a")], ["a 3", "a 3"]);
});

Deno.test("Remembered forgets what was asked for least recently, and failures at once", async () => {
  const remembered = new Remembered(() => Promise.resolve(1));
  let asked = 0;
  const get = (key: string) => remembered.get(key, () => Promise.resolve(++asked));
  for (let i = 0; i < 200; i++) await get(`${i}`);
  await get("0");
  await get("one more");
  assertEquals([await get("0"), await get("1")], [1, 202]);
  await assertRejects(() => remembered.get("x", () => Promise.reject(new Error("no"))), Error, "no");
  assertEquals(await remembered.get("x", () => Promise.resolve("yes")), "yes");
});
