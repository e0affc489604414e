/** One line at the bottom of a terminal that says how far the work is. @module */
import type { Clock } from "../core/clock.ts";
import type { TextSink } from "./command.ts";
import { quotePath } from "./quote.ts";
import type { ProgressReport } from "./report.ts";
import { grouped } from "../core/amounts.ts";
import { formatBytes, formatDuration } from "./sizes.ts";
import { fitEnd, widthOf } from "./text_width.ts";

/** What the bar shows. */
export type Progress = Omit<ProgressReport, "type">;

/** Least milliseconds between two drawings. */
const REDRAW_EVERY = 100;
/** Milliseconds that the rate is measured over. */
const RATE_WINDOW = 10_000;
const BAR_COLUMNS = 12;
/** On a narrower terminal the numbers need the room of the bar. */
const LEAST_COLUMNS_FOR_BAR = 60;
/** Fewer columns of a path say nothing. */
const LEAST_PATH_COLUMNS = 12;

/** How much of the work is done, from 0 to 1: by bytes, or by items where there are none. */
export function fractionOf({ doneItems, totalItems, doneBytes, totalBytes }: Progress): number {
  const fraction = totalBytes > 0 ? doneBytes / totalBytes : totalItems > 0 ? doneItems / totalItems : 0;
  return Math.min(1, Math.max(0, fraction));
}

/**
 * The line, no wider than `columns`: what does not fit is left out, the least important first.
 *
 * @param perSecond Bytes a second, or items where there are no bytes; absent while it is not known yet.
 */
export function renderProgress(
  progress: Progress,
  perSecond: number | undefined,
  columns: number,
): string {
  const { doneItems, totalItems, doneBytes, totalBytes, seconds, current } = progress;
  const fraction = fractionOf(progress);
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
  const filled = Math.floor(fraction * BAR_COLUMNS);
  const bar = `[${"#".repeat(filled)}${"-".repeat(BAR_COLUMNS - filled)}]`;
  // Whether the bar is there depends on the terminal alone, so that the line does not jump.
  const pieces = [columns >= LEAST_COLUMNS_FOR_BAR ? `${bar} ${percent}` : percent];
  // How far the work is cannot be said of work whose size is not known.
  if (totalItems === Infinity) pieces[0] = grouped(doneItems);
  if (totalBytes > 0) pieces.push(`${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`);
  if (perSecond !== undefined) {
    const rate = Math.round(perSecond);
    pieces.push(`${totalBytes > 0 ? formatBytes(rate) : grouped(rate)}/s`);
    const left = (totalBytes > 0 ? totalBytes - doneBytes : totalItems - doneItems) / perSecond * 1000;
    if (perSecond > 0 && left > 0 && left < Infinity) pieces.push(`${formatDuration(left)} left`);
  }
  if (seconds !== undefined) pieces.push(`after ${formatDuration(seconds * 1000)}`);
  if (totalItems > 1 && totalItems < Infinity) pieces.push(`${grouped(doneItems)} of ${grouped(totalItems)}`);

  while (pieces.length > 1 && widthOf(pieces.join("  ")) > columns) pieces.pop();
  let line = pieces.join("  ");
  const room = columns - widthOf(line) - 2;
  if (current !== undefined && room >= LEAST_PATH_COLUMNS) line += `  ${fitEnd(quotePath(current), room)}`;
  return fitEnd(line, columns);
}

/** The line on a terminal: drawn at most ten times a second, taken away for other lines. */
export class ProgressBar {
  readonly #out: TextSink;
  readonly #clock: Clock;
  readonly #columns: () => number;
  #shown: string | undefined;
  #drawnAt = -Infinity;
  #samples: { time: number; done: number }[] = [];

  constructor(options: { out: TextSink; clock: Clock; columns: () => number }) {
    this.#out = options.out;
    this.#clock = options.clock;
    this.#columns = options.columns;
  }

  /** Draws where the work is, or takes the line away when all of it is done. */
  update(progress: Progress): void {
    if (progress.doneItems >= progress.totalItems) {
      this.clear();
      this.#samples = [];
      this.#drawnAt = -Infinity;
      return;
    }
    const now = this.#clock.now();
    // A clock that was set back must not freeze the line.
    if (now >= this.#drawnAt && now - this.#drawnAt < REDRAW_EVERY) return;
    this.#drawnAt = now;
    this.#sample(now, progress.totalBytes > 0 ? progress.doneBytes : progress.doneItems);
    // The last column is left free: some terminals wrap when it is written.
    this.#shown = renderProgress(progress, this.#rate(), this.#columns() - 1);
    this.#out.write(`\r\x1b[K${this.#shown}`);
  }

  /** Writes through `print` where the line stands, and puts the line back below. */
  above(print: () => void): void {
    const shown = this.#shown;
    this.clear();
    print();
    if (shown === undefined) return;
    this.#shown = shown;
    this.#out.write(shown);
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#shown !== undefined) this.#out.write("\r\x1b[K");
    this.#shown = undefined;
  }

  #sample(time: number, done: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && (done < last.done || time < last.time)) this.#samples = [];
    this.#samples.push({ time, done });
    while (this.#samples.length > 2 && this.#samples[0].time < time - RATE_WINDOW) this.#samples.shift();
  }

  /** Bytes or items a second, once a second of work has been seen. */
  #rate(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples[this.#samples.length - 1];
    if (last.time - first.time < 1000) return undefined;
    return (last.done - first.done) / (last.time - first.time) * 1000;
  }
}
