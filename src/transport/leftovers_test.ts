import { assert, assertEquals } from "@std/assert";
import { randomBytes } from "../../tests/support/bytes.ts";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { describeBytes } from "../chunking/describe.ts";
import { unpackManifest } from "../core/chunk.ts";
import { parsePath } from "../core/path.ts";
import { LocalReceiver } from "./local_receiver.ts";

const WEEK = 7 * 24 * 3600 * 1000;

Deno.test("Leftovers go while a receiver runs, however long that is", async () => {
  using temp = new TempDirectory();
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  await using receiver = new LocalReceiver(temp.path, { clock });
  await receiver.ready;
  const remove = (key: string) =>
    receiver.apply({ key, actions: [{ type: "remove", path: parsePath("nothing") }], contents: new Map() });
  await remove("the first batch");
  for (const seed of [1, 2]) {
    const data = randomBytes(seed, 200_000);
    const { digest, size, packedManifest } = describeBytes(data, DEFAULT_CHUNKING);
    const manifest = unpackManifest(packedManifest);
    const [{ digest: first, length }] = manifest;
    await receiver.check([{ digest, size, manifest }]);
    if (seed === 1) await receiver.stage([{ digest: first, data: data.subarray(0, length) }]);
    else await receiver.stageRuns([{ content: digest, first: 0, data }]);
  }
  const left = () => [
    receiver.index.sql("SELECT count(*) AS n FROM answers").get()!.n,
    Deno.statSync(`${temp.path}/.filesync/chunks.pack`).size > 0,
    [...Deno.readDirSync(`${temp.path}/.filesync/tmp`)].length,
  ];
  await clock.advance(WEEK - 1);
  await remove("the second batch");
  assertEquals(left(), [2, true, 1]);
  await clock.advance(3600 * 1000);
  await remove("the third batch");
  assertEquals(left(), [2, false, 0], "the first answer is gone, the second stays");
  assert(receiver.index.sql("SELECT 1 FROM answers WHERE key = 'the second batch'").get() !== undefined);
});
