import { assertEquals } from "@std/assert";
import { brakeReason } from "./brake.ts";

Deno.test("brakeReason() lets ordinary removals pass", () => {
  for (
    const removals of [
      { known: 100, gone: 0, empty: false },
      { known: 100, gone: 50, empty: false },
      // Few, though most of all.
      { known: 10, gone: 9, empty: false },
      // The only file of a directory.
      { known: 1, gone: 1, empty: true },
      // It was empty before.
      { known: 0, gone: 0, empty: true },
    ]
  ) assertEquals(brakeReason(removals), undefined);
});

Deno.test("brakeReason() stops what looks like an accident, and says why", () => {
  assertEquals(
    brakeReason({ known: 100, gone: 51, empty: false }),
    "51 of 100 entries are gone at once",
  );
  assertEquals(
    brakeReason({ known: 2, gone: 2, empty: true }),
    "the source is empty, and 2 entries were known in it",
  );
  // Ten are not few any more.
  assertEquals(brakeReason({ known: 19, gone: 10, empty: false }), "10 of 19 entries are gone at once");
});
