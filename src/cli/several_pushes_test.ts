import { assertEquals } from "@std/assert";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { fakeContext } from "../../tests/support/command_line.ts";
import { type ErrorCode, EXIT, FilesyncError } from "../core/errors.ts";
import type { Printer, Report } from "./report.ts";
import { type OnePush, printersOf, runAll } from "./several_pushes.ts";

/** A printer that keeps what it is told. */
function keeping(): Printer & { reports: Report[] } {
  const reports: Report[] = [];
  return { reports, report: (report) => void reports.push(report), close() {}, [Symbol.dispose]() {} };
}

function failure(code: ErrorCode, reason = "it is not there") {
  return new FilesyncError({ code, operation: "push", reason, permanent: true });
}

/** A stage for pushes, each of which does one thing after the other when it is run. */
class Stage {
  readonly clock = new FakeClock();
  readonly stop = new AbortController();
  readonly context = fakeContext({ clock: this.clock, signal: this.stop.signal });
  readonly printer = keeping();
  readonly runs: string[] = [];

  push(operation: string, once: boolean, ...acts: (() => Promise<number>)[]): OnePush {
    const run = () => {
      this.runs.push(operation);
      return (acts.length > 1 ? acts.shift()! : acts[0])();
    };
    return { run, operation, printer: this.printer, once };
  }
}

const fails = (code: ErrorCode, reason?: string) => () => Promise.reject(failure(code, reason));
const ends = (code: number) => () => Promise.resolve(code);

Deno.test("runAll() gives the highest exit code of all", async () => {
  const stage = new Stage();
  const run = (...acts: (() => Promise<number>)[]) =>
    runAll(acts.map((act, i) => stage.push(String(i), true, act)), stage.context);
  assertEquals(await run(ends(0), ends(0)), EXIT.done);
  assertEquals(await run(ends(0), fails("unreachable"), ends(1)), EXIT.unreachable);
  assertEquals(await run(fails("not-found"), ends(EXIT.brake), fails("usage")), EXIT.brake);
});

Deno.test("runAll() tries again what failed while another one goes on, and tells a reason once", async () => {
  const stage = new Stage();
  const goesOn = Promise.withResolvers<number>();
  const gone = fails("not-found");
  const running = runAll([
    stage.push("steady", false, () => goesOn.promise),
    stage.push("shaky", false, gone, gone, gone, fails("unauthorized", "no token"), ends(EXIT.problems)),
  ], stage.context);
  await stage.clock.advance(300_000);
  goesOn.resolve(EXIT.done);
  assertEquals(await running, EXIT.problems);
  assertEquals(stage.runs, ["steady", "shaky", "shaky", "shaky", "shaky", "shaky"]);
  const told = stage.printer.reports.map((report) => report.type === "notice" && report.message);
  assertEquals(told, ["Cannot push: it is not there", "Cannot push: no token"]);
});

Deno.test("runAll() ends when none goes on any more", async () => {
  const stage = new Stage();
  const later = Promise.withResolvers<number>();
  const running = runAll([
    stage.push("first", false, fails("unreachable")),
    stage.push("second", false, () => later.promise),
  ], stage.context);
  await stage.clock.advance(1_000);
  later.reject(failure("not-found"));
  assertEquals(await running, EXIT.unreachable);
});

Deno.test("runAll() ends with 130 when it is interrupted, also while it waits", async () => {
  const stage = new Stage();
  const running = runAll([
    stage.push("first", false, fails("unreachable")),
    stage.push(
      "second",
      false,
      () =>
        new Promise((resolve) =>
          stage.stop.signal.addEventListener("abort", () => resolve(EXIT.interrupted))
        ),
    ),
  ], stage.context);
  await stage.clock.advance(1);
  stage.stop.abort();
  assertEquals(await running, EXIT.interrupted);
});

Deno.test("printersOf() names the destination, and the source where there are several", () => {
  const printer = keeping();
  const notice: Report = { type: "notice", level: "info", message: "m" };
  const [first] = printersOf(
    [{ source: "/s", destination: "a" }, { source: "/s", destination: "b" }],
    printer,
  );
  first.report(notice);
  const [, second] = printersOf(
    [{ source: "/s", destination: "a" }, { source: "/t", destination: "a" }],
    printer,
  );
  second.report(notice);
  assertEquals(printer.reports, [{ ...notice, destination: "a" }, {
    ...notice,
    source: "/t",
    destination: "a",
  }]);
});

Deno.test("printersOf() tells of the progress of all together", () => {
  const printer = keeping();
  const [first, second] = printersOf(
    [{ source: "/s", destination: "a" }, { source: "/s", destination: "b" }],
    printer,
  );
  const progress = { type: "progress", doneBytes: 10, totalBytes: 20, sentBytes: 5 } as const;
  first.report({ ...progress, doneItems: 1, totalItems: 2, current: "x" });
  second.report({ ...progress, doneItems: 3, totalItems: 4, current: "y" });
  first.report({ ...progress, doneItems: 2, totalItems: 2 });
  const seen = printer.reports.map((report) =>
    report.type === "progress" && [report.doneItems, report.totalItems, report.doneBytes, report.current]
  );
  assertEquals(seen, [[1, 2, 10, "x"], [4, 6, 20, "y"], [5, 6, 20, undefined]]);
});
