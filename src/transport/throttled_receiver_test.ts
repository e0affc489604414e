import { assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { openSubject } from "../../tests/support/subjects.ts";
import { systemClock } from "../core/clock.ts";
import { Pace } from "../core/pace.ts";
import { parsePath } from "../core/path.ts";
import { sha256 } from "../hashing/sha256.ts";
import { guardedReceiver } from "./guarded_receiver.ts";
import type { Receiver } from "./receiver.ts";
import { receiverContract } from "./receiver_contract.ts";
import { throttledReceiver } from "./throttled_receiver.ts";

receiverContract(
  "throttledReceiver()",
  () =>
    openSubject((local) =>
      throttledReceiver(local, new Pace(() => 1 << 30, systemClock), new AbortController().signal)
    ),
);

/** A receiver that notes when it was called. */
function notes(clock: FakeClock) {
  const calls: [what: string, at: number][] = [];
  const start = clock.now();
  const note = (what: string) => () => {
    calls.push([what, clock.now() - start]);
    return Promise.resolve();
  };
  return {
    calls,
    receiver: { stage: note("stage"), apply: note("apply"), check: note("check") } as unknown as Receiver,
  };
}

function chunks(...lengths: number[]) {
  return lengths.map((length) => {
    const data = new Uint8Array(length);
    return { digest: sha256(data), data };
  });
}

Deno.test("throttledReceiver() lets the first go at once, and the next when it is paid for", async () => {
  const clock = new FakeClock();
  const { calls, receiver } = notes(clock);
  const throttled = throttledReceiver(receiver, new Pace(() => 1_000, clock), new AbortController().signal);
  const all = Promise.all([
    throttled.stage(chunks(400, 600)),
    throttled.stage(chunks(500)),
    throttled.apply({
      key: "",
      actions: [{ type: "remove", path: parsePath("a") }],
      contents: new Map(chunks(10, 20).map(({ digest, data }) => [digest, data])),
      deltas: new Map(chunks(70).map(({ digest, data }) => [digest, data])),
    }),
    throttled.stage(chunks(1)),
    throttled.check([]),
  ]);
  await clock.advance(5_000);
  await all;
  assertEquals(
    calls,
    [["check", 0], ["stage", 0], ["stage", 1_000], ["apply", 1_500], ["stage", 1_600]],
  );
  // What was not used is not saved up.
  const late = Promise.all([throttled.stage(chunks(3_000)), throttled.stage(chunks(1))]);
  await clock.advance(10_000);
  await late;
  assertEquals(calls.slice(5), [["stage", 5_000], ["stage", 8_000]]);
});

Deno.test("throttledReceiver() stops waiting when it is told to end", async () => {
  const clock = new FakeClock();
  const { calls, receiver } = notes(clock);
  const end = new AbortController();
  const throttled = throttledReceiver(receiver, new Pace(() => 1, clock), end.signal);
  await throttled.stage(chunks(1_000));
  const waiting = throttled.stage(chunks(1));
  end.abort(new Error("the end"));
  await assertRejects(() => waiting, Error, "the end");
  assertEquals(calls.length, 1);
});

Deno.test("throttledReceiver() does not wait for a clock that was set back", async () => {
  const clock = new FakeClock();
  const { calls, receiver } = notes(clock);
  const throttled = throttledReceiver(receiver, new Pace(() => 1_000, clock), new AbortController().signal);
  await throttled.stage(chunks(5_000));
  clock.set(clock.now() - 86_400_000);
  const second = throttled.stage(chunks(1));
  await clock.advance(5_000);
  await second;
  assertEquals(calls.length, 2);
});

Deno.test("throttledReceiver() and guardedReceiver() pass on what a client tells, and only to who wants to hear it", async () => {
  const status = { waiting: { actions: 1, bytes: 2 }, problems: [], problemCount: 0 };
  const told: unknown[] = [];
  const deaf = notes(new FakeClock()).receiver;
  const hearing = Object.assign(notes(new FakeClock()).receiver, {
    report(this: unknown, given: unknown) {
      told.push(given, this === hearing);
      return Promise.resolve({ known: true });
    },
  });
  const wrap = (receiver: Receiver) =>
    guardedReceiver(
      throttledReceiver(receiver, new Pace(() => 1, new FakeClock()), new AbortController().signal),
      () => true,
    );
  assertEquals(wrap(deaf).report, undefined);
  assertEquals([await wrap(hearing).report!(status), told], [{ known: true }, [status, true]]);
});
