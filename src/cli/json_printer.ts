/** Reports for programs: one JSON object per line, each with `time` and `type`. @module */
import { nextStep } from "../core/errors.ts";
import type { PrinterOptions } from "./printer.ts";
import { visibleJson } from "./quote.ts";
import type { Printer, Report } from "./report.ts";

/** Least milliseconds between two progress objects. */
const PROGRESS_EVERY = 1000;

/**
 * A printer of JSON. All reports go to `out`; `quiet` leaves out progress only, because a
 * program picks by `type`. `time` and `retryAt` are ISO 8601.
 */
export function createJsonPrinter({ out, clock, quiet = false }: PrinterOptions): Printer {
  let progressAt = -Infinity;

  function report(report: Report): void {
    const now = clock.now();
    if (report.type === "progress") {
      if (quiet || (now >= progressAt && now - progressAt < PROGRESS_EVERY)) return;
      progressAt = now;
    }
    out.write(jsonLine(timeOf(report) ?? now, withStep(report)));
  }

  const close = () => {};
  return { report, close, [Symbol.dispose]: close };
}

/**
 * An object as a line of the stream.
 *
 * @param time Milliseconds since the epoch.
 */
export function jsonLine(time: number, object: { type: string; retryAt?: number }): string {
  const { retryAt } = object;
  const iso = {
    // Replaces the milliseconds of a report that brings its own time, and stands first.
    time: new Date(time).toISOString(),
    ...(retryAt === undefined ? {} : { retryAt: new Date(retryAt).toISOString() }),
  };
  return `${visibleJson(JSON.stringify(Object.assign({ time: "" }, object, iso)))}\n`;
}

/** A problem that says no next step of its own has the usual one, as in text. */
function withStep(report: Report): Report {
  if (report.type !== "problem") return report;
  return { ...report, problem: { ...report.problem, hint: nextStep(report.problem) } };
}

function timeOf(report: Report): number | undefined {
  if (report.type === "applied") return report.time;
  if (report.type === "received") return report.record.time;
}
