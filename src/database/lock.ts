/** One process at a time on one state directory. @module */
import { join } from "@std/path";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { pause } from "../core/pause.ts";

/** The name of the lock file in its directory. */
export const LOCK_FILE = "lock";

/** Tries to lock, a millisecond apart. */
const LOCK_TRIES = 5;

/**
 * Locks `directory`, making it when it is missing, until the result is disposed of or the
 * process ends in whatever way: the lock is the operating system's and lies on an open file,
 * so that none is left behind by `kill -9`. The file itself stays, with the process id of its
 * last holder: removing it would let two processes hold locks on two files of one name.
 *
 * @param what What the directory is the state of, for messages: ``the tree "/srv/a"``.
 * @throws {FilesyncError} `locked`, permanent, when another process (or this one) holds it.
 */
export function lockState(directory: string, what: string): Disposable {
  const path = join(directory, LOCK_FILE);
  const operation = `lock the state of ${what}`;
  try {
    Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const file = Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
    try {
      if (!lockSoon(file)) throw lockedError(operation, path);
      file.truncateSync();
      file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
    } catch (error) {
      file.close();
      throw error;
    }
    return {
      [Symbol.dispose]() {
        // A program that is being started right now holds a copy of every open file until it runs; closing
        // ours alone would leave the lock to it for a moment.
        file.unlockSync();
        file.close();
      },
    };
  } catch (error) {
    throw toFilesyncError(operation, error);
  }
}

/**
 * Whether a process holds the lock of `directory`; `undefined` when nothing in it was ever locked, or it cannot be
 * told. Nobody else is told that it is locked because of the question.
 */
export function isLocked(directory: string): boolean | undefined {
  try {
    using file = Deno.openSync(join(directory, LOCK_FILE), { read: true });
    if (!file.tryLockSync(false)) return true;
    file.unlockSync();
    return false;
  } catch {
    return undefined;
  }
}

/** Locks `file`; waits for those who only ask ({@linkcode isLocked}), who are done in no time. */
function lockSoon(file: Deno.FsFile): boolean {
  for (let tries = 1; !file.tryLockSync(true); tries++) {
    if (tries === LOCK_TRIES) return false;
    pause(1);
  }
  return true;
}

function lockedError(operation: string, path: string): FilesyncError {
  const holder = readHolder(path);
  return new FilesyncError({
    code: "locked",
    operation,
    reason: `${holder === undefined ? "another process" : `process ${holder}`} is using it`,
    hint: holder === undefined
      ? "Stop the other filesync first, or give this one a state of its own"
      : `Stop process ${holder} first, or give this one a state of its own`,
    permanent: true,
  });
}

/** The holder's process id; unknown where a locked file cannot be read (Windows), or not written yet. */
function readHolder(path: string): number | undefined {
  try {
    return Number(Deno.readTextFileSync(path).trim()) || undefined;
  } catch {
    return undefined;
  }
}
