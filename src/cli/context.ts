/** The real world a command runs in: terminal, environment, clock and signals. @module */
import { systemClock } from "../core/clock.ts";
import { pause } from "../core/pause.ts";
import { EXIT } from "../core/errors.ts";
import type { Context, TextSink } from "./command.ts";

/** Columns of a terminal that does not say. */
const DEFAULT_COLUMNS = 80;

/**
 * The process's own context. The first Ctrl+C or SIGTERM aborts its signal, the second ends
 * the process at once. Disposing it gives the signals back.
 */
export function systemContext(version: string): Context & Disposable {
  const isTerminal = Deno.stdout.isTerminal() && Deno.env.get("TERM") !== "dumb";
  const stderr = sinkOf(Deno.stderr);
  const interrupt = listenForSignals(() => {
    if (Deno.stderr.isTerminal()) {
      stderr.write("\nfilesync: finishing what is in hand; Ctrl+C again stops at once\n");
    }
  });
  return {
    version,
    clock: systemClock,
    signal: interrupt.signal,
    onReload: listenForHangup,
    environment: (name) => Deno.env.get(name),
    ...(Deno.build.standalone ? { executable: Deno.execPath() } : {}),
    stdout: sinkOf(Deno.stdout),
    stderr,
    isTerminal,
    // One answer for both streams, so that neither carries escape codes into a file.
    colors: isTerminal && Deno.stderr.isTerminal() && !Deno.noColor,
    columns() {
      try {
        return Deno.consoleSize().columns || DEFAULT_COLUMNS;
      } catch {
        return DEFAULT_COLUMNS;
      }
    },
    [Symbol.dispose]: () => interrupt[Symbol.dispose](),
  };
}

/** Aborts its signal at the first signal of the system, after `onFirst`; ends the process at the second. */
function listenForSignals(onFirst: () => void): Disposable & { signal: AbortSignal } {
  // Windows knows no SIGTERM.
  const names: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM"];
  const controller = new AbortController();
  const listener = () => {
    if (controller.signal.aborted) Deno.exit(EXIT.interrupted);
    onFirst();
    controller.abort();
  };
  for (const name of names) Deno.addSignalListener(name, listener);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      for (const name of names) Deno.removeSignalListener(name, listener);
    },
  };
}

/**
 * Calls `listener` at each SIGHUP, the daemons' signal to read settings again. At a terminal it means that
 * the terminal has gone, and ends the program as ever.
 */
function listenForHangup(listener: () => void): Disposable {
  if (Deno.build.os === "windows" || Deno.stdin.isTerminal() || Deno.stdout.isTerminal()) {
    return { [Symbol.dispose]() {} };
  }
  Deno.addSignalListener("SIGHUP", listener);
  return { [Symbol.dispose]: () => Deno.removeSignalListener("SIGHUP", listener) };
}

/**
 * Writes whole texts, those of one moment together: a line for each of thousands of files is not worth a
 * system call. What cannot be written (`filesync history | head`) is dropped.
 */
function sinkOf(stream: { writeSync(data: Uint8Array): number }): TextSink {
  const encoder = new TextEncoder();
  let waiting = "";
  const flush = () => {
    const data = encoder.encode(waiting);
    waiting = "";
    try {
      writeAll(stream, data);
    } catch {
      // A reader that has gone must not stop a backup.
    }
  };
  return {
    write(text) {
      if (waiting === "") queueMicrotask(flush);
      waiting += text;
    },
  };
}

/** Milliseconds until a full pipe is looked at again. */
const FULL_PIPE_MS = 5;

/** Writes all of `data`. A pipe that is full and set not to block, by any of those who share it, is waited for, too. */
function writeAll(stream: { writeSync(data: Uint8Array): number }, data: Uint8Array): void {
  for (let left = data; left.length > 0;) {
    try {
      left = left.subarray(stream.writeSync(left));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      pause(FULL_PIPE_MS);
    }
  }
}
