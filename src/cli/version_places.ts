/** Where versions are kept, and how the store of a directory is found again. @module */
import { existsSync } from "@std/fs";
import { basename, dirname, join } from "@std/path";
import { FilesyncError } from "../core/errors.ts";
import { STATE_DIRECTORY } from "../core/path.ts";
import { STORE_FILE } from "../versions/version_store.ts";
import type { Context, Flag } from "./command.ts";
import { realPathOf } from "./places.ts";
import { openStates } from "./state_home.ts";

/** The directory beside backups that holds their versions. */
export const VERSIONS_DIRECTORY = "__versions__";

/** The flag of commands that look for a store. */
export const FROM_FLAG: Flag = {
  name: "from",
  short: "f",
  value: "BACKUP",
  env: "FILESYNC_FROM",
  description: "The backup, or its directory of versions, when it cannot be found by itself",
};

/** Where the versions of a backup and of what it is a backup of are kept. */
export function versionsBeside(backup: string): string {
  return join(dirname(backup), VERSIONS_DIRECTORY, basename(backup));
}

/** Where a served directory keeps what was replaced and removed. */
export function versionsWithin(served: string): string {
  return join(served, STATE_DIRECTORY, "versions");
}

/** A store that was found, and the directory it was asked about. */
export interface FoundVersions {
  store: string;
  /** A real path. */
  directory: string;
}

/**
 * Finds the store with versions of `path`, which may have been deleted: as a backup, as a served directory,
 * or as the source of a sync that this user made.
 *
 * @throws {FilesyncError} `not-found` when there is none.
 */
export function findVersions(path: string, from: string | undefined, context: Context): FoundVersions {
  const directory = realPathOf(path);
  const places = from === undefined
    ? [versionsBeside(directory), versionsWithin(directory), ...versionsOfSource(directory, context)]
    : [realPathOf(from), versionsBeside(realPathOf(from)), versionsWithin(realPathOf(from))];
  const store = places.find((place) => existsSync(join(place, STORE_FILE)));
  if (store !== undefined) return { store, directory };
  throw new FilesyncError({
    code: "not-found",
    operation: `find versions of "${directory}"`,
    reason:
      "it is neither a backup, nor a served directory with versions, nor the source of a sync made here",
    hint: "Name the backup with --from, or make versions with filesync sync or filesync serve --keep",
    permanent: true,
  });
}

/** The stores beside all backups of `directory`, or of a directory that holds it. */
function versionsOfSource(directory: string, context: Context): string[] {
  const states = openStates(context, undefined);
  try {
    return states
      .filter(({ source, destination }) => source === directory && destination.startsWith("/"))
      .map(({ destination }) => versionsBeside(destination));
  } finally {
    for (const state of states) state[Symbol.dispose]();
  }
}
