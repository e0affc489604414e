import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FilesyncError } from "../core/errors.ts";
import { ByteReader, ByteWriter } from "./varint.ts";

Deno.test("ByteWriter spells numbers as it always did", () => {
  const writer = new ByteWriter(1);
  [0, 127, 128, 300, 2 ** 32, Number.MAX_SAFE_INTEGER].forEach((value) => writer.varint(value));
  [0, -1, 1, -64].forEach((value) => writer.signed(value));
  assertEquals(
    writer.bytes.toHex(),
    "00" + "7f" + "8001" + "ac02" + "8080808010" + "ffffffffffffff0f" + "00" + "01" + "02" + "7f",
  );
});

Deno.test("ByteReader gives back what ByteWriter was given", () => {
  const number = fc.oneof(fc.nat(), fc.maxSafeNat());
  const signed = fc.oneof(fc.integer(), fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 }));
  fc.assert(fc.property(fc.array(fc.tuple(number, signed, fc.uint8Array())), (items) => {
    const writer = new ByteWriter();
    for (const [value, signed, bytes] of items) {
      writer.varint(value);
      writer.signed(signed);
      writer.write(bytes);
    }
    const reader = new ByteReader(writer.bytes, "the test");
    for (const item of items) {
      assertEquals([reader.varint(), reader.signed(), reader.read(item[2].length)], item);
    }
    assertEquals(reader.left, 0);
  }));
});

Deno.test("ByteWriter refuses numbers that cannot be read again", () => {
  for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(() => new ByteWriter().varint(value), RangeError);
  }
  for (const value of [2 ** 52, -(2 ** 52) - 1, 0.3]) {
    assertThrows(() => new ByteWriter().signed(value), RangeError);
  }
});

Deno.test("ByteReader refuses numbers that are cut, too great, or spelled in another way", () => {
  for (const hex of ["", "80", "ffffffffffffff10", "ffffffffffffffffff", "8000", "808080808080808000"]) {
    const reader = new ByteReader(Uint8Array.fromHex(hex), "the test");
    const error = assertThrows(() => reader.varint(), FilesyncError);
    assertEquals([error.code, error.permanent], ["bad-request", true]);
  }
  assertThrows(() => new ByteReader(new Uint8Array(3), "the test").read(4), FilesyncError);
});
