import { assert, assertEquals, assertGreater } from "@std/assert";
import { insertAt, randomBytes } from "../../tests/support/bytes.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { DEFAULT_CHUNKING } from "./chunker.ts";
import { cutFile, type FileRange } from "./describe.ts";
import { joinSegments, segmentsOf } from "./segments.ts";

const MIB = 1 << 20;
const SIZES = DEFAULT_CHUNKING.sizesFor(0);

Deno.test("segmentsOf() covers the file, each segment reaching into the next", () => {
  const beyond = 8 * SIZES.max;
  assertEquals(segmentsOf(5, SIZES, 10), [{ start: 0, end: 5 }]);
  assertEquals(segmentsOf(5 * MIB, SIZES, 2 * MIB), [
    { start: 0, end: 2 * MIB + beyond },
    { start: 2 * MIB, end: 5 * MIB },
  ]);
  assertEquals(segmentsOf(4 * MIB, SIZES, 2 * MIB).at(-1), { start: 2 * MIB, end: 4 * MIB });
});

const zeros = new Uint8Array(3 * MIB);
const CONTENTS: [string, Uint8Array][] = [
  ["random bytes", randomBytes(1, 10 * MIB)],
  ["bytes that end within an overlap", randomBytes(2, 6 * MIB + 100_000)],
  ["zeros, where segments begin at cuts by luck", new Uint8Array(8 * MIB)],
  ["zeros, where they do not", insertAt(new Uint8Array(8 * MIB), [{ at: 0, bytes: randomBytes(3, 99_999) }])],
  ["zeros in random bytes", insertAt(randomBytes(4, 7 * MIB), [{ at: 1_234_567, bytes: zeros }])],
];

for (const [what, data] of CONTENTS) {
  Deno.test(`joinSegments() gives the cuts of the whole, of ${what}`, async () => {
    using temp = new TempDirectory();
    const path = `${temp.path}/file`;
    Deno.writeFileSync(path, data);
    const cut = (range?: FileRange) => cutFile(path, DEFAULT_CHUNKING, range);
    for (const segmentBytes of [MIB, 1_500_001, 3 * MIB]) {
      const segments = segmentsOf(data.length, SIZES, segmentBytes);
      assertGreater(segments.length, 1);
      const joined = await joinSegments(segments, segments.map(cut), (range) => Promise.resolve(cut(range)));
      assert(joined.toHex() === cut().toHex(), `segments of ${segmentBytes}`);
    }
  });
}

Deno.test("joinSegments() cuts nothing again where segments meet", async () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/file`;
  const data = randomBytes(5, 20 * MIB);
  Deno.writeFileSync(path, data);
  const segments = segmentsOf(data.length, SIZES, MIB);
  const manifests = segments.map((range) => cutFile(path, DEFAULT_CHUNKING, range));
  await joinSegments(segments, manifests, () => Promise.reject(new Error("cut again")));
});
