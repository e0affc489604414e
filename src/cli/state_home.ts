/** Where sources keep their state. @module */
import { basename, isAbsolute, join } from "@std/path";
import { FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";
import { lockState } from "../database/lock.ts";
import { SourceState, STATE_FILE, stateName } from "../sync/source_state.ts";
import type { Context, Flag } from "./command.ts";
import { visible } from "./quote.ts";
import { usageError } from "./usage_error.ts";

/** The flag that puts the state elsewhere. */
export const STATE_FLAG: Flag = {
  name: "state",
  value: "DIR",
  env: "FILESYNC_STATE",
  description: "Keep the queue and what was seen in DIR, not in the user's state directory",
};

/**
 * The directory that holds a state directory for every source and destination.
 *
 * @param flag What names another place, if anything does.
 * @throws {FilesyncError} `usage` when there is no home.
 */
export function stateHome({ environment }: Pick<Context, "environment">, flag?: string): string {
  // The XDG Base Directory Specification has relative paths passed over.
  const given = [environment("XDG_STATE_HOME"), environment("LOCALAPPDATA")]
    .find((path) => path !== undefined && isAbsolute(path));
  if (given !== undefined) return join(given, "filesync");
  const home = environment("HOME");
  if (home) return join(home, ".local", "state", "filesync");
  throw usageError(
    "find a place for the state",
    "neither XDG_STATE_HOME nor HOME is set",
    `Set HOME${flag === undefined ? "" : `, or name a place with ${flag}`}`,
  );
}

/** The state directory of pushing `source` (a real path) to `destination`. */
export function stateDirectoryFor(context: Context, source: string, destination: string): string {
  return stateDirectoryIn(stateHome(context, "--state"), source, destination);
}

/** The state directory of pushing `source` (a real path) to `destination`, among those in `home`. */
export function stateDirectoryIn(home: string, source: string, destination: string): string {
  // The name of the root directory is a slash.
  const name = basename(source).replaceAll(/[/\\]/g, "") || "root";
  return join(home, `${name}-${stateName(source, destination)}`);
}

/** What a state says of itself. */
export interface KnownState extends Disposable {
  state: SourceState;
  source: string;
  destination: string;
  /** Whether a process works with it now. */
  running: boolean;
}

/** The directories of all states, or of the one in `given`, or of those that several pushes have there. */
export function stateDirectoriesAt(context: Context, given: string | undefined): string[] {
  if (given === undefined) return stateDirectories(stateHome(context, "--state"));
  const several = hasState(given) ? [] : stateDirectories(given);
  return several.length > 0 ? several : [given];
}

/** Opens every state for reading, or only what is in `directory`. */
export function openStates(context: Context, directory: string | undefined): KnownState[] {
  const directories = stateDirectoriesAt(context, directory);
  return directories.flatMap((path) => {
    let state: SourceState;
    try {
      state = new SourceState(path, { clock: context.clock, readOnly: true });
    } catch (error) {
      if (directory !== undefined || !(error instanceof FilesyncError)) throw error;
      // One state that is damaged, or of another version, must not hide the others.
      if (error.code !== "not-found") context.stderr.write(`filesync: ${visible(error.message)}\n`);
      return [];
    }
    const source = state.index.meta("source") ?? "";
    const destination = state.index.meta("destination") ?? "";
    return [{
      state,
      source,
      destination,
      running: isRunning(path),
      [Symbol.dispose]: () => state[Symbol.dispose](),
    }];
  });
}

/** The state directories in `home`. */
export function stateDirectories(home: string): string[] {
  try {
    return [...Deno.readDirSync(home)].flatMap(({ name }) => {
      const path = join(home, name);
      return hasState(path) ? [path] : [];
    }).sort();
  } catch (error) {
    if (osCode(error) === "ENOENT") return [];
    throw toFilesyncError(`list the states in "${home}"`, error);
  }
}

function hasState(path: string): boolean {
  try {
    return Deno.statSync(join(path, STATE_FILE)).isFile;
  } catch {
    return false;
  }
}

/** What keeps a lock from being taken although nobody has it. */
const UNWRITABLE: ReadonlySet<string> = new Set(["disk-full", "read-only"]);

/** Whether a process holds the lock of a state. */
function isRunning(directory: string): boolean {
  try {
    using _lock = lockState(directory, "state");
    return false;
  } catch (error) {
    // Who cannot write there cannot work with it, and nobody else is known to.
    if (error instanceof FilesyncError && UNWRITABLE.has(error.code)) return false;
    if (error instanceof FilesyncError && error.code === "locked") return true;
    throw error;
  }
}
