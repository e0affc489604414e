/** A printer whose reader is systemd: reports become what `systemctl status` shows. @module */
import type { Notifier } from "../service/notifier.ts";
import type { Context } from "./command.ts";
import type { Printer, ProgressReport, Report } from "./report.ts";
import { grouped } from "../core/amounts.ts";
import { joinText, textOf } from "./report_text.ts";
import { formatBytes } from "./sizes.ts";

/** Tells `notifier` of reports, and that the program ends as soon as `signal` aborts. Closing it closes `notifier`. */
export function notifyPrinter(
  notifier: Notifier,
  { clock, signal }: Pick<Context, "clock" | "signal">,
): Printer {
  const stopping = () => notifier.stopping();
  signal.addEventListener("abort", stopping, { once: true });
  const close = () => {
    signal.removeEventListener("abort", stopping);
    notifier[Symbol.dispose]();
  };
  return {
    report(report) {
      if (signal.aborted) return;
      notifier.status(statusOf(report, clock.now()));
      if (report.type === "started" || report.type === "listening") notifier.ready();
      if (report.type === "reload") report.done ? notifier.reloaded() : notifier.reloading();
    },
    close,
    [Symbol.dispose]: close,
  };
}

function statusOf(report: Report, now: number): string {
  return report.type === "progress" ? progressText(report) : joinText(textOf(report, now));
}

function progressText({ doneItems, totalItems, doneBytes, totalBytes }: ProgressReport): string {
  if (doneItems >= totalItems) return `in step: ${grouped(totalItems)} done`;
  return `${grouped(doneItems)} of ${grouped(totalItems)} done, ${formatBytes(doneBytes)} of ${
    formatBytes(totalBytes)
  }`;
}
