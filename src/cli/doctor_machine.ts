/** What `filesync doctor` checks on this machine. @module */
import { join } from "@std/path";
import { osCode, toFilesyncError } from "../core/errors.ts";
import { STATE_DIRECTORY } from "../core/path.ts";
import { openToRead } from "../database/open.ts";
import { STATE_FILE } from "../sync/source_state.ts";
import type { Context, Invocation } from "./command.ts";
import { type Check, fail, freeBytes, ok, spaceCheck, warn } from "./doctor_check.ts";
import { count } from "../core/amounts.ts";
import { stateDirectoriesAt } from "./state_home.ts";
import { absolute } from "./places.ts";

/** With fewer files allowed, a big push or many clients can run out of them. */
const FEW_FILES = 1_024;

const WATCHES = "/proc/sys/fs/inotify/max_user_watches";

/** The limits of this machine and process. */
export function* checkSystem(): Generator<Check> {
  if (Deno.build.os !== "linux") return;
  const limit = /^Max open files\s+(\d+)/m.exec(readOr("/proc/self/limits", ""))?.[1];
  if (limit !== undefined) {
    const detail = `${limit} files may be open at once`;
    yield Number(limit) < FEW_FILES
      ? warn("open files", detail, "Raise it with ulimit -n, or LimitNOFILE= of the service")
      : ok("open files", detail);
  }
}

/** A directory to be watched: whether it can be read, and how many watches it takes. */
export function* checkDirectory(path: string): Generator<Check> {
  const { directories, unreadable } = countDirectories(path);
  if (directories === 0) {
    const { message } = toFilesyncError(`list "${path}"`, unreadable[0]?.error);
    return yield fail("directory", message, "Correct the path, or give this user access to it");
  }
  yield unreadable.length === 0
    ? ok("directory", `${count(directories, "directory", "directories")} can be read`)
    : warn(
      "directory",
      `${count(unreadable.length, "directory", "directories")} cannot be read, the first is "${
        unreadable[0].path
      }"`,
      "Give the user that runs filesync access, or exclude them in .filesyncignore",
    );
  const most = Number(readOr(WATCHES, ""));
  if (most > 0) yield watchCheck(directories, most);
}

/** Judges whether all directories can be watched. Other programs of the same user take watches, too. */
export function watchCheck(directories: number, most: number): Check {
  const detail = `${directories} of ${most} watches are needed`;
  const next = `Run: sudo sysctl fs.inotify.max_user_watches=${Math.max(2 * directories, 524_288)}`;
  if (directories > most) {
    return fail("watches", `${detail}; without them all is looked at every 5 seconds`, next);
  }
  return directories > 0.8 * most ? warn("watches", detail, next) : ok("watches", detail);
}

/** The states of pushes: their databases, their space and that nobody else can read them. */
export function* checkStates(invocation: Invocation, context: Context): Generator<Check> {
  const given = invocation.flag("state");
  const directories = stateDirectoriesAt(context, given && absolute(given));
  if (directories.length === 0) yield ok("state", "nothing is pushed from here yet");
  for (const directory of directories) {
    yield databaseCheck(join(directory, STATE_FILE));
    yield* privacyCheck(directory);
    yield spaceCheck("state space", freeBytes(directory), `for "${directory}"`);
  }
}

/** A directory that things are pushed to, or that is served. */
export function* checkDestination(path: string): Generator<Check> {
  const state = join(path, STATE_DIRECTORY);
  yield spaceCheck("space", freeBytes(path), `in "${path}"`);
  yield isWritable(path)
    ? ok("destination", `"${path}" can be written`)
    : fail("destination", `"${path}" cannot be written`, "Give the user that runs filesync access to it");
  if (readOr(join(state, "lock"), undefined) === undefined) return;
  yield databaseCheck(join(state, "index.db"));
  yield* privacyCheck(state);
}

/** Whether SQLite finds a database whole. */
function databaseCheck(path: string): Check {
  try {
    Deno.statSync(path);
    using db = openToRead(path);
    const [row] = db.prepare("PRAGMA quick_check(1)").all();
    const found = String(Object.values(row)[0]);
    if (found === "ok") return ok("state", `"${path}" is whole`);
    return damaged(path, found);
  } catch (error) {
    if (osCode(error) === "ENOENT") {
      return warn("state", `"${path}" is not there yet`, "It is made at the first start");
    }
    return damaged(path, toFilesyncError(`read "${path}"`, error).reason);
  }
}

function damaged(path: string, reason: string): Check {
  const next =
    "Stop filesync and move the file away; everything is compared anew at the next start, and nothing is lost";
  return fail("state", `"${path}" is damaged: ${reason}`, next);
}

function* privacyCheck(directory: string): Generator<Check> {
  const { mode } = Deno.statSync(directory);
  if (Deno.build.os === "windows" || mode === null || (mode & 0o077) === 0) return;
  yield warn("privacy", `others can look into "${directory}"`, `Run: chmod 700 "${directory}"`);
}

/** Directories of a tree, without following links. */
function countDirectories(top: string) {
  const unreadable: { path: string; error: unknown }[] = [];
  const left = [top];
  let directories = 0;
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    try {
      for (const { name, isDirectory } of Deno.readDirSync(path)) {
        if (isDirectory && name !== STATE_DIRECTORY) left.push(`${path}/${name}`);
      }
      directories++;
    } catch (error) {
      unreadable.push({ path, error });
    }
  }
  return { directories, unreadable };
}

/** Whether this user may make files in a directory; nothing is made. */
function isWritable(path: string): boolean {
  const { mode, uid, gid } = Deno.statSync(path);
  const me = Deno.uid();
  if (mode === null || me === null || me === 0) return true;
  return ((uid === me ? mode >> 6 : gid === Deno.gid() ? mode >> 3 : mode) & 0o3) === 0o3;
}

function readOr<Other>(path: string, other: Other): string | Other {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return other;
  }
}
