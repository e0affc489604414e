/**
 * Applies a batch of actions to a tree on an SFTP server: content into temporary files, several at a time, verified
 * and synced; then renamed into place; then the names made durable, as far as that can be asked for; then recorded.
 *
 * @module
 */
import { type Action, type MoveAction, pathsOf, type PutAction, type RemoveAction } from "../core/action.ts";
import { type Entry, permissionBits, sameEntry } from "../core/entry.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { childOf, isWithin, nameFault, parentOf, rebase, ROOT, type TreePath } from "../core/path.ts";
import { problemOf } from "../core/problem.ts";
import type { ActionResult } from "../transport/receiver.ts";
import { overtaken, refuseTooDeep, standsInTheWay } from "../transport/refusals.ts";
import { isRespelled, requireExpected } from "./expectation.ts";
import type { Prepared, RemoteTarget } from "./prepare_uploads.ts";
import type { RemoteStat } from "./protocol.ts";
import { upload, type UploadedContent } from "./remote_contents.ts";
import { lookOf, looksAsRecorded, RemoteAnchor } from "./remote_tree.ts";
import { AHEAD } from "./several.ts";

/** All permissions of an owner. */
const OWNER_ALL = 0o700;

/** Records what an action did; to be called in the order of the actions. */
type Record = () => void;

/** Carries out a batch whose content is prepared. One at a time. */
export class RemoteWork {
  readonly #target: RemoteTarget;
  readonly #anchor: RemoteAnchor;
  readonly #now: number;
  readonly #touched = new Set<TreePath>();
  /** Directories made writable for a moment, with the mode they had. */
  readonly #unlocked = new Map<TreePath, number>();

  constructor(target: RemoteTarget) {
    this.#target = target;
    this.#anchor = new RemoteAnchor(target.tree);
    this.#now = target.clock.now();
  }

  /**
   * Does all of `actions`, those that have nothing to do with each other at the same time.
   *
   * @throws {FilesyncError} `unreachable` when the connection breaks; what was done until then is recorded, and it is
   * not known what became of the rest.
   */
  async doAll(actions: readonly Action[], prepared: Prepared[]): Promise<ActionResult[]> {
    const results: ActionResult[] = [];
    for (let at = 0; at < actions.length;) {
      const end = endOfGroup(actions, at);
      const group = actions.slice(at, end);
      const outcomes = await Promise.allSettled(group.map((action, i) => this.#do(action, prepared[at + i])));
      this.#recordAll(outcomes);
      for (const [i, outcome] of outcomes.entries()) {
        const action = group[i];
        if (outcome.status === "fulfilled") {
          results.push({ done: true });
          continue;
        }
        const failure = toFilesyncError(`${action.type} "${action.path}"`, outcome.reason);
        if (failure.code === "unreachable") throw failure;
        if (["conflict", "exists-unknown", "not-found"].includes(failure.code)) await this.#findStale(action);
        results.push({ done: false, problem: problemOf(failure, action.path) });
      }
      at = end;
    }
    await this.#finish();
    return results;
  }

  /** What is done, and the directories made for it, in one transaction. */
  #recordAll(outcomes: readonly PromiseSettledResult<Record>[]): void {
    const { index } = this.#target;
    index.transaction(() => {
      for (const { path, stat } of this.#anchor.made.splice(0)) {
        const { mtime, mode } = stat;
        index.put({ kind: "directory", path, mtime: mtime * 1_000, mode }, lookOf(stat, this.#now));
        this.#touched.add(path).add(parentOf(path));
      }
      for (const outcome of outcomes) if (outcome.status === "fulfilled") outcome.value();
    });
  }

  async #do(action: Action, content: Prepared): Promise<Record> {
    if (content instanceof FilesyncError) throw content;
    try {
      return await this.#carryOut(action, content);
    } catch (error) {
      if (!(error instanceof FilesyncError) || error.code !== "permission") throw error;
      let unlocked = false;
      for (const path of pathsOf(action)) unlocked = await this.#unlock(parentOf(path)) || unlocked;
      if (!unlocked) throw error;
      return await this.#carryOut(action, content);
    }
  }

  async #carryOut(action: Action, content: UploadedContent | undefined): Promise<Record> {
    const { index, tree } = this.#target;
    await requireExpected(action, this.#anchor, index, tree.foldsNames);
    const { path } = action;
    switch (action.type) {
      case "put":
        return await this.#put(action, content);
      case "directory":
        return await this.#directory({ kind: "directory", path, mtime: action.mtime, mode: action.mode });
      case "symlink":
        return await this.#symlink({ kind: "symlink", path, mtime: action.mtime, target: action.target });
      case "remove":
        return await this.#remove(action);
      case "move":
        return await this.#move(action);
    }
  }

  async #put(action: PutAction, content: UploadedContent | undefined): Promise<Record> {
    const { path, size, mtime, digest } = action;
    const { index } = this.#target;
    const mode = permissionBits("file", action.mode);
    const entry: Entry = { kind: "file", path, size, mtime, mode, digest };
    if (content === undefined) {
      const known = index.get(path);
      // It had the content when this batch was prepared; another batch came between.
      const isThere = known?.kind === "file" && known.digest === digest &&
        (await this.#anchor.lstat(path))?.kind === "file";
      if (!isThere) throw overtaken(path);
      if (sameEntry(known, entry)) return () => {};
      await this.#anchor.setAttributes(path, { mode, mtime: Math.floor(mtime / 1_000) });
      return this.#recording("put", entry, (await this.#anchor.lstat(path))!);
    }
    try {
      await this.#anchor.place(content.temp, path);
    } catch (error) {
      await this.#refuseDirectory(path);
      throw error;
    }
    // It is no temporary file any more.
    content.temp = "";
    return this.#recording("put", entry, content.stat, content.packedManifest);
  }

  async #directory(entry: Entry & { kind: "directory" }): Promise<Record> {
    const { path } = entry;
    const mode = permissionBits("directory", entry.mode);
    let stat = await this.#anchor.lstat(path);
    const known = stat && this.#target.index.get(path);
    if (stat !== undefined && stat.kind !== "directory") throw standsInTheWay(path, stat.kind);
    if (stat === undefined) {
      stat = await this.#anchor.makeDirectory(path, mode);
      this.#anchor.forget();
    } else if (known !== undefined && sameEntry(known, { ...entry, mode }) && stat.mode === known.ino) {
      // Its time may have moved because of what was done inside; that is seen to in the end.
      return () => void this.#touched.add(path);
    } else {
      await this.#anchor.setAttributes(path, { mode });
      stat = (await this.#anchor.lstat(path))!;
    }
    this.#touched.add(path);
    return this.#recording("directory", { ...entry, mode }, stat);
  }

  async #symlink(entry: Entry & { kind: "symlink" }): Promise<Record> {
    const { path, target } = entry;
    const known = this.#target.index.get(path);
    const stat = await this.#anchor.lstat(path);
    if (
      stat?.kind === "symlink" && known !== undefined && sameEntry(known, entry) &&
      looksAsRecorded(known, stat)
    ) {
      return () => {};
    }
    if (stat?.kind === "directory") throw standsInTheWay(path, stat.kind);
    if (stat?.kind !== "symlink" || await this.#anchor.readLink(path) !== target) {
      const { client } = this.#target.tree;
      const temp = this.#target.tempPath();
      await client.makeLink(target, temp);
      try {
        await this.#anchor.place(temp, path);
      } catch (error) {
        await client.removeFile(temp).catch(() => {});
        throw error;
      }
      this.#anchor.forget();
    }
    await this.#anchor.setAttributes(path, { mtime: Math.floor(entry.mtime / 1_000) }, true);
    return this.#recording("symlink", entry, (await this.#anchor.lstat(path))!);
  }

  async #remove({ path }: RemoveAction): Promise<Record> {
    const { index, onStale } = this.#target;
    const stat = await this.#anchor.lstat(path);
    if (stat === undefined && index.get(path) === undefined) return () => {};
    if (stat !== undefined) {
      const left = await this.#removeKnown(path, stat.kind);
      this.#anchor.forget();
      this.#touched.add(parentOf(path));
      if (left !== undefined) {
        onStale(left);
        throw new FilesyncError({
          code: "exists-unknown",
          operation: `remove "${path}"`,
          reason: left === path
            ? "it was not put there by filesync"
            : `"${left}" was not put there by filesync`,
          hint: "Move it away, or restart filesync so that it takes it into its index",
          permanent: true,
        });
      }
    }
    return () => {
      index.remove(path);
      index.record({ time: this.#now, what: "remove", path });
    };
  }

  /**
   * Removes what the index knows at and below `path`. Returns the first path that was left alone, because the index
   * does not know it, or knows something of another kind there.
   */
  async #removeKnown(path: TreePath, kind: RemoteStat["kind"]): Promise<TreePath | undefined> {
    const { index } = this.#target;
    if (index.get(path)?.kind !== kind) return path;
    if (kind === "directory") {
      await this.#unlock(path);
      const listed = await this.#anchor.list(path);
      const lefts = await Promise.all(listed.map(async ({ name, stat }) => {
        const child = childOf(path, name);
        const left = nameFault(name) === undefined ? await this.#removeKnown(child, stat.kind) : child;
        if (left === undefined) index.remove(child);
        return left;
      }));
      const left = lefts.find((one) => one !== undefined);
      if (left !== undefined) {
        this.#touched.add(path);
        return left;
      }
    }
    await this.#anchor.remove(path, kind);
  }

  async #move(action: MoveAction): Promise<Record> {
    const { from, path } = action;
    const { index, tree } = this.#target;
    const entry = index.get(from);
    const stat = await this.#anchor.lstat(from);
    const operation = `move "${from}" to "${path}"`;
    if (stat === undefined || entry === undefined) {
      const hint = "Compare the trees again";
      throw new FilesyncError({ code: "not-found", operation, reason: `"${from}" does not exist`, hint });
    }
    if (path === from) return () => {};
    if (isWithin(path, from)) {
      const reason = "a directory cannot be moved into itself";
      throw new FilesyncError({ code: "conflict", operation, reason, permanent: true });
    }
    refuseTooDeep(action, index);
    const there = await this.#anchor.lstat(path);
    const isReplaced = there !== undefined && !isRespelled(from, path, tree.foldsNames);
    if (isReplaced && (there.kind === "directory") !== (stat.kind === "directory")) {
      throw standsInTheWay(path, there.kind);
    }
    if (isReplaced && there.kind === "directory" && (await this.#anchor.list(path)).length > 0) {
      throw standsInTheWay(path, "directory");
    }
    await this.#anchor.rename(from, path);
    this.#anchor.forget();
    for (const touched of this.#touched) {
      if (isWithin(touched, from)) this.#touched.add(rebase(touched, from, path));
    }
    this.#touched.add(parentOf(from)).add(parentOf(path));
    return () => {
      index.move(from, path, this.#now);
      index.record({ time: this.#now, what: "move", path, from });
    };
  }

  #recording(
    what: Action["type"],
    entry: Entry,
    stat: RemoteStat,
    packedManifest?: Uint8Array,
  ): Record {
    const { index } = this.#target;
    return () => {
      this.#touched.add(parentOf(entry.path));
      index.put(entry, lookOf(stat, this.#now), packedManifest);
      const file = entry.kind === "file" ? { size: entry.size, digest: entry.digest } : {};
      index.record({ time: this.#now, what, path: entry.path, ...file });
    };
  }

  /** Tells of the paths at and above those of `action` where something else stands than the index says. */
  async #findStale(action: Action): Promise<void> {
    const { index, onStale } = this.#target;
    for (let path of pathsOf(action)) {
      for (; path !== ROOT; path = parentOf(path)) {
        if ((await this.#anchor.lstat(path))?.kind !== index.get(path)?.kind) onStale(path);
      }
    }
  }

  /** Lets the owner write into a directory until the end of the batch. Says whether that changed anything. */
  async #unlock(directory: TreePath): Promise<boolean> {
    if (directory === ROOT) return false;
    const stat = await this.#anchor.lstat(directory);
    if (stat?.kind !== "directory" || (stat.mode & OWNER_ALL) === OWNER_ALL) return false;
    await this.#anchor.setAttributes(directory, { mode: stat.mode | OWNER_ALL });
    if (!this.#unlocked.has(directory)) this.#unlocked.set(directory, stat.mode);
    return true;
  }

  async #refuseDirectory(path: TreePath): Promise<void> {
    if ((await this.#anchor.lstat(path))?.kind === "directory") throw standsInTheWay(path, "directory");
  }

  /** Gives touched directories back the modes and times they were declared with. */
  async #finish(): Promise<void> {
    this.#anchor.forget();
    const { index } = this.#target;
    const looks = await Promise.all([...this.#touched].map(async (directory) => {
      const entry = directory === ROOT ? undefined : index.get(directory);
      const stat = entry?.kind === "directory" ? await this.#anchor.lstat(directory) : undefined;
      if (entry?.kind !== "directory" || stat?.kind !== "directory") return undefined;
      const mtime = Math.floor(entry.mtime / 1_000);
      const mode = this.#unlocked.get(directory);
      if (stat.mtime === mtime && mode === undefined) return { entry, stat };
      await this.#anchor.setAttributes(directory, { mtime, ...(mode === undefined ? {} : { mode }) });
      return { entry, stat: (await this.#anchor.lstat(directory)) ?? stat };
    }));
    index.transaction(() => {
      for (const look of looks) if (look !== undefined) index.put(look.entry, lookOf(look.stat, this.#now));
    });
  }
}

/** The end of the actions from `at` on that can be done at the same time: puts of paths of which none holds another. */
function endOfGroup(actions: readonly Action[], at: number): number {
  if (actions[at].type !== "put") return at + 1;
  const paths = new Set<TreePath>();
  const above = new Set<TreePath>();
  let end = at;
  for (; end < actions.length && end - at < AHEAD * 4 && actions[end].type === "put"; end++) {
    const { path } = actions[end];
    if (paths.has(path) || above.has(path)) break;
    const parents: TreePath[] = [];
    for (let parent = parentOf(path); parent !== ROOT; parent = parentOf(parent)) parents.push(parent);
    if (parents.some((parent) => paths.has(parent))) break;
    paths.add(path);
    for (const parent of parents) above.add(parent);
  }
  return end;
}

/** The file whose sync, after all else, has the server's file system write out what came before it. */
export async function syncNames({ tree, tempPath, fsync }: RemoteTarget): Promise<void> {
  if (!fsync || !tree.client.abilities.fsync) return;
  const temp = tempPath();
  await upload(tree.client, temp, [new Uint8Array([0])], {}, true);
  await tree.client.removeFile(temp);
}
