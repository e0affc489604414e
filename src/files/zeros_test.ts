import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import fc from "fast-check";
import { HOLE_BYTES, stretchesOf } from "./zeros.ts";

Deno.test("stretchesOf() leaves what is short, or is no zeros, in one", () => {
  for (const data of [new Uint8Array(HOLE_BYTES - 1), new Uint8Array(3 * HOLE_BYTES).fill(7)]) {
    assertEquals(stretchesOf(data), [{ bytes: data, isZero: false }]);
  }
  assertEquals(stretchesOf(new Uint8Array()), []);
});

Deno.test("stretchesOf() tells zeros from anything else, and loses nothing", () => {
  const spots = fc.array(fc.nat(6 * HOLE_BYTES), { maxLength: 6 });
  fc.assert(
    fc.property(fc.nat(6 * HOLE_BYTES), fc.nat(9), spots, (length, offset, spots) => {
      const data = new Uint8Array(offset + length).subarray(offset);
      for (const at of spots) if (at < length) data[at] = 1;
      const stretches = stretchesOf(data);
      assertEquals(stretches.reduce((sum, { bytes }) => sum + bytes.length, 0), length);
      let at = 0;
      stretches.forEach(({ bytes, isZero }, i) => {
        assertEquals([bytes.buffer, bytes.byteOffset], [data.buffer, offset + at]);
        if (isZero) {
          assertEquals(bytes.findIndex((byte) => byte !== 0), -1);
          assertGreaterOrEqual(bytes.length, HOLE_BYTES);
        }
        assertEquals(stretches[i - 1]?.isZero === isZero, false, "neighbours differ");
        at += bytes.length;
      });
      const left = length - spots.filter((spot) => spot < length).length * HOLE_BYTES - HOLE_BYTES;
      const zeros = stretches.reduce((sum, { bytes, isZero }) => sum + (isZero ? bytes.length : 0), 0);
      assertGreaterOrEqual(zeros, left, "no more is written than blocks with something in them");
    }),
    { numRuns: 60 },
  );
});
