import { assertEquals, assertGreater } from "@std/assert";
import { HastyClock } from "../../tests/support/hasty_clock.ts";
import { InterceptedReceiver } from "../../tests/support/intercepted_receiver.ts";
import { serveTree } from "../../tests/support/subjects.ts";
import { systemClock } from "../core/clock.ts";
import type { Receiver } from "../transport/receiver.ts";

Deno.test("POST /v1/refresh says now and then that it goes on", async () => {
  await using other = await serveTree();
  const slow = new InterceptedReceiver(other.receiver as Receiver, async (_call, forward) => {
    await systemClock.sleep(30);
    return await forward();
  });
  await using served = await serveTree({ inFront: slow, clock: new HastyClock() });
  const lines = (await (await served.request("POST", "/v1/refresh")).text()).split("\n");
  assertEquals(lines.slice(-2), ["", ""]);
  const values = lines.slice(0, -2).map((line) => JSON.parse(line));
  assertGreater(values.length, 2);
  for (const value of values.slice(0, -1)) assertEquals(value, { going: true });
  assertEquals(values.at(-1).info, await other.receiver.refresh());
});

Deno.test("GET /v1/manifests/:digest refuses what is no digest", async () => {
  await using served = await serveTree();
  assertEquals((await served.request("GET", "/v1/manifests/abc")).status, 400);
});
