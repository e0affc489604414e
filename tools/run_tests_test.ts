import { assertEquals } from "@std/assert";
import { countsIn, failuresIn, textOf } from "./run_tests.ts";

Deno.test("countsIn() reads the last line of deno test, coloured or not", () => {
  const plain = "a ... ok (1ms)\n\nok | 12 passed (3 steps) | 0 failed (8ms)\n";
  assertEquals(countsIn(plain), { passed: 12, failed: 0, skipped: 0 });
  const coloured =
    "\x1b[0m\x1b[31mFAILED\x1b[0m | 1 passed (2 steps) | 3 failed (1 step) | 1 ignored \x1b[0m\x1b[38;5;245m(8ms)\x1b[0m\n";
  assertEquals(countsIn(coloured), { passed: 1, failed: 3, skipped: 1 });
});

Deno.test("countsIn() passes over what a test printed that looks like the last line", () => {
  const output = "ok | 1 passed | 0 failed (1ms)\nok | 2 passed | 0 failed | 0 measured (1ms)\n";
  assertEquals(countsIn(output), { passed: 2, failed: 0, skipped: 0 });
});

Deno.test("countsIn() counts a run that did not come to its end as failed", () => {
  assertEquals(countsIn("error: Type checking failed.\n"), { passed: 0, failed: 1, skipped: 0 });
});

Deno.test("textOf() names skipped tests only when there are any", () => {
  assertEquals(textOf({ passed: 3, failed: 0, skipped: 0 }), "3 passed, 0 failed");
  assertEquals(textOf({ passed: 3, failed: 1, skipped: 2 }), "3 passed, 1 failed, 2 skipped");
});

Deno.test("failuresIn() gives what deno test told of failures, and nothing when there are none", () => {
  const output =
    "a ... \x1b[31mFAILED\x1b[0m\n\n\x1b[0m\x1b[1m\x1b[37m\x1b[41m ERRORS \x1b[0m\n\na => b_test.ts:1:6\nerror: no\n\nFAILED | 0 passed | 1 failed (1ms)\n";
  assertEquals(
    failuresIn(output),
    "ERRORS \n\na => b_test.ts:1:6\nerror: no\n\nFAILED | 0 passed | 1 failed (1ms)",
  );
  assertEquals(failuresIn("ok | 2 passed | 0 failed (1ms)\n"), "");
});
