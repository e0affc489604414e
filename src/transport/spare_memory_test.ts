import { assert, assertEquals } from "@std/assert";
import { SpareMemory } from "./spare_memory.ts";

Deno.test("lend() gives memory that was given back, not what is still lent", () => {
  const spare = new SpareMemory();
  const first = spare.lend();
  const bytes = first.take(100_000);
  assertEquals(bytes.length, 100_000);
  using second = spare.lend();
  assert(second.take(100_000).buffer !== bytes.buffer);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  using third = spare.lend();
  assert(third.take(110_000).buffer === bytes.buffer, "a little longer");
  using fourth = spare.lend();
  assert(fourth.take(100_000).buffer !== bytes.buffer, "given back once");
});

Deno.test("lend() does not keep what is small or does not fit", () => {
  const spare = new SpareMemory();
  for (const length of [0, 1_000]) {
    using lent = spare.lend();
    assertEquals(lent.take(length).buffer.byteLength, length);
  }
  spare.lend()[Symbol.dispose]();
  {
    using small = spare.lend();
    small.take(70_000);
  }
  using big = spare.lend();
  assertEquals(big.take(1_000_000).length, 1_000_000);
});
