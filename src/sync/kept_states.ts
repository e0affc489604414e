/**
 * What people call an older state of a served tree: a moment, the number of a kept entry, `previous` or
 * `latest`. Found here for each path that shall come back.
 *
 * @module
 */
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { comesBefore, outermost, parentOf, ROOT, type TreePath } from "../core/path.ts";
import type { TreeVersions } from "../transport/tree_versions.ts";
import type { KeptFile } from "../versions/kept_files.ts";
import { momentIn } from "../versions/version_names.ts";

/** A path, and the moment as of which it is meant. */
export interface KeptState {
  path: TreePath;
  /** Milliseconds since the epoch. */
  time: number;
}

/** What is asked for. */
export interface KeptStateQuery {
  /** `latest`, `previous`, `#12`, `2026-11-20T18:00` or `2h`. */
  version: string;
  /** The paths; all of the tree when there are none. */
  paths: readonly TreePath[];
  /** Milliseconds since the epoch. */
  now: number;
}

/**
 * Finds the moments that a version means. `previous` is the state before something at or below the path
 * last went; `latest` is what stands there, or of what was removed the last that stood there; a number is that of a
 * kept entry, and means the state before that one went.
 *
 * @throws {FilesyncError} `usage` when the version is none of these; `not-found` when there is no such thing.
 */
export async function findKeptStates(
  versions: TreeVersions,
  { version, paths, now }: KeptStateQuery,
): Promise<KeptState[]> {
  const name = version.trim().toLowerCase();
  const asked = paths.length === 0 ? [ROOT] : outermost([...new Set(paths)]);
  const number = /^#?(\d+)$/.exec(name)?.[1];
  if (number !== undefined) {
    const kept = await byNumber(versions, Number(number));
    return (paths.length === 0 ? [kept.entry.path] : asked).map((path) => ({ path, time: kept.keptAt - 1 }));
  }
  const moment = momentIn(name, now);
  if (moment !== undefined) return asked.map((path) => ({ path, time: moment }));
  if (name !== "latest" && name !== "previous") {
    throw new FilesyncError({
      code: "usage",
      operation: `find the version ${JSON.stringify(version)}`,
      reason: "it is neither a name, nor a number, nor a time",
      hint:
        "Write previous, a number of filesync versions, a time such as 2026-11-20T18:00, or an age such as 2h",
      permanent: true,
    });
  }
  const states: KeptState[] = [];
  for (const path of asked) {
    const stands = name === "latest" && (path === ROOT || await entryAt(versions, now, path) !== undefined);
    const last = stands ? undefined : (await versions.list({ under: path, limit: 1 })).versions.at(0);
    if (!stands && last === undefined) throw nothingKept(path);
    states.push({ path, time: last === undefined ? now : last.keptAt - 1 });
  }
  return states;
}

/**
 * All entries of these states in the order of paths, with the directories above them.
 *
 * @throws {FilesyncError} `not-found` when there was nothing at one of the paths.
 */
export async function entriesOf(versions: TreeVersions, states: readonly KeptState[]): Promise<Entry[]> {
  const entries = new Map<TreePath, Entry>();
  for (const { path, time } of states) {
    let found = path === ROOT;
    for await (const entry of versions.treeAt(time, path)) {
      entries.set(entry.path, entry);
      found = true;
    }
    if (!found) throw nothingAt(path, time);
    if (path === ROOT) continue;
    for (let above = parentOf(path); above !== ROOT && !entries.has(above); above = parentOf(above)) {
      const entry = await entryAt(versions, time, above);
      if (entry?.kind === "directory") entries.set(above, entry);
    }
  }
  return [...entries.values()].sort((a, b) => comesBefore(a.path, b.path) ? -1 : 1);
}

/** What stood at one path. */
async function entryAt(versions: TreeVersions, time: number, path: TreePath): Promise<Entry | undefined> {
  for await (const entry of versions.treeAt(time, path)) return entry.path === path ? entry : undefined;
}

async function byNumber(versions: TreeVersions, id: number): Promise<KeptFile> {
  const [kept] = (await versions.list({ before: id + 1, limit: 1 })).versions;
  if (kept?.id === id) return kept;
  throw new FilesyncError({
    code: "not-found",
    operation: `find the version ${id}`,
    reason: "there is none of that number (any more)",
    hint: "See those that there are with filesync versions",
    permanent: true,
  });
}

function nothingKept(path: TreePath): FilesyncError {
  return new FilesyncError({
    code: "not-found",
    operation: path === ROOT ? "find an older state" : `find an older state of "${path}"`,
    reason: "nothing of it was replaced or removed since versions are kept",
    hint: "Names are case-sensitive; see what there is with filesync versions",
    permanent: true,
  });
}

function nothingAt(path: TreePath, time: number): FilesyncError {
  return new FilesyncError({
    code: "not-found",
    operation: `restore "${path}"`,
    reason: `nothing stood there at ${new Date(time).toISOString()}, or it is not kept any more`,
    hint: "See what is kept with filesync versions",
    permanent: true,
  });
}
