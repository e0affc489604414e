/** Reports for people: coloured lines above a progress bar, or one plain line an event. @module */
import { ProgressBar } from "./progress_bar.ts";
import type { PrinterOptions } from "./printer.ts";
import { visible } from "./quote.ts";
import type { ListeningReport, Printer, Report } from "./report.ts";
import { type ReportText, textOf } from "./report_text.ts";
import { createStyle, type Style } from "./style.ts";

/** Above it, a terminal shows the bar alone: nobody can read the lines. */
const READABLE_ITEMS = 100;

/** A printer of text. Problems and warnings go to `err`, all else to `out`. */
export function createTextPrinter(options: PrinterOptions): Printer {
  const { out, err, clock, isTerminal, quiet = false, verbose = false } = options;
  const style = createStyle(options.colors);
  const bar = isTerminal && !quiet ? new ProgressBar(options) : undefined;
  let bulk = false;

  function report(report: Report): void {
    if (report.type === "progress") {
      bulk = report.totalItems > READABLE_ITEMS && report.doneItems < report.totalItems;
      bar?.update(report);
      return;
    }
    if (quiet && !isImportant(report)) return;
    if (bar !== undefined && bulk && !verbose && report.type === "applied") return;
    const text = textOf(report, clock.now());
    const sink = text.tone !== "plain" && isTrouble(report) ? err : out;
    const print = () => sink.write(linesOf(text, style, isTerminal) + extraOf(report, style));
    if (bar === undefined) print();
    else bar.above(print);
  }

  const close = () => bar?.clear();
  return { report, close, [Symbol.dispose]: close };
}

function isTrouble(report: Report): boolean {
  return report.type === "problem" || (report.type === "notice" && report.level === "warning") ||
    (report.type === "connection" && report.state === "offline");
}

/** What `--quiet` leaves: trouble, and the token that is shown only once. */
function isImportant(report: Report): boolean {
  return isTrouble(report) || (report.type === "listening" && report.token !== undefined);
}

function linesOf(text: ReportText, style: Style, isTerminal: boolean): string {
  const { head, body, detail, hint } = text;
  let line = [tint(text.tone, style)(head), body].filter((piece) => piece !== "").join(" ");
  if (detail) line += `  ${style.dim(detail)}`;
  if (hint === undefined) return `${line}\n`;
  // In a pipe an event is one line, so that grep finds all of it.
  return isTerminal ? `${line}\n  ${style.dim(hint)}\n` : `${line} (${hint})\n`;
}

function tint(tone: ReportText["tone"], style: Style): (text: string) => string {
  return { plain: style.bold, good: style.green, changed: style.cyan, warning: style.yellow, bad: style.red }[
    tone
  ];
}

function extraOf(report: Report, style: Style): string {
  if (report.type !== "listening") return "";
  const { token, watchCommand }: ListeningReport = report;
  return (token === undefined ? "" : `  token: ${style.bold(visible(token))}\n`) +
    (watchCommand === undefined ? "" : `  on the other machine: ${style.bold(visible(watchCommand))}\n`);
}
