import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { LONGEST_DELAY_MS } from "./backoff.ts";
import { parseRetryAfter } from "./retry_after.ts";

const NOW = Date.UTC(2026, 2, 1, 12);

Deno.test("parseRetryAfter() takes seconds, and every form of a date", () => {
  assertEquals(parseRetryAfter("7", NOW), 7_000);
  assertEquals(parseRetryAfter(" 0 ", NOW), 0);
  for (
    const date of [
      "Sun, 01 Mar 2026 12:01:30 GMT",
      "Sunday, 01-Mar-26 12:01:30 GMT",
      "Sun Mar  1 12:01:30 2026",
    ]
  ) {
    assertEquals(parseRetryAfter(date, NOW), 90_000, date);
  }
});

Deno.test("parseRetryAfter() waits for no time that has passed", () => {
  assertEquals(parseRetryAfter("Sun, 01 Mar 2026 11:59:59 GMT", NOW), 0);
});

Deno.test("parseRetryAfter() says nothing where nothing is asked for", () => {
  for (const text of ["", "soon", "-1", "1.5", "1e3", "2026-03-01", "Sun", "Sun, 99 Foo 2026", "Infinity"]) {
    assertEquals(parseRetryAfter(text, NOW), undefined, text);
  }
});

Deno.test("parseRetryAfter() never waits for long, whatever is asked for", () => {
  assertEquals(parseRetryAfter("31536000", NOW), LONGEST_DELAY_MS);
  assertEquals(parseRetryAfter("9".repeat(400), NOW), LONGEST_DELAY_MS);
  assertEquals(parseRetryAfter("Fri, 01 Jan 2100 00:00:00 GMT", NOW), LONGEST_DELAY_MS);
  fc.assert(fc.property(fc.string(), fc.integer(), (text, now) => {
    const ms = parseRetryAfter(text, now);
    assert(ms === undefined || (ms >= 0 && ms <= LONGEST_DELAY_MS));
  }));
});
