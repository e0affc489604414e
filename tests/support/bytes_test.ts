import { assertEquals, assertNotEquals } from "@std/assert";
import { insertAt, randomBytes, smallInserts, writeBigFile } from "./bytes.ts";
import { withTemp } from "./temp.ts";

Deno.test("randomBytes() gives the same bytes for the same seed, of any length", () => {
  assertEquals(randomBytes(7, 1001), randomBytes(7, 2000).slice(0, 1001));
  assertNotEquals(randomBytes(7, 64), randomBytes(8, 64));
  assertEquals(new Set(randomBytes(1, 10_000)).size, 256);
});

Deno.test("insertAt() counts places in the data before any insert", () => {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const bytes = (content: string) => new TextEncoder().encode(content);
  const result = insertAt(bytes("abcd"), [
    { at: 4, bytes: bytes("!") },
    { at: 1, bytes: bytes("--") },
    { at: 0, bytes: bytes(">") },
  ]);
  assertEquals(text(result), ">a--bcd!");
});

Deno.test("smallInserts() makes as many as asked, within the data", () => {
  const inserts = smallInserts(3, 1000, 100, 4);
  assertEquals(inserts.length, 100);
  assertEquals(inserts.every(({ at, bytes }) => at <= 1000 && bytes.length >= 1 && bytes.length <= 4), true);
  assertEquals(inserts, smallInserts(3, 1000, 100, 4));
});

Deno.test("writeBigFile() writes what randomBytes() gives, across its pieces", () =>
  withTemp((dir) => {
    const size = (1 << 22) + 5;
    writeBigFile(`${dir}/big`, size, 9);
    assertEquals(Deno.readFileSync(`${dir}/big`), randomBytes(9, size));
  }));
