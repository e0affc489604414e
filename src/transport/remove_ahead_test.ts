import { assert, assertEquals } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { file, makeTree, type TreeSpec } from "../../tests/support/trees.ts";
import type { Action } from "../core/action.ts";
import { systemClock } from "../core/clock.ts";
import { parsePath } from "../core/path.ts";
import { turn } from "../core/turn.ts";
import { LocalReceiver, type LocalReceiverOptions } from "./local_receiver.ts";

const mtime = Date.UTC(2024, 0, 1, 0, 0, 0, 5);
const COUNT = 2_500;

/** A receiver over a tree with a big directory `big`, in which there is an empty one and one of many files. */
async function openBig(temp: TempDirectory, options: Partial<LocalReceiverOptions> = {}) {
  const names = Array.from({ length: COUNT }, (_, i) => `f${i}`);
  const many: TreeSpec = Object.fromEntries(names.map((name, i) => [name, file(`${i % 10}`, { mtime })]));
  makeTree(temp.path, { big: { many, empty: {} }, other: file("other", { mtime }) });
  const receiver = new LocalReceiver(temp.path, { clock: systemClock, ...options });
  await receiver.ready;
  return receiver;
}

const removal: Action = { type: "remove", path: parsePath("big") };

async function apply(receiver: LocalReceiver, ...actions: Action[]): Promise<string[]> {
  const { results } = await receiver.apply({ key: crypto.randomUUID(), actions, contents: new Map() });
  return results.map((result) => result.done ? "done" : result.problem.message);
}

const namesIn = (directory: string) => Array.from(Deno.readDirSync(directory), ({ name }) => name).sort();

for (const keep of [undefined, {}]) {
  const name = keep === undefined ? "" : ", and all of it is kept";
  Deno.test(`removeAhead() gives others a turn while a big directory goes${name}`, async () => {
    using temp = new TempDirectory();
    await using receiver = await openBig(temp, { keep });
    const before = receiver.index.sequence;
    const left = new Set<number>();
    let going = true;
    const applied = apply(receiver, removal).finally(() => going = false);
    for (; going; await turn()) left.add(receiver.index.count().entries);
    assertEquals(await applied, ["done"]);
    assert([...left].some((count) => count > 1 && count < COUNT + 4), `${[...left]}`);
    assertEquals(namesIn(temp.path), [".filesync", "other"]);
    assertEquals([receiver.index.count().entries, receiver.index.sequence], [1, before + 1]);
    if (keep !== undefined) {
      const { versions } = await receiver.versions!.list({ limit: 10_000 });
      assertEquals(versions.length, COUNT + 3);
    }
  });
}

Deno.test("removeAhead() leaves what filesync did not put there, and what is on the way to it", async () => {
  using temp = new TempDirectory();
  await using receiver = await openBig(temp);
  const many = `${temp.path}/big/many`;
  Deno.writeTextFileSync(`${many}/foreign`, "foreign");
  Deno.removeSync(`${many}/f7`);
  Deno.mkdirSync(`${many}/f7`);
  Deno.chmodSync(many, 0o555);
  const [message] = await apply(receiver, removal);
  assertEquals(/"big\/many\/(f7|foreign)" was not put there by filesync/.test(message), true, message);
  assertEquals([namesIn(`${temp.path}/big`), namesIn(many)], [["many"], ["f7", "foreign"]]);
  if (Deno.build.os !== "windows") assertEquals(Deno.statSync(many).mode! & 0o777, 0o555);
  await receiver.refresh();
  assertEquals(
    (await Array.fromAsync(receiver.tree())).map(({ path }) => String(path)),
    ["big", "big/many", "big/many/f7", "big/many/foreign", "other"],
  );
});

Deno.test("removeAhead() does not remove what an earlier action takes out of the directory", async () => {
  using temp = new TempDirectory();
  await using receiver = await openBig(temp);
  const rescue: Action = { type: "move", from: parsePath("big/many/f7"), path: parsePath("f7") };
  assertEquals(await apply(receiver, rescue, removal), ["done", "done"]);
  assertEquals(namesIn(temp.path), [".filesync", "f7", "other"]);
});
