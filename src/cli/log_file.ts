/**
 * A log that looks after itself: it rotates, comes back when someone deletes or moves it
 * while the program runs, and when it cannot be written it says later how much was lost;
 * it never stops the program.
 *
 * The sink of `@logtape/file` syncs the file at every write. Lines are therefore handed to
 * it in groups, the first at once and more a few times a second.
 *
 * @module
 */
import { getRotatingFileSink } from "@logtape/file";
import {
  compareLogLevel,
  getTextFormatter,
  type LogLevel,
  type LogRecord,
  type Sink,
} from "@logtape/logtape";
import { ensureDirSync } from "@std/fs";
import { dirname, resolve } from "@std/path";
import { type Clock, steadyClock } from "../core/clock.ts";
import { toFilesyncError } from "../core/errors.ts";
import { visible } from "./quote.ts";
import type { Printer, ProgressReport, Report } from "./report.ts";
import { joinText, textOf } from "./report_text.ts";
import { usageError } from "./usage_error.ts";

export type { LogLevel };

/** Least milliseconds between two writes to the disk. */
const FLUSH_EVERY = 250;
/** Milliseconds until a log that could not be written is tried again. */
const RETRY_AFTER = 1000;
/** Characters that are written without waiting for the time. */
const GROUP = 256 * 1024;
/** Characters that wait at most; what comes after is lost and counted. */
const MAX_WAITING = 1024 * 1024;

/** Settings of {@linkcode openLog}. */
export interface LogOptions {
  clock: Clock;
  /** The least severe level that is written. @default {"info"} */
  level?: LogLevel;
  /** Size at which the file is rotated, bytes. @default {10 MiB} */
  maxBytes?: number;
  /** How many old files are kept, as `<path>.1` and so on. @default {5} */
  keep?: number;
}

/** Takes lines for the log. Nothing here throws. */
export interface LogSink extends Disposable {
  write(level: LogLevel, message: string, properties?: Record<string, unknown>): void;
  /** A printer that writes every report but progress; closing it closes the log. */
  asPrinter(): Printer;
}

/**
 * Opens or continues the log at `path` and makes the directories above it.
 *
 * @throws {FilesyncError} When it cannot be written for a reason that will not pass by itself.
 */
export function openLog(path: string, options: LogOptions): LogSink {
  return new LogFile(resolve(path), options);
}

const formatLine = getTextFormatter({
  timestamp: "rfc3339",
  format: ({ timestamp, record }) => {
    const properties = Object.entries(record.properties).map(([name, value]) =>
      ` ${name}=${JSON.stringify(value)}`
    );
    return visible(`${timestamp} ${record.level.padEnd(7)} ${record.message.join("")}${properties.join("")}`);
  },
});

class LogFile implements LogSink {
  readonly #path: string;
  readonly #clock: Clock;
  /** For what is waited for. */
  readonly #steady: Clock;
  readonly #level: LogLevel;
  readonly #sinkOptions: { maxSize: number; maxFiles: number };
  readonly #closing = new AbortController();
  #open: { sink: Sink & Disposable; identity: string } | undefined;
  #waiting = "";
  #lost = 0;
  #flushedAt = -Infinity;
  #retryAt = -Infinity;
  #scheduled = false;

  constructor(path: string, { clock, level = "info", maxBytes = 10 * 1024 ** 2, keep = 5 }: LogOptions) {
    this.#path = path;
    this.#clock = clock;
    this.#steady = steadyClock(clock);
    this.#level = level;
    this.#sinkOptions = { maxSize: maxBytes, maxFiles: keep };
    try {
      this.#open = this.#openSink();
    } catch (error) {
      const fault = toFilesyncError(`write the log ${JSON.stringify(path)}`, error);
      if (fault.code !== "disk-full") throw fault;
    }
  }

  write(level: LogLevel, message: string, properties: Record<string, unknown> = {}): void {
    if (this.#closing.signal.aborted || compareLogLevel(level, this.#level) < 0) return;
    this.#add(level, message, properties);
    const due = this.#steady.now() - this.#flushedAt >= FLUSH_EVERY || this.#waiting.length >= GROUP;
    if (due) this.#flush();
    else this.#schedule();
  }

  asPrinter(): Printer {
    const close = () => this[Symbol.dispose]();
    return {
      report: (report) => {
        if (report.type === "progress") return;
        const text = textOf(report, this.#clock.now());
        const line = text.hint === undefined ? joinText(text) : `${joinText(text)} (${text.hint})`;
        this.write(levelOf(report), line);
      },
      close,
      [Symbol.dispose]: close,
    };
  }

  [Symbol.dispose](): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#retryAt = -Infinity;
    this.#flush();
    this.#closeSink();
  }

  #add(level: LogLevel, message: string, properties: Record<string, unknown>): void {
    if (this.#waiting.length > MAX_WAITING) {
      this.#lost++;
      return;
    }
    this.#waiting += formatLine(this.#record(level, message, properties));
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.sleep(FLUSH_EVERY, this.#closing.signal).then(() => {
      this.#scheduled = false;
      this.#flush();
    }, () => {/* Closing flushes by itself. */});
  }

  #flush(): void {
    const now = this.#steady.now();
    if (this.#waiting === "") return;
    if (now < this.#retryAt) return this.#schedule();
    this.#flushedAt = now;
    try {
      if (this.#open !== undefined && this.#open.identity !== standingAt(this.#path)?.identity) {
        this.#closeSink();
      }
      this.#open ??= this.#openSink();
      this.#writeWaiting(this.#open.sink);
    } catch {
      // Full disk, lost permission, unmounted: what waits stays and is tried again.
      this.#closeSink();
      this.#retryAt = now + RETRY_AFTER;
      if (!this.#closing.signal.aborted) this.#schedule();
      return;
    }
    if (this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.#add("warning", `${lost} lines were lost while the log could not be written`, {});
    if (this.#closing.signal.aborted) this.#flush();
    else this.#schedule();
  }

  #writeWaiting(sink: Sink): void {
    const before = standingAt(this.#path);
    sink(this.#record("info", this.#waiting, {}));
    const after = standingAt(this.#path);
    const grown = (after?.size ?? 0) - (before?.identity === after?.identity ? before?.size ?? 0 : 0);
    if (grown < new TextEncoder().encode(this.#waiting).length) {
      // The sink does not notice a disk that fills up in the middle of a write: end the torn
      // line, and write all of it again.
      this.#waiting = `\n${this.#waiting.trimStart()}`;
      throw new Deno.errors.WriteZero();
    }
    this.#waiting = "";
  }

  #openSink(): { sink: Sink & Disposable; identity: string } {
    ensureDirSync(dirname(this.#path));
    if (standingAt(this.#path)?.isFile === false) {
      throw usageError(`write the log ${JSON.stringify(this.#path)}`, "it is not a regular file");
    }
    const sink = getRotatingFileSink(this.#path, {
      ...this.#sinkOptions,
      bufferSize: 0,
      formatter: (record) => record.message.join(""),
    });
    return { sink, identity: standingAt(this.#path)?.identity ?? "" };
  }

  #closeSink(): void {
    try {
      this.#open?.sink[Symbol.dispose]();
    } catch {
      // A sink that failed while rotating has closed its file already.
    }
    this.#open = undefined;
  }

  #record(level: LogLevel, message: string, properties: Record<string, unknown>): LogRecord {
    return {
      category: ["filesync"],
      level,
      message: [message],
      rawMessage: message,
      timestamp: this.#clock.now(),
      properties,
    };
  }
}

/** What stands at `path`; after a rotation, too, it is another file than was opened. */
function standingAt(path: string): { identity: string; size: number; isFile: boolean } | undefined {
  try {
    const { dev, ino, size, isFile } = Deno.statSync(path);
    return { identity: `${dev}:${ino}`, size, isFile };
  } catch {
    return undefined;
  }
}

function levelOf(report: Exclude<Report, ProgressReport>): LogLevel {
  switch (report.type) {
    case "problem":
      return report.problem.permanent ? "error" : "warning";
    case "notice":
      return report.level;
    case "connection":
      return report.state === "offline" ? "warning" : "info";
    default:
      return "info";
  }
}
