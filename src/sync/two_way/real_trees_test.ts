import { assertEquals, assertLess } from "@std/assert";
import { randomBytes } from "../../../tests/support/bytes.ts";
import { InterceptedReceiver } from "../../../tests/support/intercepted_receiver.ts";
import { storm } from "../../../tests/support/storm.ts";
import { TempDirectory } from "../../../tests/support/temp.ts";
import { assertSameTree, file, makeTree, treeText } from "../../../tests/support/trees.ts";
import { TwoWayPair, type TwoWayPairOptions } from "../../../tests/support/two_way_bench.ts";
import { systemClock } from "../../core/clock.ts";
import { IgnoreRules, RULE_FILE } from "../../files/ignore_rules.ts";
import { TreeRoot } from "../../files/tree_root.ts";
import { createApp } from "../../server/app.ts";
import { HttpReceiver } from "../../transport/http_receiver.ts";
import { LocalReceiver } from "../../transport/local_receiver.ts";
import type { Receiver } from "../../transport/receiver.ts";
import type { TwoWayResult } from "./sync_two_way.ts";

/** How the second tree is reached. */
type Way = "local" | "http";

/** Two directories, the first with its state elsewhere. */
class RealPair implements AsyncDisposable {
  readonly a: string;
  readonly b: string;
  readonly pair: TwoWayPair;
  /** Bytes sent to the second tree over HTTP. */
  sent = 0;
  readonly #temp: TempDirectory;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    temp: TempDirectory,
    resources: AsyncDisposableStack,
    way: Way,
    options: TwoWayPairOptions,
  ) {
    this.#temp = temp;
    this.#resources = resources;
    [this.a, this.b] = [temp.directory("a"), temp.directory("b")];
    const clock = systemClock;
    const first = resources.use(new LocalReceiver(this.a, { clock, state: `${temp.path}/state` }));
    const second = resources.use(new LocalReceiver(this.b, { clock }));
    const app = createApp(second, { clock, version: "test", guard: { token: "t" } });
    const remote = new HttpReceiver("http://server.test", {
      token: "t",
      fetch: (request) => app.fetch(request),
      onSent: (bytes) => this.sent += bytes,
    });
    this.pair = new TwoWayPair(first, way === "http" ? remote : second, { clock, ...options });
  }

  static open(way: Way = "local", options: TwoWayPairOptions = {}): RealPair {
    return new RealPair(new TempDirectory(), new AsyncDisposableStack(), way, options);
  }

  /** Syncs until nothing is left to be done. */
  async inStep(): Promise<TwoWayResult> {
    for (let rounds = 0; rounds < 8; rounds++) {
      const result = await this.pair.sync();
      assertEquals(result.problems, []);
      if (result.inStep && this.pair.state.mark !== undefined) return result;
    }
    throw new Error("The syncs do not come to rest");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.pair[Symbol.dispose]();
    await this.#resources[Symbol.asyncDispose]();
    this.#temp[Symbol.dispose]();
  }
}

const EVERYTHING = { directoryMtime: true, symlinkMtime: true };
const isOurs = (path: string) => path === ".filesync";

for (const [way, seeds] of [["local", 30], ["http", 10]] as const) {
  Deno.test(`syncTwoWay() brings real trees in step while they change (${way})`, async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      await using real = RealPair.open(way, { allowMassDelete: true });
      await storm(real.a, { seed, operations: 15 });
      await storm(real.b, { seed: seed + 1_000, operations: 8 });
      for (let round = 0; round < 2; round++) {
        let calls = 0;
        const wrap = (receiver: Receiver) =>
          new InterceptedReceiver(receiver, async (_call, forward) => {
            const call = calls++;
            if (call === 3 + seed % 4) {
              await storm(seed % 2 === 0 ? real.a : real.b, { seed: seed * 7, operations: 6 });
            }
            return await forward();
          });
        await real.pair.sync({}, wrap);
        await storm(real.a, { seed: seed * 31 + round, operations: 6 });
        await storm(real.b, { seed: seed * 37 + round, operations: 6 });
      }
      await real.inStep();
      await assertSameTree(real.a, real.b, { ...EVERYTHING, ignore: isOurs })
        .catch((error) => {
          throw new Error(`With the seed ${seed}: ${error.message}`);
        });
    }
  });
}

Deno.test("syncTwoWay() carries big files in chunks, and of an edit only those that are new", async () => {
  await using real = RealPair.open("http");
  const big = randomBytes(1, 12_000_000);
  Deno.writeFileSync(`${real.a}/big`, big);
  await real.inStep();
  const [sent, rest] = [real.sent, 200_000];
  assertLess(big.length - rest, sent);
  big.set(randomBytes(2, 1_000), 5_000_000);
  Deno.writeFileSync(`${real.b}/big`, big);
  Deno.writeFileSync(`${real.a}/copy`, Deno.readFileSync(`${real.a}/big`));
  const { totals } = await real.pair.sync();
  assertLess(totals.a.sentBytes, rest);
  assertLess(real.sent - sent, rest);
  await real.inStep();
  await assertSameTree(real.a, real.b, { ...EVERYTHING, ignore: isOurs });
});

Deno.test("syncTwoWay() touches nothing below rules that cannot be read, and goes on with the rest", async () => {
  await using real = RealPair.open();
  makeTree(real.a, { d: { e: { f: "1" }, g: "2" }, h: "3" });
  await real.inStep();
  makeTree(real.a, { d: { [RULE_FILE]: { x: "" }, g: "4" }, h: "5" });
  Deno.removeSync(`${real.b}/d`, { recursive: true });
  makeTree(real.b, { d: { i: "6" } });
  using root = TreeRoot.open(real.a);
  const rules = [IgnoreRules.load(root)];
  const { problems, inStep } = await real.pair.sync({ rules });
  assertEquals(problems.map(({ problem }) => problem.path), [`d/${RULE_FILE}`]);
  assertEquals([inStep, await treeText(real.b)], [false, 'd/\nd/i "6"\nh "5"']);
  Deno.removeSync(`${real.a}/d/${RULE_FILE}`, { recursive: true });
  await real.pair.sync({ rules });
  await real.inStep();
  await assertSameTree(real.a, real.b, { ignore: isOurs });
  assertEquals(await treeText(real.a), 'd/\nd/g "4"\nd/i "6"\nh "5"');
});

Deno.test("syncTwoWay() leaves out what the rules say, on both sides, and lets directories stay for it", async () => {
  await using real = RealPair.open();
  makeTree(real.a, {
    ".filesyncignore": "*.log\n/build/\n",
    d: { f: "1", "x.log": "of a" },
    build: { out: "of a" },
    "a.log": "of a",
  });
  makeTree(real.b, { d: { "y.log": "of b" }, build: { other: "of b" } });
  using root = TreeRoot.open(real.a);
  const rules = [IgnoreRules.load(root)];
  const sync = async () => assertEquals((await real.pair.sync({ rules })).problems, []);
  await sync();
  const ofB = () => treeText(real.b);
  assertEquals(
    await ofB(),
    [
      '.filesyncignore "*.log\\n/build/\\n"',
      "build/",
      'build/other "of b"',
      "d/",
      'd/f "1"',
      'd/y.log "of b"',
    ]
      .join("\n"),
  );
  Deno.removeSync(`${real.a}/d`, { recursive: true });
  await sync();
  await sync();
  assertEquals(
    await ofB(),
    ['.filesyncignore "*.log\\n/build/\\n"', "build/", 'build/other "of b"', "d/", 'd/y.log "of b"'].join(
      "\n",
    ),
  );
  // What is left out from now on is neither carried nor removed; what is not any more is merged.
  Deno.writeTextFileSync(`${real.a}/.filesyncignore`, "/build/\n");
  await sync();
  assertEquals(Deno.readTextFileSync(`${real.a}/d/y.log`), "of b");
  assertEquals(Deno.readTextFileSync(`${real.b}/a.log`), "of a");
});

Deno.test("syncTwoWay() keeps the source free of what is ours", async () => {
  const temp = new TempDirectory();
  using _ = temp;
  {
    await using first = new LocalReceiver(makeTree(`${temp.path}/a`, { f: file("1") }), {
      clock: systemClock,
      state: `${temp.path}/state`,
    });
    await using second = new LocalReceiver(makeTree(`${temp.path}/b`, { g: file("2") }), {
      clock: systemClock,
    });
    using pair = new TwoWayPair(first, second, { clock: systemClock });
    assertEquals((await pair.sync()).inStep, true);
  }
  assertEquals(await treeText(`${temp.path}/a`), 'f "1"\ng "2"');
  assertEquals([...Deno.readDirSync(`${temp.path}/a`)].length, 2);
});
