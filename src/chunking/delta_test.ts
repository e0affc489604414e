import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FilesyncError } from "../core/errors.ts";
import { sha256 } from "../hashing/sha256.ts";
import { decodeDelta, DeltaBuilder, type DeltaOperation } from "./delta.ts";

const BASE = sha256(new Uint8Array());
const bytes = (text: string) => new TextEncoder().encode(text);

const operation: fc.Arbitrary<DeltaOperation> = fc.oneof(
  fc.record({
    type: fc.constant("copy" as const),
    start: fc.oneof(fc.nat(100), fc.nat(), fc.maxSafeNat().map((n) => Math.floor(n / 4))),
    length: fc.oneof(fc.nat(100), fc.nat(), fc.maxSafeNat().map((n) => Math.floor(n / 1_000))),
  }),
  fc.record({ type: fc.constant("literal" as const), bytes: fc.uint8Array({ maxLength: 300 }) }),
);

function built(operations: readonly DeltaOperation[]): DeltaBuilder {
  const delta = new DeltaBuilder();
  for (const operation of operations) {
    if (operation.type === "copy") delta.copy(operation.start, operation.length);
    else delta.literal(operation.bytes);
  }
  return delta;
}

/** What is next to each other as one, and what is empty left out. */
function merged(operations: readonly DeltaOperation[]): DeltaOperation[] {
  const result: DeltaOperation[] = [];
  for (const operation of operations) {
    const last = result.at(-1);
    if (operation.type === "copy") {
      if (operation.length === 0) continue;
      if (last?.type === "copy" && last.start + last.length === operation.start) {
        last.length += operation.length;
      } else result.push({ ...operation });
    } else if (operation.bytes.length > 0) {
      if (last?.type === "literal") last.bytes = new Uint8Array([...last.bytes, ...operation.bytes]);
      else result.push({ ...operation });
    }
  }
  return result;
}

/** A malformed delta: `operations` are the numbers of all, after the base. */
function spelled(numbers: number[], literals = "", version = 1): Uint8Array {
  const spell = (n: number): number[] => n < 128 ? [n] : [n % 128 + 128, ...spell(Math.floor(n / 128))];
  return new Uint8Array([
    version,
    ...Uint8Array.fromHex(BASE),
    ...numbers.flatMap(spell),
    ...bytes(literals),
  ]);
}

Deno.test("DeltaBuilder.encode() gives the bytes it always gave", () => {
  const delta = new DeltaBuilder();
  delta.copy(0, 1_000);
  delta.literal(bytes("new"));
  delta.copy(1_003, 7);
  delta.copy(1_010, 3);
  delta.copy(5, 1);
  delta.literal(bytes("end"));
  assertEquals(
    delta.encode(BASE).toHex(),
    "01" + BASE + "f907" + "03" + "0000e807" + "03060a" + "00df0f01" + bytes("newend").toHex(),
  );
  assertEquals([delta.size, delta.literalBytes, delta.copiedBytes], [1_017, 6, 1_011]);
});

Deno.test("decodeDelta() gives back what was built, merged", () => {
  fc.assert(fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
    const delta = built(operations);
    const encoded = delta.encode(BASE);
    assert(encoded.length <= delta.encodedBytes);
    const decoded = decodeDelta(encoded);
    const expected = merged(operations);
    assertEquals([...decoded.operations()], expected);
    // Again: it keeps nothing of the first time.
    assertEquals([...decoded.operations()], expected);
    assertEquals([decoded.base, decoded.size], [BASE, delta.size]);
    const ends = expected.map((one) => one.type === "copy" ? one.start + one.length : 0);
    assertEquals(decoded.baseSize, Math.max(0, ...ends));
  }));
});

Deno.test("DeltaBuilder takes literals whose buffer is used again", () => {
  const buffer = bytes("one");
  const delta = new DeltaBuilder();
  delta.literal(buffer);
  buffer.set(bytes("two"));
  delta.literal(buffer);
  const [literal] = decodeDelta(delta.encode(BASE)).operations();
  assertEquals(literal, { type: "literal", bytes: bytes("onetwo") });
});

Deno.test("decodeDelta() refuses what makes no sense", () => {
  const far = Number.MAX_SAFE_INTEGER;
  const cases: [string, Uint8Array][] = [
    ["nothing", new Uint8Array()],
    ["no base", new Uint8Array([1, 2, 3])],
    ["another version", spelled([0, 0], "", 2)],
    ["no count", spelled([0])],
    ["fewer operations than said", spelled([10, 2, 0, 0, 10])],
    ["a huge count", spelled([10, far, 0, 0, 10])],
    ["an empty copy", spelled([3, 1, 0, 0, 0], "abc")],
    ["a copy before the base", spelled([1, 1, 0, 1, 1])],
    ["a copy that ends beyond all files", spelled([far, 1, 0, far - 1, far])],
    ["fewer literals than said", spelled([5, 1, 4, 0, 1], "abc")],
    ["more bytes than its size", spelled([3, 1, 0, 0, 1], "abc")],
    ["fewer bytes than its size", spelled([5, 1, 0, 0, 1], "abc")],
    ["copies of more than its size", spelled([5, 2, 0, 0, 5, 0, 0, far])],
  ];
  for (const [what, encoded] of cases) {
    const error = assertThrows(() => decodeDelta(encoded), FilesyncError, "Cannot read the delta", what);
    assertEquals([error.code, error.permanent], ["bad-request", true]);
  }
  assertEquals(decodeDelta(spelled([4, 1, 1, 0, 1], "abc")).size, 4);
});

Deno.test("decodeDelta() refuses or understands whatever bytes come, and gives no more than they hold", () => {
  const valid = fc.array(operation, { maxLength: 10 }).map((operations) => built(operations).encode(BASE));
  const spoiled = fc.tuple(valid, fc.nat(), fc.nat(255), fc.nat(3)).map(([encoded, at, byte, cut]) => {
    const copy = encoded.slice(0, encoded.length - cut);
    copy[33 + at % Math.max(1, copy.length - 33)] = byte;
    return copy;
  });
  const any = fc.uint8Array({ maxLength: 100 }).map((rest) =>
    new Uint8Array([1, ...new Uint8Array(32), ...rest])
  );
  fc.assert(
    fc.property(fc.oneof(spoiled, any), (encoded) => {
      let operations: DeltaOperation[];
      let decoded;
      try {
        decoded = decodeDelta(encoded);
        operations = [...decoded.operations()];
      } catch (error) {
        assert(error instanceof FilesyncError);
        assertEquals(error.code, "bad-request");
        return;
      }
      assert(operations.length <= encoded.length);
      const lengths = operations.map((one) => one.type === "copy" ? one.length : one.bytes.length);
      assertEquals(lengths.reduce((sum, length) => sum + length, 0), decoded.size);
      for (const one of operations) {
        if (one.type === "copy") assert(one.start >= 0 && one.start + one.length <= decoded.baseSize);
      }
    }),
    { numRuns: 2_000 },
  );
});
