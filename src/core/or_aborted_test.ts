import { assertRejects } from "@std/assert";
import { orAborted } from "./or_aborted.ts";

const never = new Promise<never>(() => {});

Deno.test("orAborted() ends with the promise, or when the signal aborts, before or meanwhile", async () => {
  const stop = new AbortController();
  await orAborted(Promise.resolve(1), stop.signal);
  await assertRejects(() => orAborted(Promise.reject(new Error("no")), stop.signal), Error, "no");
  const ended = orAborted(never, stop.signal);
  stop.abort();
  await ended;
  await orAborted(never, stop.signal);
});
