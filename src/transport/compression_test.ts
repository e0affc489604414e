import { assert, assertEquals, assertRejects } from "@std/assert";
import { randomBytes } from "../../tests/support/bytes.ts";
import { FilesyncError } from "../core/errors.ts";
import { compress, decompress, LinkSpeed } from "./compression.ts";

const TEXT = new TextEncoder().encode("the same line again and again\n".repeat(1_000));

Deno.test("compress() shrinks what can be shrunk, and decompress() gives it back", async () => {
  const packed = (await compress(TEXT))!;
  assert(packed.length < TEXT.length / 10);
  assertEquals(await decompress(packed, TEXT.length), TEXT);
});

Deno.test("compress() leaves alone what is short or does not shrink", async () => {
  assertEquals(await compress(TEXT.subarray(0, 200)), undefined);
  assertEquals(await compress(randomBytes(1, 100_000)), undefined);
  assertEquals(await compress(randomBytes(1, 3_000_000)), undefined);
});

Deno.test("compress() shrinks a big body of which only a part can be shrunk", async () => {
  const body = randomBytes(1, 2_000_000);
  body.fill(7, 900_000);
  const packed = (await compress(body))!;
  assert(packed.length < 1_000_000);
  assertEquals(await decompress(packed, body.length), body);
});

Deno.test("decompress() refuses more bytes than are wanted, and what is no Zstandard", async () => {
  const bomb = (await compress(new Uint8Array(10 << 20)))!;
  assertEquals((await assertRejects(() => decompress(bomb, 1 << 20), FilesyncError)).code, "too-large");
  for (const junk of [randomBytes(2, 1_000), new Uint8Array(9)]) {
    assertEquals((await assertRejects(() => decompress(junk, 1 << 20), FilesyncError)).code, "bad-request");
  }
});

Deno.test("LinkSpeed takes a link for slow until big bodies went fast, and again when they do not", () => {
  const link = new LinkSpeed();
  assert(link.isSlow);
  link.learn(1_000, 0);
  assert(link.isSlow, "a small body says nothing");
  link.learn(4 << 20, 8);
  link.learn(4 << 20, 330);
  assert(!link.isSlow, "once may be the fault of something else");
  for (let i = 0; i < 20; i++) link.learn(4 << 20, 330);
  assert(link.isSlow);
});

Deno.test("LinkSpeed has bodies compressed harder when no answer ever came soon", () => {
  const link = new LinkSpeed();
  const { level } = link;
  link.learn(10, 40);
  link.learn(4 << 20, 330);
  assert(link.level > level);
  link.learn(10, 3);
  link.learn(10, 40);
  assertEquals(link.level, level);
});
