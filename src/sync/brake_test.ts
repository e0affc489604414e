import { assertEquals } from "@std/assert";
import { brakeReason } from "./brake.ts";

Deno.test("brakeReason() lets ordinary removals pass", () => {
  for (
    const removals of [
      { known: 100, gone: 0, empty: false },
      { known: 100, gone: 30, empty: false },
      // Few, though most of all.
      { known: 10, gone: 9, empty: false },
      // The only file of a directory.
      { known: 1, gone: 1, empty: true },
      // A disk that was restored, with what was on it.
      { known: 100, gone: 2, empty: false, replaced: true },
      // It was empty before.
      { known: 0, gone: 0, empty: true },
    ]
  ) assertEquals(brakeReason(removals), undefined);
});

Deno.test("brakeReason() stops what looks like an accident, and says why", () => {
  assertEquals(
    brakeReason({ known: 100, gone: 31, empty: false }),
    "31 of 100 entries are gone at once",
  );
  assertEquals(
    brakeReason({ known: 2, gone: 2, empty: true }),
    "the source is empty, and 2 entries were known in it",
  );
  assertEquals(
    brakeReason({ known: 3, gone: 1, empty: false, replaced: true, name: "the backup" }),
    "another directory stands in place of the backup, without 1 of 3 entries",
  );
  // Ten are not few any more.
  assertEquals(brakeReason({ known: 19, gone: 10, empty: false }), "10 of 19 entries are gone at once");
});
