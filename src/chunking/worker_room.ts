/** Whether Workers can be started. @module */
import { toFilesyncError } from "../core/errors.ts";

/** Files that a Worker opens when it starts, and some to spare: for its event loop, and its modules. */
const FILES = 16;

/**
 * Returns when the process may open as many files as so many Workers need. Deno ends the whole program when one
 * cannot open them.
 *
 * @throws {FilesyncError} `io` when it may not, for now.
 */
export function requireWorkerRoom(workers = 1, open: () => Disposable = openNothing): void {
  // Windows has no limit that matters.
  if (Deno.build.os === "windows") return;
  using opened = new DisposableStack();
  try {
    for (let i = 0; i < workers * FILES; i++) opened.use(open());
  } catch (error) {
    throw toFilesyncError("start a worker", error);
  }
}

function openNothing(): Disposable {
  return Deno.openSync("/dev/null");
}
