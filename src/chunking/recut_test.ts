import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { randomBytes } from "../../tests/support/bytes.ts";
import { DEFAULT_CHUNKING } from "./chunker.ts";
import { describeBytes, joined } from "./describe.ts";
import { type CommonRange, isRecutInVain, recut } from "./recut.ts";

const OLD = randomBytes(1, 1_500_000);
// Zeros have no places to cut at: chunks of the greatest length.
OLD.fill(0, 600_000, 900_000);

/** A part of the new content: bytes of the old one, or new bytes. */
type Part = { base: number; length: number } | { fresh: number; length: number };

/** Cuts what `parts` make, both ways; gives how many bytes the short way read. */
function check(parts: Part[]): number {
  const common: CommonRange[] = [];
  let start = 0;
  const data = joined(parts.map((part) => {
    if (!("base" in part)) {
      start += part.length;
      return randomBytes(part.fresh, part.length);
    }
    const bytes = OLD.subarray(part.base, part.base + part.length);
    common.push({ start, base: part.base, length: bytes.length });
    start += bytes.length;
    return bytes;
  }));
  const sizes = DEFAULT_CHUNKING.sizesFor(data.length);
  let bytesRead = 0;
  const manifest = recut({
    chunking: DEFAULT_CHUNKING,
    base: describeBytes(OLD, DEFAULT_CHUNKING).packedManifest,
    sizes,
    size: data.length,
    common,
    read(into, at) {
      into.set(data.subarray(at, at + into.length));
      bytesRead += into.length;
    },
  });
  const expected = describeBytes(data, DEFAULT_CHUNKING).packedManifest;
  if (expected.length > 36) assertEquals(manifest, expected);
  return bytesRead;
}

Deno.test("recut() gives the chunks that cutting all of it gives", () => {
  const length = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 1_000_000 }));
  const part = fc.oneof(
    fc.record({ base: fc.nat(OLD.length - 1), length }),
    fc.record({ fresh: fc.nat(9), length: fc.integer({ min: 1, max: 100_000 }) }),
  );
  fc.assert(fc.property(fc.array(part, { maxLength: 6 }), (parts) => void check(parts)), { numRuns: 60 });
});

Deno.test("recut() reads nothing of what is all the same, and little around an edit", () => {
  const all = { base: 0, length: OLD.length };
  assertEquals(check([all]), 0);
  const [before, after] = [{ base: 0, length: 1_200_000 }, { base: 1_200_000, length: OLD.length }];
  assert(check([before, { fresh: 3, length: 10 }, after]) <= 3 * 256 << 10);
  assert(check([{ fresh: 3, length: 10 }, all]) <= 256 << 10);
  assert(check([all, { fresh: 3, length: 10 }]) <= 256 << 10);
});

Deno.test("recut() does not take the end of the old content for a cut", () => {
  check([{ base: 0, length: OLD.length }, { base: 0, length: OLD.length }]);
  check([{ base: 1_000_000, length: 500_000 }]);
  check([{ base: 0, length: OLD.length - 1 }]);
});

Deno.test("isRecutInVain() is for small contents, and for many edits", () => {
  const sizes = DEFAULT_CHUNKING.sizesFor(0);
  assert(isRecutInVain(1, 1 << 20, sizes));
  assert(!isRecutInVain(100, 1 << 30, sizes));
  assert(isRecutInVain(10_000, 1 << 30, sizes));
});
