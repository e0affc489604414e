import { assertEquals, assertLess } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { Notifier, watchdogOf } from "./notifier.ts";

function setUp(watchdog?: number) {
  const sent: string[] = [];
  const clock = new FakeClock();
  const target = {
    send: (text: string) => void sent.push(text),
    monotonic: () => 42n,
    [Symbol.dispose]() {},
  };
  return { sent, clock, notifier: new Notifier(target, clock, watchdog) };
}

Deno.test("Notifier says that it is ready once, then what it does, once a second at most", async () => {
  const { sent, clock, notifier } = setUp();
  notifier.status("begins");
  assertEquals(sent, []);
  notifier.ready();
  notifier.ready();
  for (const text of ["one", "two", "three\nlines"]) notifier.status(text);
  await clock.advance(1_000);
  assertEquals(sent, ["READY=1\nSTATUS=begins", "STATUS=one", "STATUS=three lines"]);
  notifier[Symbol.dispose]();
  assertEquals(clock.sleepers, 0);
});

Deno.test("Notifier sends no more at once than systemd reads: of what is longer it would not hear READY either", async () => {
  const { sent, clock, notifier } = setUp();
  notifier.status("啊".repeat(5_000));
  notifier.ready();
  notifier.status("x".repeat(5_000));
  await clock.advance(1_000);
  for (const text of sent) assertLess(new TextEncoder().encode(text).length, 4_096);
  assertEquals(sent.map((text) => text.slice(0, 16)), ["READY=1\nSTATUS=啊", "STATUS=xxxxxxxxx"]);
  // What is cut the same way is told once.
  notifier.status(`${"x".repeat(5_000)}y`);
  assertEquals(sent.length, 2);
  notifier[Symbol.dispose]();
});

Deno.test("Notifier feeds the watchdog twice in its time, until it is closed", async () => {
  const { sent, clock, notifier } = setUp(10_000);
  await clock.advance(9_999);
  assertEquals(sent, ["WATCHDOG=1", "WATCHDOG=1"]);
  await clock.advance(1);
  assertEquals(sent.length, 3);
  notifier[Symbol.dispose]();
  await clock.advance(60_000);
  assertEquals(sent.length, 3);
});

Deno.test("Notifier stamps a reload, and says when it ends", () => {
  const { sent, notifier } = setUp();
  notifier.reloading();
  notifier.reloaded();
  notifier.stopping();
  assertEquals(sent, [
    "RELOADING=1\nMONOTONIC_USEC=42",
    "READY=1",
    "STOPPING=1\nSTATUS=Finishing what is in hand",
  ]);
  notifier[Symbol.dispose]();
});

Deno.test("watchdogOf() takes only what is meant for this process", () => {
  const of = (values: Record<string, string>) => watchdogOf((name) => values[name], 7);
  assertEquals(of({ WATCHDOG_USEC: "2000000" }), 2_000);
  assertEquals(of({ WATCHDOG_USEC: "2000000", WATCHDOG_PID: "7" }), 2_000);
  assertEquals(of({ WATCHDOG_USEC: "2000000", WATCHDOG_PID: "8" }), undefined);
  assertEquals([of({}), of({ WATCHDOG_USEC: "0" }), of({ WATCHDOG_USEC: "x" })], [
    undefined,
    undefined,
    undefined,
  ]);
});
