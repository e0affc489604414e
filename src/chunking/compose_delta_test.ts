import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { insertAt, integer, randomBytes, seededRandom, smallInserts } from "../../tests/support/bytes.ts";
import { FilesyncError } from "../core/errors.ts";
import { applyDelta, makeDelta } from "../../tests/support/deltas.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { changedRegions, wholeRegion } from "./changed_regions.ts";
import { DEFAULT_CHUNKING } from "./chunker.ts";
import { composeDelta, rangesToSign } from "./compose_delta.ts";
import { describeBytes } from "./describe.ts";
import { outlineOf } from "./outline.ts";
import { signatureOf } from "./signature.ts";

const outline = (data: Uint8Array) => outlineOf(describeBytes(data, DEFAULT_CHUNKING).packedManifest);

Deno.test("composeDelta() makes a big content of runs of chunks, and of blocks where it has changed", async () => {
  const old = randomBytes(1, 4 << 20);
  const now = insertAt(old, smallInserts(2, old.length, 20));
  const segments = changedRegions(outline(old), outline(now));
  assertLess(rangesToSign(segments).reduce((sum, { start, end }) => sum + end - start, 0), old.length / 4);
  const { encoded, literalBytes } = await makeDelta(old, now, { segments });
  assertEquals(applyDelta(encoded, old), now);
  assertLess(literalBytes, 20 * 1_024);
});

Deno.test("composeDelta() looks into a region that is bigger than its window", async () => {
  const old = randomBytes(3, 9 << 20);
  const now = insertAt(old, [{ at: 0, bytes: randomBytes(4, 100) }]);
  const { encoded, literalBytes } = await makeDelta(old, now);
  assertEquals(applyDelta(encoded, old), now);
  // Nothing is lost where two windows meet.
  assertEquals(literalBytes, 100);
});

Deno.test("composeDelta() gives up when the delta is bigger than asked", async () => {
  const old = randomBytes(5, 10_000);
  const now = randomBytes(6, 10_000);
  const parts = {
    segments: wholeRegion(old.length, now.length),
    signature: signatureOf(old),
    blockSize: 512,
    read: (start: number, end: number) => Promise.resolve(now.subarray(start, end)),
  };
  assertEquals(await composeDelta({ ...parts, most: 10_000 }), undefined);
  assert(await composeDelta({ ...parts, most: 10_200 }) !== undefined);
  await assertRejects(
    () => composeDelta({ ...parts, signature: new Uint8Array(1), most: 20_000 }),
    FilesyncError,
  );
});

Deno.test("composeDelta() sends a fifth of what one block size for all of a database would", async () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/data.sqlite`;
  const random = seededRandom(7);
  const [old, now] = databaseWithUpdates(path, random);
  const mine = await makeDelta(old, now, { segments: changedRegions(outline(old), outline(now)) });
  assertEquals(applyDelta(mine.encoded, old), now);
  // What rsync takes: blocks of the square root of the file's size, over all of it.
  const blockSize = Math.floor(Math.sqrt(old.length) / 8) * 8;
  const rsyncs = await makeDelta(old, now, { blockSize });
  const bytes = ({ encoded, signatureBytes }: typeof mine) => encoded.length + signatureBytes;
  assertLess(bytes(mine), bytes(rsyncs) / 5);
});

/** A database of 34 MB before and after 1,000 random rows were updated. */
function databaseWithUpdates(path: string, random: () => number): [Uint8Array, Uint8Array] {
  using database = new DatabaseSync(path);
  database.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, score REAL, note TEXT)");
  const change = (sql: string, rows: unknown[][]) => {
    database.exec("BEGIN");
    const statement = database.prepare(sql);
    for (const row of rows) statement.run(...row as (number | string)[]);
    database.exec("COMMIT");
    return Deno.readFileSync(path);
  };
  const note = () => Array.from({ length: 40 }, () => integer(random, 1e6)).join(" ");
  const rows = Array.from({ length: 110_000 }, (_, id) => [id, random(), note()]);
  const updates = Array.from({ length: 1_000 }, () => [random(), integer(random, rows.length)]);
  return [
    change("INSERT INTO t VALUES (?, ?, ?)", rows),
    change("UPDATE t SET score = ? WHERE id = ?", updates),
  ];
}
