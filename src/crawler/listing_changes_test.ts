import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { KIND, type Kind, type ListedEntry, ListingWriter, readListings, visitRows } from "./listing.ts";
import { certainRows, changedRows } from "./listing_changes.ts";

/** Rows of a listing. */
function rowsOf(entries: ListedEntry[]): Uint8Array<ArrayBuffer> {
  const writer = new ListingWriter();
  writer.begin("/tree");
  for (const { name, kind, size, mtime, inode } of entries) {
    const bytes = new TextEncoder().encode(name);
    const high = (number: number) => Math.floor(number / 2 ** 32);
    writer.add(
      bytes,
      bytes.length,
      kind as Kind,
      high(size),
      size >>> 0,
      mtime,
      high(inode),
      inode >>> 0,
    );
  }
  writer.end(() => "".padEnd(64, "0") as never);
  const [{ rows }] = readListings(writer.take());
  return rows;
}

/** The text of what a catalog knows, in any order. */
function textOf(entries: ListedEntry[]): string | null {
  const lines = entries.map(({ name, kind, size, mtime, inode }) =>
    [name, kind, size, mtime, inode].join("/")
  );
  return lines.length === 0 ? null : lines.reverse().join("//");
}

function entriesOf(rows: Uint8Array<ArrayBuffer>): ListedEntry[] {
  const entries: ListedEntry[] = [];
  visitRows(rows, (entry) => entries.push({ ...entry }));
  return entries.sort((a, b) => a.name < b.name ? -1 : 1);
}

const entries = fc.uniqueArray(
  fc.record({
    name: fc.oneof(
      fc.constantFrom("a", "b", "-1", "ä", "日本", "\u{1F389}", "x".repeat(255)),
      fc.string({ minLength: 1, maxLength: 3 }).map((name) => name.replaceAll(/[/\0]/g, "_")),
    ),
    kind: fc.constantFrom<Kind>(KIND.file, KIND.symlink, KIND.directory, KIND.unknown),
    size: fc.constantFrom(0, 1, 2 ** 40),
    mtime: fc.constantFrom(0, -5, 1_700_000_000_123_456, Number.MAX_SAFE_INTEGER),
    inode: fc.constantFrom(1, 2 ** 53 - 1),
  }),
  { selector: ({ name }) => name, maxLength: 40 },
);

Deno.test("changedRows() gives what is new, other or gone, and nothing else", () => {
  fc.assert(fc.property(entries, entries, fc.boolean(), (before, others, isSame) => {
    const known = before.filter(({ kind }) => kind !== KIND.unknown);
    const now = isSame ? before : others;
    const expected = now.filter((entry) =>
      entry.kind !== KIND.unknown && !known.some((old) => JSON.stringify(old) === JSON.stringify(entry))
    ).concat(
      known.filter(({ name }) => !now.some((entry) => entry.name === name)).map(({ name }) => ({
        ...{ name, kind: KIND.gone, size: 0, mtime: 0, inode: 0 },
      })),
    );
    assertEquals(
      entriesOf(changedRows(rowsOf(now), textOf(known))),
      expected.sort((a, b) => a.name < b.name ? -1 : 1),
    );
  }));
});

Deno.test("changedRows() takes directories of any size", () => {
  const many = Array.from(
    { length: 5000 },
    (_, i) => ({ name: `file ${i}`, kind: KIND.file, size: i, mtime: i, inode: i }),
  );
  assertEquals(entriesOf(changedRows(rowsOf(many), textOf(many))), []);
  assertEquals(entriesOf(changedRows(rowsOf(many.slice(1)), textOf(many))).map(({ name }) => name), [
    "file 0",
  ]);
  assertEquals(entriesOf(changedRows(rowsOf(many), null)).length, 5000);
});

Deno.test("certainRows() leaves out what could not be looked at", () => {
  const entry = { size: 1, mtime: 2, inode: 3 };
  const rows = rowsOf([{ name: "a", kind: KIND.file, ...entry }, {
    name: "b",
    kind: KIND.unknown,
    ...entry,
  }]);
  assertEquals(entriesOf(certainRows(rows)).map(({ name }) => name), ["a"]);
});
