import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { DatabaseSync } from "node:sqlite";
import { isWithin, parsePath, type TreePath } from "../core/path.ts";
import { historyOf, type HistorySearch, MOST_LOOKED_AT, searchHistory } from "./history_search.ts";
import { INDEX_MIGRATIONS } from "./schema.ts";
import { type HistoryRow, TreeIndex } from "./tree_index.ts";

/** An index in memory. */
function newIndex(): TreeIndex {
  const db = new DatabaseSync(":memory:");
  for (const migration of INDEX_MIGRATIONS) db.exec(migration);
  return new TreeIndex(db);
}

const PATHS = ["a", "a/b", "a/b/c", "a-b", "A/B", "x%y", "x_y", "d\\e"].map(parsePath);
const WHAT = ["put", "move", "remove"];

/** What a search shall find, said plainly. */
function expected(rows: readonly HistoryRow[], { under, text = "", what = [], since, until }: HistorySearch) {
  return rows.filter((row) => {
    const paths = [row.path, ...(row.from === undefined ? [] : [row.from])];
    return (under === undefined || paths.some((path) => isWithin(path, under))) &&
      paths.some((path) => path.toLowerCase().includes(text.toLowerCase())) &&
      (what.length === 0 || what.includes(row.what)) &&
      (since === undefined || row.time >= since) && (until === undefined || row.time < until);
  }).toReversed();
}

Deno.test("searchHistory() finds page by page what a look at every row finds", () => {
  const row = fc.record({
    what: fc.constantFrom(...WHAT),
    path: fc.constantFrom(...PATHS),
    from: fc.option(fc.constantFrom(...PATHS), { nil: undefined }),
    pause: fc.integer({ min: 0, max: 3 }),
    skipped: fc.constantFrom(0, 0, 0, 5),
  });
  const search = fc.record({
    under: fc.constantFrom(undefined, ...PATHS),
    text: fc.constantFrom("", "b", "%", "_", "\\", "A/", "zz"),
    what: fc.subarray(WHAT),
    since: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined }),
    until: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined }),
    limit: fc.integer({ min: 1, max: 7 }),
  });
  fc.assert(fc.property(fc.array(row, { maxLength: 40 }), search, (made, search) => {
    using index = newIndex();
    const rows: HistoryRow[] = [];
    let time = 0;
    for (const { pause, skipped, from, ...rest } of made) {
      time += pause;
      if (skipped > 0) index.skipSequence(skipped);
      const one = { ...rest, time, ...(from === undefined ? {} : { from }) };
      rows.push({ ...one, sequence: index.record(one) });
    }
    const found: HistoryRow[] = [];
    for (let before: number | undefined, pages = 0;; pages++) {
      assert(pages <= rows.length);
      const page = searchHistory(index, { ...search, before });
      assert(page.rows.length <= search.limit);
      found.push(...page.rows);
      if (page.before === undefined) break;
      before = page.before;
    }
    assertEquals(found, expected(rows, search));
  }));
});

Deno.test("searchHistory() looks at so many rows only, and says where to go on", () => {
  using index = newIndex();
  index.transaction(() => {
    index.record({ time: 1, what: "put", path: "needle" as TreePath });
    for (let i = 0; i < MOST_LOOKED_AT + 10; i++) {
      index.record({ time: 2, what: "put", path: "hay" as TreePath });
    }
  });
  const first = searchHistory(index, { text: "needle" });
  assertEquals([first.rows, first.looked], [[], MOST_LOOKED_AT]);
  const second = searchHistory(index, { text: "needle", before: first.before });
  assertEquals([second.rows.map(({ sequence }) => sequence), second.before], [[1], undefined]);
});

Deno.test("historyOf() tells what happened to one path itself, newest first", () => {
  using index = newIndex();
  for (const path of ["a", "a/b", "a"]) index.record({ time: 1, what: "put", path: path as TreePath });
  assertEquals(historyOf(index, "a" as TreePath, 10).map(({ sequence }) => sequence), [3, 1]);
  assertEquals(historyOf(index, "a" as TreePath, 1).length, 1);
});
