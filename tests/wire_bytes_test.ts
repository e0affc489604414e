import { assertEquals, assertLess } from "@std/assert";
import { insertAt, randomBytes, smallInserts, writeBigFile } from "./support/bytes.ts";
import { Pair, until } from "./support/pair.ts";
import { makeTree } from "./support/trees.ts";

const MiB = 1 << 20;

/** Starts, with the source filled by `fill` and pushed; nothing counted yet. */
async function pushed(fill: (source: string) => void): Promise<Pair> {
  const pair = await Pair.start();
  fill(pair.source);
  assertEquals((await pair.push()).code, 0);
  pair.proxy.resetCounts();
  return pair;
}

Deno.test("twenty copies of one file cost as much as one", async () => {
  await using pair = await Pair.start();
  writeBigFile(`${pair.source}/original`, 50 * MiB, 1);
  for (let i = 1; i < 20; i++) Deno.copyFileSync(`${pair.source}/original`, `${pair.source}/copy-${i}`);
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
  assertLess(pair.bytes, 1.03 * 50 * MiB);
});

Deno.test("a hundred small inserts into a big file send less than a twentieth of it", async () => {
  const size = 200 * MiB;
  await using pair = await pushed((source) => writeBigFile(`${source}/big`, size, 2));
  const before = Deno.readFileSync(`${pair.source}/big`);
  Deno.writeFileSync(`${pair.source}/big`, insertAt(before, smallInserts(3, size, 100)));
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
  assertLess(pair.bytes, size / 20);
});

Deno.test("renaming a directory of 5,000 files sends next to nothing", async (t) => {
  const content = (i: number) => `file ${i}\n`.repeat(1 + i % 50);
  await using pair = await pushed((source) => {
    const files = Array.from({ length: 5_000 }, (_, i) => [`d${i % 50}/f${i}`, content(i)]);
    makeTree(`${source}/before`, Object.fromEntries(files));
  });
  await t.step("while nothing ran", async () => {
    Deno.renameSync(`${pair.source}/before`, `${pair.source}/between`);
    const { totals } = await pair.push();
    await pair.assertInStep();
    assertEquals([totals?.counts.move, totals?.counts.put], [1, 0]);
    assertLess(pair.bytes, 10_000);
  });
  await t.step("while it is watched", async () => {
    const watch = await pair.watchInStep();
    await pair.quiet();
    pair.proxy.resetCounts();
    Deno.renameSync(`${pair.source}/between`, `${pair.source}/after`);
    await pair.inStep();
    await pair.quiet();
    assertLess(pair.bytes, 10_000);
    await watch.stop();
  });
});

Deno.test("content that the server has in parts of other files is not sent", async () => {
  const parts = [randomBytes(4, 3 * MiB), randomBytes(5, 5 * MiB), randomBytes(6, 4 * MiB)];
  await using pair = await pushed((source) => {
    parts.forEach((part, i) => Deno.writeFileSync(`${source}/part-${i}`, part));
  });
  // As an archive holds them: one after the other, each behind a header.
  using archive = Deno.openSync(`${pair.source}/archive`, { write: true, create: true });
  parts.forEach((part, i) => {
    archive.writeSync(randomBytes(10 + i, 512));
    for (let done = 0; done < part.length;) done += archive.writeSync(part.subarray(done));
  });
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
  assertLess(pair.bytes, MiB / 2);
});

Deno.test("an archive that is pushed together with what is in it costs little more than the parts", async () => {
  await using pair = await Pair.start();
  const parts = Array.from({ length: 8 }, (_, i) => randomBytes(30 + i, 2 * MiB));
  parts.forEach((part, i) => Deno.writeFileSync(`${pair.source}/part-${i}`, part));
  Deno.writeFileSync(`${pair.source}/archive`, new Uint8Array(await new Blob(parts).arrayBuffer()));
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
  assertLess(pair.bytes, 1.1 * 16 * MiB);
});

Deno.test("a part taken out of a big file is not sent", async () => {
  await using pair = await pushed((source) => writeBigFile(`${source}/big`, 20 * MiB, 7));
  const big = Deno.readFileSync(`${pair.source}/big`);
  Deno.writeFileSync(`${pair.source}/part`, big.subarray(3 * MiB + 17, 15 * MiB + 5));
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
  assertLess(pair.bytes, MiB / 4);
});

Deno.test("what was only touched, or had its mode changed, is not sent", async () => {
  await using pair = await pushed((source) => {
    writeBigFile(`${source}/touched`, 20 * MiB, 8);
    writeBigFile(`${source}/mode`, 20 * MiB, 9);
  });
  Deno.utimeSync(`${pair.source}/touched`, 1_500_000_000, 1_500_000_000);
  Deno.chmodSync(`${pair.source}/mode`, 0o600);
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
  assertLess(pair.bytes, 10_000);
});

Deno.test("a file that was removed and comes back under another name is not sent again", async () => {
  const kept = randomBytes(11, 20 * MiB);
  await using pair = await pushed((source) => {
    Deno.writeFileSync(`${source}/before`, kept);
    makeTree(source, { other: "stays" });
  });
  await pair.watchInStep();
  await pair.quiet();
  pair.proxy.resetCounts();
  Deno.renameSync(`${pair.source}/before`, `${pair.directory("aside")}/file`);
  Deno.copyFileSync(`${pair.directory("aside")}/file`, `${pair.source}/after`);
  await pair.inStep();
  await pair.quiet();
  assertLess(pair.bytes, 50_000);
});

Deno.test("content that is pushed, removed and pushed again is sent again, whole", async () => {
  const size = 5 * MiB;
  await using pair = await pushed((source) => {
    writeBigFile(`${source}/file`, size, 12);
    makeTree(source, { other: "stays" });
  });
  const watch = await pair.watchInStep();
  Deno.removeSync(`${pair.source}/file`);
  await until("the removal arrives", () => {
    return watch.json.some(({ type, action }) => type === "applied" && action.type === "remove");
  });
  writeBigFile(`${pair.source}/file`, size, 12);
  await pair.inStep();
  assertLess(pair.bytes, 1.1 * size);
});
