/** Makes the printer that the user asked for. @module */
import type { Clock } from "../core/clock.ts";
import { openNotifySocket } from "../files/notify_socket.ts";
import { Notifier, watchdogOf } from "../service/notifier.ts";
import type { Context, Invocation, TextSink } from "./command.ts";
import { createJsonPrinter } from "./json_printer.ts";
import { type LogLevel, openLog } from "./log_file.ts";
import { usageError } from "./usage_error.ts";
import { notifyPrinter } from "./notify_printer.ts";
import type { Printer } from "./report.ts";
import { createTextPrinter } from "./text_printer.ts";

/** What a printer writes to, and how. */
export interface PrinterOptions {
  out: TextSink;
  err: TextSink;
  clock: Clock;
  /** Whether a person reads `out`. */
  isTerminal: boolean;
  colors: boolean;
  /** Width of the terminal, in characters. */
  columns: () => number;
  /** Only what needs attention. @default {false} */
  quiet?: boolean;
  /** A line for every change, however many. @default {false} */
  verbose?: boolean;
}

/** The text or the JSON printer. */
export function createPrinter(options: PrinterOptions & { json: boolean }): Printer {
  return options.json ? createJsonPrinter(options) : createTextPrinter(options);
}

/**
 * The printer that the flags ask for (`--json`, `--quiet`, `--verbose`, and `--log` of a
 * command that has it). Run by systemd, it tells that, too.
 *
 * @throws {FilesyncError} When the log cannot be written.
 */
export function openPrinter(invocation: Invocation, context: Context): Printer {
  const { clock, isTerminal, colors } = context;
  const printer = createPrinter({
    clock,
    isTerminal,
    colors,
    columns: () => context.columns(),
    out: context.stdout,
    err: context.stderr,
    json: invocation.has("json"),
    quiet: invocation.has("quiet"),
    verbose: invocation.has("verbose"),
  });
  const printers = [printer];
  const path = invocation.settings.get("log")?.values[0];
  // A level that is none is a fault also of a line that writes no log.
  const level = logLevel(invocation);
  if (path !== undefined) printers.push(openLog(path, { clock, level }).asPrinter());
  const socket = context.environment("NOTIFY_SOCKET");
  const target = socket ? openNotifySocket(socket) : undefined;
  if (target !== undefined) {
    const watchdog = watchdogOf(context.environment, Deno.pid);
    printers.push(notifyPrinter(new Notifier(target, clock, watchdog), context));
  }
  return printers.length === 1 ? printer : teePrinter(...printers);
}

/** Levels by the names that settings files of other programs use, too. */
const LEVELS: Record<string, LogLevel> = {
  debug: "info",
  info: "info",
  warn: "warning",
  warning: "warning",
  error: "error",
  critical: "error",
};

function logLevel({ settings }: Invocation): LogLevel | undefined {
  const given = settings.get("log-level")?.values[0];
  if (given === undefined) return undefined;
  const name = given.toLowerCase();
  if (Object.hasOwn(LEVELS, name)) return LEVELS[name];
  throw usageError(
    `use ${JSON.stringify(given)} for --log-level`,
    "there is no such level",
    "Write info, warning or error",
  );
}

/** Shows every report on all of `printers`, and closes them all. */
export function teePrinter(...printers: Printer[]): Printer {
  const close = () => printers.forEach((printer) => printer.close());
  return {
    report: (report) => printers.forEach((printer) => printer.report(report)),
    close,
    [Symbol.dispose]: close,
  };
}
