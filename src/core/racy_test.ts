import { assertEquals } from "@std/assert";
import { isRacy } from "./racy.ts";

Deno.test("isRacy() suspects a file that was looked at within a tick of its time", () => {
  const mtime = 1_700_000_000_123;
  assertEquals([0, 10, 49, 50, 1_000].map((later) => isRacy(mtime, mtime + later)), [
    true,
    true,
    true,
    false,
    false,
  ]);
  assertEquals(isRacy(mtime, mtime - 1_000), true, "its time lies in the future");
});

Deno.test("isRacy() allows for file systems that stamp by whole seconds, even two", () => {
  const mtime = 1_700_000_000_000;
  assertEquals([50, 1_000, 1_999, 2_000].map((later) => isRacy(mtime, mtime + later)), [
    true,
    true,
    true,
    false,
  ]);
});
