import { assert, assertRejects } from "@std/assert";
import { systemClock } from "./clock.ts";

Deno.test("sleep() lets the time pass", async () => {
  const before = systemClock.now();
  await systemClock.sleep(30);
  // Timers and the clock may disagree by a millisecond.
  assert(systemClock.now() - before >= 29);
});

Deno.test("sleep() ends with the signal's reason, also when it has aborted before", async () => {
  const end = new AbortController();
  const sleeping = systemClock.sleep(600_000, end.signal);
  end.abort(new Error("wake up"));
  await assertRejects(() => sleeping, Error, "wake up");
  await assertRejects(() => systemClock.sleep(600_000, end.signal), Error, "wake up");
});
