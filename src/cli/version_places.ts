/** Where versions are kept, and how the store of a directory is found again. @module */
import { basename, dirname, join, relative } from "@std/path";
import { FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";
import { parsePath, STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { STORE_FILE, VersionStore } from "../versions/version_store.ts";
import type { Context, Flag } from "./command.ts";
import { realPathOf } from "./places.ts";
import { openStates, stateHome } from "./state_home.ts";
import { twoWayPairs } from "./two_way_pairs.ts";

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

/** A store that was found, and what it was asked about. */
export interface FoundVersions {
  store: string;
  /** A directory with versions: a real path. */
  directory: string;
  /** What is meant in it; absent when all of it is. */
  path?: TreePath;
}

/**
 * Finds the store with versions of `path`, or of a directory above it. Either may have been deleted. The
 * directory is a backup, a served directory, or the source of a sync that this user made.
 *
 * @param from The backup, or the store, when the user names it.
 * @throws {FilesyncError} `not-found` when there is none.
 */
export function findVersions(path: string, from: string | undefined, context: Context): FoundVersions {
  const asked = realPathOf(path);
  const named = from === undefined ? undefined : realPathOf(from);
  const sources = sourcesOf(context);
  for (let directory = asked;; directory = dirname(directory)) {
    const places = [
      versionsBeside(directory),
      versionsWithin(directory),
      ...sources.filter(({ source }) => source === directory).map(({ store }) => store),
    ];
    const store = [...(named === undefined ? places : [named, versionsBeside(named), versionsWithin(named)])]
      .find(isStore);
    if (store !== undefined && (named === undefined || holdsTree(store, directory, asked))) {
      const within = relative(directory, asked);
      return { store, directory, ...(within === "" ? {} : { path: parsePath(within) }) };
    }
    if (directory === dirname(directory)) break;
  }
  throw new FilesyncError({
    code: "not-found",
    operation: `find versions of "${asked}"`,
    reason: named === undefined
      ? "it is in no backup, no served directory with versions, and no source of a sync made here"
      : `there are none in "${named}"`,
    hint: "Name the backup with --from; versions are made by filesync sync and filesync serve --keep",
    permanent: true,
  });
}

/** Whether a store is at `place`; below a file there is none. */
function isStore(place: string): boolean {
  try {
    return Deno.statSync(join(place, STORE_FILE)).isFile;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(osCode(error) ?? "")) return false;
    throw toFilesyncError(`look for versions in "${place}"`, error);
  }
}

/** Whether a store that was named is one of `directory`; of what it does not know, all of `asked` is meant. */
function holdsTree(path: string, directory: string, asked: string): boolean {
  using store = new VersionStore(path, { readOnly: true });
  const locations = store.snapshots.trees().map(({ location }) => location);
  const isKnown = (place: string) => locations.includes(place);
  if (isKnown(directory)) return true;
  return directory === asked && !parentsOf(asked).some(isKnown);
}

function parentsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [parent, ...parentsOf(parent)];
}

/** All sources of syncs, with the stores beside their backups. */
function sourcesOf(context: Context): { source: string; store: string }[] {
  const pushed = openStates(context, undefined).map((state) => {
    using _state = state;
    return { source: state.source, destination: state.destination };
  });
  const pairs = [...pushed, ...twoWayPairs(stateHome(context))];
  return pairs.filter(({ destination }) => destination.startsWith("/"))
    .map(({ source, destination }) => ({ source, store: versionsBeside(destination) }));
}
