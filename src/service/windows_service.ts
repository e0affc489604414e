/**
 * Answers Windows' service manager, by its own protocol (winsvc.h): the process connects to it, is called
 * back to start, says how it does, and is told to stop.
 *
 * The dispatcher blocks its thread for as long as the service runs, so it is called aside; both callbacks
 * come from its threads, and wait there until this one has answered.
 *
 * @module
 */
import { FilesyncError } from "../core/errors.ts";

const CALLS = {
  StartServiceCtrlDispatcherW: { parameters: ["buffer"], result: "i32", nonblocking: true },
  RegisterServiceCtrlHandlerExW: { parameters: ["buffer", "function", "pointer"], result: "pointer" },
  SetServiceStatus: { parameters: ["pointer", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const SERVICE_MAIN = { parameters: ["u32", "pointer"], result: "void" } as const;
const HANDLER = { parameters: ["u32", "u32", "pointer", "pointer"], result: "u32" } as const;

const SERVICE_WIN32_OWN_PROCESS = 0x10;

/** `dwCurrentState`. */
export const STATE = { stopped: 1, stopPending: 3, running: 4 } as const;

/** Bits of `dwControlsAccepted`: stop, shutdown, and settings that changed. */
const ACCEPTED = 0x1 | 0x4 | 0x8;

/** What `HandlerEx` is called with. */
const CONTROL = { stop: 1, interrogate: 4, shutdown: 5, paramChange: 6 };

const NO_ERROR = 0;
const ERROR_CALL_NOT_IMPLEMENTED = 120;
const ERROR_SERVICE_SPECIFIC_ERROR = 1066;

/** Milliseconds that stopping may take before Windows gives up on it. */
const STOP_HINT_MS = 30_000;

/** `SERVICE_STATUS`: seven numbers of 32 bits. */
export function serviceStatus(
  state: (typeof STATE)[keyof typeof STATE],
  exitCode = 0,
): Uint32Array<ArrayBuffer> {
  return Uint32Array.of(
    SERVICE_WIN32_OWN_PROCESS,
    state,
    state === STATE.running ? ACCEPTED : 0,
    exitCode === 0 ? NO_ERROR : ERROR_SERVICE_SPECIFIC_ERROR,
    exitCode,
    0,
    state === STATE.stopPending ? STOP_HINT_MS : 0,
  );
}

/** `SERVICE_TABLE_ENTRYW[2]`: name and function, then two null pointers. On 64 bits, as every Deno is. */
export function serviceTable(
  name: Deno.PointerObject,
  main: Deno.PointerObject,
): BigUint64Array<ArrayBuffer> {
  return BigUint64Array.of(Deno.UnsafePointer.value(name), Deno.UnsafePointer.value(main), 0n, 0n);
}

/** UTF-16 with a NUL at its end. */
export function wideText(text: string): Uint16Array<ArrayBuffer> {
  return Uint16Array.from({ length: text.length + 1 }, (_, i) => i < text.length ? text.charCodeAt(i) : 0);
}

/** What a service does with what Windows tells it. */
export interface ServiceControls {
  stop(): void;
  reload(): void;
}

/** The answer to a control, and what is done about it. */
export function answerControl(control: number, { stop, reload }: ServiceControls): number {
  switch (control) {
    case CONTROL.stop:
    case CONTROL.shutdown:
      stop();
      return NO_ERROR;
    case CONTROL.paramChange:
      reload();
      return NO_ERROR;
    case CONTROL.interrogate:
      return NO_ERROR;
    default:
      return ERROR_CALL_NOT_IMPLEMENTED;
  }
}

/**
 * Runs `work` as the service `name` of Windows, and resolves to the exit code that it resolved to.
 *
 * @param work Told when to stop by its signal; the listeners it adds are called when settings shall be read again.
 * @throws {FilesyncError} When it was not Windows' service manager that started this process.
 */
export async function runWindowsService(
  name: string,
  work: (signal: AbortSignal, onReload: (listener: () => void) => Disposable) => Promise<number>,
): Promise<number> {
  // It lives as long as the process, and so do the callbacks.
  const library = Deno.dlopen("advapi32.dll", CALLS);
  const { StartServiceCtrlDispatcherW, RegisterServiceCtrlHandlerExW, SetServiceStatus } = library.symbols;
  const wideName = wideText(name);
  const stop = new AbortController();
  const listeners = new Set<() => void>();
  const ended = Promise.withResolvers<number>();
  let handle: Deno.PointerValue = null;
  let isStarted = false;
  const tell = (...status: Parameters<typeof serviceStatus>) =>
    SetServiceStatus(handle, serviceStatus(...status));
  const handler = Deno.UnsafeCallback.threadSafe(HANDLER, (control) =>
    answerControl(control, {
      stop() {
        tell(STATE.stopPending);
        stop.abort();
      },
      reload: () => listeners.forEach((listener) => listener()),
    }));
  // It may return while the service goes on: Windows waits for the status "stopped".
  const main = Deno.UnsafeCallback.threadSafe(SERVICE_MAIN, () => {
    isStarted = true;
    handle = RegisterServiceCtrlHandlerExW(wideName, handler.pointer, null);
    tell(STATE.running);
    work(stop.signal, (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    }).catch(() => 1).then((code) => {
      // Windows may end the process as soon as it knows.
      ended.resolve(code);
      // An end that was asked for is none to be started again after.
      tell(STATE.stopped, stop.signal.aborted ? 0 : code || 1);
    });
  });
  const table = serviceTable(Deno.UnsafePointer.of(wideName)!, main.pointer);
  await StartServiceCtrlDispatcherW(table);
  if (isStarted) return await ended.promise;
  throw new FilesyncError({
    code: "usage",
    operation: `run the service "${name}"`,
    reason: "Windows did not start it",
    hint: `Start it with: filesync service start ${name}`,
    permanent: true,
  });
}
