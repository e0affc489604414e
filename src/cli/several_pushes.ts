/** Several pushes in one process: none stops the others, and every report says which one it is of. @module */
import { backoffDelay } from "../core/backoff.ts";
import { EXIT, toFilesyncError } from "../core/errors.ts";
import type { Context } from "./command.ts";
import { exitCodeOf } from "./main.ts";
import type { Printer, ProgressReport } from "./report.ts";

/** One of several pushes. */
export interface OnePush {
  /** Does it; resolves to the exit code. May be called again when it has failed. */
  run(): Promise<number>;
  /** What is being done, for messages. */
  operation: string;
  printer: Printer;
  /** Whether it ends by itself. */
  once: boolean;
}

/** First and longest wait before a push is tried again that failed as a whole, milliseconds. */
const RETRY = { base: 5_000, cap: 60_000 };

/**
 * Runs all of them at once and resolves to the highest exit code. One that fails while others go on is tried again
 * from time to time: a disk may be plugged in, a token be corrected. When none goes on, all end.
 */
export async function runAll(pushes: readonly OnePush[], context: Context): Promise<number> {
  const { clock, signal } = context;
  const allFailed = new AbortController();
  const ended = AbortSignal.any([signal, allFailed.signal]);
  let going = pushes.length;

  async function keepRunning({ run, operation, printer, once }: OnePush): Promise<number> {
    let told: string | undefined;
    for (let failures = 1;; failures++) {
      try {
        return await run();
      } catch (error) {
        if (signal.aborted) return EXIT.interrupted;
        const { code, message, hint } = toFilesyncError(operation, error);
        if (message !== told) printer.report({ type: "notice", level: "warning", message, hint });
        told = message;
        if (once) return exitCodeOf(code);
        if (--going === 0) allFailed.abort();
        await clock.sleep(backoffDelay(failures, 0, RETRY), ended).catch(() => {});
        if (signal.aborted) return EXIT.interrupted;
        if (allFailed.signal.aborted) return exitCodeOf(code);
        going++;
      }
    }
  }

  return Math.max(...await Promise.all(pushes.map(keepRunning)));
}

/**
 * A printer for each of several pushes: its reports name the destination, and the source when that is not the same
 * for all. How far they are is told of all together.
 */
export function printersOf(
  pushes: readonly { source: string; destination: string }[],
  printer: Printer,
): Printer[] {
  const severalSources = pushes.some(({ source }) => source !== pushes[0].source);
  const progress: (ProgressReport | undefined)[] = pushes.map(() => undefined);
  return pushes.map(({ source, destination }, i) => ({
    report(report) {
      if (report.type === "progress") {
        progress[i] = report;
        return printer.report(sumOf(progress.filter((one) => one !== undefined), report.current));
      }
      printer.report({ ...report, destination, ...(severalSources ? { source } : {}) });
    },
    close() {},
    [Symbol.dispose]() {},
  }));
}

function sumOf(all: readonly ProgressReport[], current: string | undefined): ProgressReport {
  const sum: ProgressReport = {
    type: "progress",
    ...{ doneItems: 0, totalItems: 0, doneBytes: 0, totalBytes: 0, sentBytes: 0 },
    current,
  };
  for (const key of ["doneItems", "totalItems", "doneBytes", "totalBytes", "sentBytes"] as const) {
    for (const one of all) sum[key] += one[key];
  }
  return sum;
}
