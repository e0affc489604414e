import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FilesyncError } from "../core/errors.ts";
import { packRanges, unpackRanges } from "./byte_range.ts";

Deno.test("unpackRanges() gives back what packRanges() was given", () => {
  const most = 2 ** 51;
  const range = fc.tuple(fc.nat(most), fc.nat(1_000)).map(([start, length]) => ({
    start,
    end: start + length,
  }));
  fc.assert(fc.property(fc.array(range), (ranges) => {
    assertEquals(unpackRanges(packRanges(ranges)), ranges);
  }));
  assertEquals(
    packRanges([{ start: 5, end: 8 }, { start: 10, end: 12 }, { start: 0, end: 1 }]).toHex(),
    "0a0304021701",
  );
});

Deno.test("unpackRanges() refuses what are no ranges", () => {
  for (const hex of ["0a", "0103", "0080", "00ffffffffffffff0f02ffffffffffffff0f"]) {
    assertEquals(
      assertThrows(() => unpackRanges(Uint8Array.fromHex(hex)), FilesyncError).code,
      "bad-request",
    );
  }
});
