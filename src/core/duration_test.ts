import { assertEquals } from "@std/assert";
import { durationIn } from "./duration.ts";

Deno.test("durationIn() adds up numbers with units, and knows nothing else", () => {
  assertEquals(["500ms", "30s", "5m", "1h30m", "1.5d", "2W"].map(durationIn), [
    500,
    30_000,
    300_000,
    5_400_000,
    129_600_000,
    1_209_600_000,
  ]);
  for (const text of ["", "5", "s", "5 m", "-1h", "1y", "9e9w", `${"9".repeat(20)}w`]) {
    assertEquals(durationIn(text), undefined, text);
  }
});
