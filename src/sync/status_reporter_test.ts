import { assertEquals } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import type { ClientStatus } from "../core/client_status.ts";
import { FilesyncError } from "../core/errors.ts";
import { parsePath } from "../core/path.ts";
import type { Receiver } from "../transport/receiver.ts";
import { SourceState } from "./source_state.ts";
import { StatusReporter } from "./status_reporter.ts";

/** A reporter, and what the receiver was told. */
function startReporter(answer: () => { known: boolean } = () => ({ known: true })) {
  const clock = new FakeClock();
  const temp = new TempDirectory();
  const state = new SourceState(temp.path, { clock });
  const told: ClientStatus[] = [];
  const stop = new AbortController();
  let opened = 0;
  const receiver = {
    // deno-lint-ignore require-await
    async report(status: ClientStatus) {
      told.push(status);
      return answer();
    },
    // deno-lint-ignore require-await
    open: async () => void opened++,
  } as unknown as Receiver;
  const reporter = new StatusReporter({ receiver, state, clock, brake: () => undefined });
  const running = reporter.run(stop.signal);
  return {
    clock,
    state,
    told,
    reporter,
    running,
    opened: () => opened,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      state[Symbol.dispose]();
      temp[Symbol.dispose]();
    },
  };
}

Deno.test("StatusReporter tells what has changed, and every minute that it is alive", async () => {
  await using test = startReporter();
  const { clock, state, told } = test;
  await clock.advance(4_999);
  assertEquals(told, []);
  await clock.advance(1);
  assertEquals(told, [{ waiting: { actions: 0, bytes: 0 }, problems: [], problemCount: 0 }]);
  await clock.advance(55_000);
  assertEquals(told.length, 1);
  await clock.advance(5_000);
  assertEquals(told.length, 2);
  const problem = { code: "permission" as const, path: "x", message: "Cannot read it", permanent: true };
  state.addProblem(problem, clock.now());
  state.queue.add([{ action: { type: "directory", path: parsePath("d"), mtime: 0, mode: 0o755 } }]);
  await clock.advance(5_000);
  assertEquals(told.at(-1), { waiting: { actions: 1, bytes: 0 }, problems: [problem], problemCount: 1 });
});

Deno.test("StatusReporter tells what is tried again, when, and how far it is", async () => {
  await using test = startReporter();
  const { clock, state, told, reporter } = test;
  state.queue.add([{ action: { type: "remove", path: parsePath("a") } }]);
  const [taken] = state.queue.take({ items: 1, bytes: 0 });
  const problem = { code: "io" as const, message: "Cannot remove it", permanent: false, retryAfter: 60_000 };
  state.queue.retry([taken.id], problem);
  reporter.note({ type: "progress", doneItems: 1, totalItems: 2, doneBytes: 3, totalBytes: 4, sentBytes: 0 });
  await clock.advance(5_000);
  const [{ problems: [first], progress, problemCount }] = told;
  assertEquals([first.path, first.attempts, first.retryIn, problemCount], ["a", 1, 55_000, 1]);
  assertEquals(progress, { doneItems: 1, totalItems: 2, doneBytes: 3, totalBytes: 4 });
  reporter.note({
    type: "progress",
    doneItems: 1,
    totalItems: Infinity,
    doneBytes: 3,
    totalBytes: 4,
    sentBytes: 0,
  });
  await clock.advance(5_000);
  assertEquals(told.at(-1)?.progress, undefined);
});

Deno.test("StatusReporter says hello again to a server that was started anew", async () => {
  let known = false;
  await using test = startReporter(() => ({ known }));
  await test.clock.advance(5_000);
  assertEquals(test.opened(), 1);
  known = true;
  await test.clock.advance(5_000);
  assertEquals([test.opened(), test.told.length], [1, 2]);
});

Deno.test("StatusReporter goes on after a failure, and leaves servers alone that know no such thing", async () => {
  let code: "unreachable" | "not-found" = "unreachable";
  await using test = startReporter(() => {
    throw new FilesyncError({ code, operation: "report", reason: "it is so" });
  });
  await test.clock.advance(10_000);
  assertEquals(test.told.length, 2);
  code = "not-found";
  await test.clock.advance(5_000);
  await test.running;
  assertEquals(test.told.length, 3);
});

Deno.test("StatusReporter.finish() tells how it ended, if anything was told", async () => {
  await using test = startReporter();
  const { clock, told, reporter, state } = test;
  await reporter.finish();
  assertEquals(told, []);
  state.queue.add([{ action: { type: "remove", path: parsePath("a") } }]);
  await clock.advance(5_000);
  const [taken] = state.queue.take({ items: 1, bytes: 0 });
  state.queue.done([taken.id]);
  const finished = reporter.finish();
  await clock.advance(250);
  await finished;
  assertEquals(told.map(({ waiting }) => waiting.actions), [1, 0]);
});
