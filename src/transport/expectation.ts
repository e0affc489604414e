/**
 * Makes sure that an action meets what its planner saw: what was edited meanwhile is neither replaced
 * nor removed. A file is known by its look and the index; when the look alone cannot tell
 * (`racy.ts`), the file is read before the batch, and its change time has the last word.
 *
 * @module
 */
import type { Action, MoveAction } from "../core/action.ts";
import type { Clock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import { foldPath, type TreePath } from "../core/path.ts";
import { isRacy } from "../core/racy.ts";
import type { Stat } from "../files/stat.ts";
import type { Anchor } from "../files/tree_root.ts";
import { Sha256 } from "../hashing/sha256.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { isUnchanged, looksTheSame } from "../index/unchanged.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";
import { changed, damaged, looksDamaged } from "./refusals.ts";

/** How files looked whose content was read a moment ago, and found to be what the index says. */
export type Verified = ReadonlyMap<TreePath, Stat>;

/** So long nothing was written to a file whose change time can be trusted, milliseconds; asked for in steps. */
const REST_MS = 20;
/** Longest wait for that: the ticks of coarse file systems. */
const LONGEST_REST_MS = 2_500;
/** Bytes read in one go. */
const READ_BYTES = 1 << 20;

/** Reads the files that `actions` expect and whose look alone cannot tell that they are unchanged. */
export async function verifyExpected(
  actions: readonly Action[],
  anchor: Anchor,
  index: TreeIndex,
  clock: Clock,
): Promise<Verified> {
  const verified = new Map<TreePath, Stat>();
  for (const action of actions) {
    if (action.expected?.kind !== "file") continue;
    const path = expectedAt(action);
    const entry = index.get(path);
    if (entry?.kind !== "file" || entry.digest !== action.expected.digest) continue;
    const stat = anchor.lstat(path);
    if (stat === undefined || !looksTheSame(entry, stat, anchor) || isUnchanged(entry, stat, anchor)) {
      continue;
    }
    // What is written within the same tick of the disk's clock would not show.
    for (let waited = 0; isRacy(stat.ctime, clock.now()) && waited < LONGEST_REST_MS; waited += REST_MS) {
      await clock.sleep(REST_MS);
    }
    if (await holds(path, entry.digest, stat, anchor)) verified.set(path, stat);
  }
  return verified;
}

/**
 * Throws unless what stands where `action` is to be done is what it expects, or it is done already.
 *
 * @throws {FilesyncError} `conflict`.
 */
export function requireExpected(action: Action, anchor: Anchor, index: TreeIndex, verified: Verified): void {
  const { expected } = action;
  if (expected === undefined) return;
  if (expected.kind === "undamaged") return refuseDamage(action, anchor, index);
  const at = expectedAt(action);
  const stat = anchor.lstat(at);
  if (action.type === "move") {
    const there = anchor.lstat(action.path);
    if (there !== undefined && !isRespelled(action, stat, there)) {
      throw changed(action, "something stands there by now");
    }
  } else if (isDone(action, stat, anchor, index)) {
    return;
  }
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
        (isUnchanged(entry, stat!, anchor) || sameLook(verified.get(at), stat!));
      if (!isKnown) throw changed(action, "the file changed since it was looked at");
      return;
    }
    case "symlink":
      if (anchor.readLink(at) !== expected.target) {
        throw changed(action, "the link changed since it was looked at");
      }
      return;
    case "directory":
      if (action.type === "remove" && anchor.list(at).length > 0) throw changed(action, "it is not empty");
  }
}

/** Refuses to replace a file that stands there by one from which only damage can have made it differ. */
function refuseDamage(action: Action, anchor: Anchor, index: TreeIndex): void {
  const { path } = action;
  if (looksDamaged(action, index.get(path)) && anchor.lstat(path) !== undefined) throw damaged(path);
}

/** Whether what stands at the new name is the thing itself, because its file system takes both names for one. */
export function isRespelled({ from, path }: MoveAction, stat: Stat | undefined, there: Stat): boolean {
  return foldPath(from) === foldPath(path) && stat?.ino === there.ino && stat.dev === there.dev;
}

function expectedAt(action: Action): TreePath {
  return action.type === "move" ? action.from : action.path;
}

/** Whether `stat` is what the action would bring about; modes and times apart. */
function isDone(
  action: Exclude<Action, { type: "move" }>,
  stat: Stat | undefined,
  anchor: Anchor,
  index: TreeIndex,
): boolean {
  switch (action.type) {
    case "remove":
      return stat === undefined;
    case "directory":
      return stat?.kind === "directory";
    case "symlink":
      return stat?.kind === "symlink" && anchor.readLink(action.path) === action.target;
    case "put": {
      const entry = index.get(action.path);
      return stat !== undefined && entry?.kind === "file" && entry.digest === action.digest &&
        isUnchanged(entry, stat, anchor);
    }
  }
}

async function holds(path: TreePath, digest: string, stat: Stat, anchor: Anchor): Promise<boolean> {
  const hash = new Sha256();
  try {
    using file = anchor.openRead(path);
    if (!sameLook(file.stat, stat)) return false;
    const buffer = new Uint8Array(Math.min(Math.max(stat.size, 1), READ_BYTES));
    for (let at = 0; at < stat.size;) {
      const length = file.read(buffer, at);
      if (length === 0) return false;
      hash.update(buffer.subarray(0, length));
      at += length;
      if (at % TURN_BYTES < length) await turn();
    }
  } catch (error) {
    if (error instanceof FilesyncError) return false;
    throw error;
  }
  return hash.digest() === digest;
}

/** Whether two looks at a path show the same, as far as looks can tell. */
export function sameLook(a: Stat | undefined, b: Stat): boolean {
  return a !== undefined && a.kind === b.kind && a.size === b.size && a.mtime === b.mtime &&
    a.ctime === b.ctime && a.ino === b.ino && a.mode === b.mode;
}
