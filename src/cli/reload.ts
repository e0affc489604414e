/** Reading settings again while a command runs, because SIGHUP or the service manager asks for it. @module */
import { toFilesyncError } from "../core/errors.ts";
import type { Context } from "./command.ts";
import type { Printer } from "./report.ts";

/**
 * Calls `reload` each time it is asked for, until disposed of, and reports it. A reload that fails leaves
 * all as it is, with a warning. Logs need no reload: one that was moved away is made anew by itself.
 */
export function onReload(context: Context, printer: Printer, reload: () => void | Promise<void>): Disposable {
  let last = Promise.resolve();
  async function run(): Promise<void> {
    printer.report({ type: "reload", done: false });
    try {
      await reload();
    } catch (error) {
      const { message, hint } = toFilesyncError("read the settings again", error);
      printer.report({ type: "notice", level: "warning", message, hint });
    }
    printer.report({ type: "reload", done: true });
  }
  return context.onReload(() => void (last = last.then(run)));
}
