import { assertEquals } from "@std/assert";
import { BACKLOG_LIMIT, Canary } from "./canary.ts";

const options = { canaryMs: 10_000, echoMs: 1000 };

Deno.test("next() touches at once, then each canaryMs while nothing happens", () => {
  const canary = new Canary(options);
  assertEquals(canary.next(0), "touch");
  assertEquals(canary.echoed(1), "complete");
  assertEquals(canary.next(9_999), "wait");
  assertEquals(canary.next(10_000), "touch");
});

Deno.test("next() touches soon after events, so that a burst ends with an echo", () => {
  const canary = new Canary(options);
  canary.next(0);
  canary.echoed(1);
  canary.heard(1, 100);
  assertEquals(canary.next(100), "touch");
});

Deno.test("next() gives up after two touches without an echo, in silence", () => {
  const canary = new Canary(options);
  assertEquals(canary.next(0), "touch");
  canary.heard(5, 900);
  assertEquals(canary.next(1000), "wait"); // events still come, so the echo may be behind them
  assertEquals(canary.next(1900), "touch");
  assertEquals(canary.next(2899), "wait");
  assertEquals(canary.next(2900), "stalled");
});

Deno.test("echoed() notices that an event was dropped, when only the second touch has an echo", () => {
  const canary = new Canary(options);
  canary.next(0);
  canary.next(1000);
  assertEquals(canary.echoed(1001), "incomplete");
  assertEquals(canary.echoed(1002), "stray");
});

Deno.test("echoed() notices a backlog so long that the kernel may have dropped events", () => {
  const canary = new Canary(options);
  canary.next(0);
  canary.heard(BACKLOG_LIMIT - 1, 10);
  assertEquals(canary.echoed(11), "complete");
  canary.next(50);
  canary.heard(BACKLOG_LIMIT, 60);
  assertEquals(canary.echoed(61), "incomplete");
});
