import { assertEquals } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { openDirectoryReader, type ReadOutcome } from "./directory_reader.ts";
import { ListingWriter, readListings } from "./listing.ts";

/** Reads a directory with so many files in it, while a file is added. */
function readChanging(files: number, mayChange: boolean): { outcome: ReadOutcome; listed: number[] } {
  using temp = new TempDirectory();
  for (let i = 0; i < files; i++) Deno.writeFileSync(`${temp.path}/${i}`, new Uint8Array());
  Deno.utimeSync(temp.path, 1, 1);
  using reader = openDirectoryReader(temp.path, false);
  const writer = new ListingWriter();
  const outcome = reader.read({ path: temp.path, below: "", asks: true, mayChange }, writer, {
    ignores: () => {
      Deno.writeFileSync(`${temp.path}/late`, new Uint8Array());
      return false;
    },
    directory() {},
    problem() {},
  });
  return { outcome, listed: Array.from(readListings(writer.take()), ({ files }) => files) };
}

Deno.test("read() gives no listing of a big directory that was changed meanwhile, unless it is to", () => {
  assertEquals(readChanging(500, false), { outcome: "changed", listed: [] });
  const { outcome, listed: [files, ...more] } = readChanging(500, true);
  assertEquals([outcome, files >= 500, more], ["read", true, []]);
  assertEquals(readChanging(3, false).outcome, "read");
});
