/**
 * Makes sure that an action meets what its planner saw, as far as an SFTP server can tell: by kind, size, time and
 * mode. See `expectation.ts` of a local tree.
 *
 * @module
 */
import type { Action } from "../core/action.ts";
import { foldPath, type TreePath } from "../core/path.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { changed, damaged, looksDamaged } from "../transport/refusals.ts";
import { looksAsRecorded, type RemoteAnchor } from "./remote_tree.ts";
import type { RemoteStat } from "./protocol.ts";

/**
 * Throws unless what stands where `action` is to be done is what it expects, or it is done already.
 *
 * @throws {FilesyncError} `conflict`.
 */
export async function requireExpected(
  action: Action,
  anchor: RemoteAnchor,
  index: TreeIndex,
  foldsNames: boolean,
): Promise<void> {
  const { expected, path } = action;
  if (expected === undefined) return;
  if (expected.kind === "undamaged") return await refuseDamage(action, anchor, index);
  const at = action.type === "move" ? action.from : path;
  const stat = await anchor.lstat(at);
  if (action.type === "move") {
    const there = await anchor.lstat(path);
    if (there !== undefined && !isRespelled(action.from, path, foldsNames)) {
      throw changed(action, "something stands there by now");
    }
  } else if (await isDone(action, stat, anchor, index)) return;
  if (stat?.kind !== (expected.kind === "nothing" ? undefined : expected.kind)) {
    throw changed(
      action,
      stat === undefined ? "what stood there is gone" : `a ${stat.kind} stands there by now`,
    );
  }
  switch (expected.kind) {
    case "file": {
      const entry = index.get(at);
      const isKnown = entry?.kind === "file" && entry.digest === expected.digest &&
        looksAsRecorded(entry, stat!);
      if (!isKnown) throw changed(action, "the file changed since it was looked at");
      return;
    }
    case "symlink":
      if (await anchor.readLink(at) !== expected.target) {
        throw changed(action, "the link changed since it was looked at");
      }
      return;
    case "directory":
      if (action.type === "remove" && (await anchor.list(at)).length > 0) {
        throw changed(action, "it is not empty");
      }
  }
}

/** Whether a move only spells a name otherwise, on a server that takes both for one. */
export function isRespelled(from: TreePath, path: TreePath, foldsNames: boolean): boolean {
  return foldsNames && foldPath(from) === foldPath(path);
}

async function isDone(
  action: Exclude<Action, { type: "move" }>,
  stat: RemoteStat | undefined,
  anchor: RemoteAnchor,
  index: TreeIndex,
): Promise<boolean> {
  switch (action.type) {
    case "remove":
      return stat === undefined;
    case "directory":
      return stat?.kind === "directory";
    case "symlink":
      return stat?.kind === "symlink" && await anchor.readLink(action.path) === action.target;
    case "put": {
      const entry = index.get(action.path);
      return stat !== undefined && entry?.kind === "file" && entry.digest === action.digest &&
        looksAsRecorded(entry, stat);
    }
  }
}

/** Refuses to replace a file that stands there by one from which only damage can have made it differ. */
async function refuseDamage(action: Action, anchor: RemoteAnchor, index: TreeIndex): Promise<void> {
  const { path } = action;
  if (looksDamaged(action, index.get(path)) && await anchor.lstat(path) !== undefined) throw damaged(path);
}
