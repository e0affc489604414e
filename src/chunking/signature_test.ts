import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  leavingFactor,
  roll,
  signatureBytes,
  signatureOf,
  SignatureWriter,
  strongBytesFor,
  weakChecksum,
} from "./signature.ts";

Deno.test("signatureOf() gives the bytes it always gave", () => {
  const data = Uint8Array.from({ length: 200 }, (_, i) => i);
  // Both ends must compute the same: when this changes, the version of the protocol has to.
  assertEquals(signatureOf(data, 128).toHex(), "c063e7aa" + "b7" + "3c8c582e" + "8f");
  assertEquals(signatureOf(new Uint8Array(), 128).length, 0);
});

Deno.test("SignatureWriter gives the same however many blocks come at once", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.integer({ min: 1, max: 9 }), (data, blocks) => {
      const writer = new SignatureWriter(data.length, 64);
      for (let at = 0; at < data.length; at += blocks * 64) writer.add(data.subarray(at, at + blocks * 64));
      assertEquals(writer.signature, signatureOf(data, 64));
      assertEquals(writer.signature.length, signatureBytes(data.length, 64));
    }),
  );
});

Deno.test("roll() is weakChecksum() of the next block", () => {
  const sizes = fc.integer({ min: 1, max: 70 });
  fc.assert(fc.property(fc.uint8Array({ minLength: 70, maxLength: 200 }), sizes, (data, size) => {
    let weak = weakChecksum(data, 0, size);
    for (let at = 0; at + size < data.length; at++) {
      weak = roll(weak, data[at], data[at + size], leavingFactor(size));
      assertEquals(weak, weakChecksum(data, at + 1, at + 1 + size));
    }
  }));
});

Deno.test("strongBytesFor() grows with what is searched", () => {
  assertEquals(
    [0, 1, 10_000, 32 << 10, 1 << 20, 64 << 20, 2 ** 40].map((bytes) => strongBytesFor(bytes, 512)),
    [1, 1, 1, 2, 3, 4, 4],
  );
});
