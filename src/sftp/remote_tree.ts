/**
 * A tree on an SFTP server. The protocol knows whole paths only, which the server resolves, links and all. So before
 * anything is done below a directory, it and every one above are looked at (none may be a link), and the server is
 * asked for its real path. Somebody who may write there can still swap one in the moment between; who wants to be
 * safe from that as well, has the server confine the account (`ChrootDirectory` of sshd).
 *
 * @module
 */
import { FilesyncError } from "../core/errors.ts";
import { childOf, foldPath, nameOf, parentOf, ROOT, STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import type { Look, SeenEntry } from "../index/tree_index.ts";
import type { RemoteChange, RemoteStat } from "./protocol.ts";
import type { SftpClient } from "./sftp_client.ts";

/** Where a tree is. */
export interface RemoteTree {
  readonly client: SftpClient;
  /** Its real path there. */
  readonly root: string;
  /** Whether names that differ only by case or Unicode form are one name there, as far as that is known yet. */
  foldsNames: boolean;
}

/** The path by which the server knows a path of the tree. */
export function remotePath({ root }: Pick<RemoteTree, "root">, path: TreePath): string {
  return path === ROOT ? root : `${root === "/" ? "" : root}/${path}`;
}

/** The directory of files in the making, as the server knows it. */
export function tempDirectory({ root }: Pick<RemoteTree, "root">): string {
  return `${root === "/" ? "" : root}/${STATE_DIRECTORY}/tmp`;
}

/** How something looked, in the words of an index: there are neither inodes nor times of change. */
export function lookOf({ mtime, mode }: RemoteStat, lookedAt: number): Look {
  return { ctime: mtime * 1_000, dev: 0, ino: mode, lookedAt };
}

/** Whether `stat` shows what was recorded. What the server cannot keep (modes, milliseconds) was recorded as it shows it. */
export function looksAsRecorded(
  seen: Look & Pick<SeenEntry, "kind"> & { size?: number },
  stat: RemoteStat,
): boolean {
  return seen.kind === stat.kind && seen.ctime === stat.mtime * 1_000 &&
    (seen.kind === "symlink" || seen.ino === stat.mode) && (seen.kind !== "file" || seen.size === stat.size);
}

/** What is known of a directory: it is there; it is not; or a link or a file is in its place, or above it. */
type Ground = "there" | "missing" | "blocked";

/** Access to a tree for a while in which nobody else is expected to change its directories. */
export class RemoteAnchor {
  readonly #tree: RemoteTree;
  #grounds = new Map<TreePath, Promise<Ground>>();
  /** Directories that were made on the way, those above first. */
  readonly made: { path: TreePath; stat: RemoteStat }[] = [];

  constructor(tree: RemoteTree) {
    this.#tree = tree;
  }

  /** Forgets what was found out of directories: something was moved, removed or made. */
  forget(): void {
    this.#grounds = new Map();
  }

  /** What stands at `path`; nothing does where a link or a file is above it. */
  async lstat(path: TreePath): Promise<RemoteStat | undefined> {
    if (await this.#ground(parentOf(path)) !== "there") return undefined;
    return await this.#tree.client.lstat(remotePath(this.#tree, path));
  }

  /** What is in a directory. */
  async list(path: TreePath): Promise<{ name: string; stat: RemoteStat }[]> {
    await this.#require(path);
    return await this.#tree.client.list(remotePath(this.#tree, path));
  }

  /** Makes the directories above `path` that are missing. */
  async makeParents(path: TreePath): Promise<void> {
    const parent = parentOf(path);
    if (await this.#ground(parent) !== "missing") return await this.#require(parent);
    const making = this.#make(parent);
    // Whoever needs it meanwhile waits for the same.
    const ground = making.then(() => "there" as const);
    this.#grounds.set(parent, ground);
    ground.catch(() => this.#grounds.delete(parent));
    await making;
  }

  async makeDirectory(path: TreePath, mode: number): Promise<RemoteStat> {
    await this.makeParents(path);
    const at = remotePath(this.#tree, path);
    await this.#tree.client.makeDirectory(at, mode);
    // What the server's umask took away.
    await this.#tree.client.setAttributes(at, { mode });
    return (await this.#tree.client.lstat(at))!;
  }

  /** Puts `temp`, a path of the server, into place. */
  async place(temp: string, path: TreePath): Promise<void> {
    await this.makeParents(path);
    await this.#tree.client.rename(temp, remotePath(this.#tree, path));
    // Nothing may have been there, or a directory.
    this.#grounds.delete(path);
  }

  async rename(from: TreePath, path: TreePath): Promise<void> {
    await this.#require(parentOf(from));
    await this.place(remotePath(this.#tree, from), path);
  }

  /** @param kind What stands there, by a look just before. */
  async remove(path: TreePath, kind: RemoteStat["kind"]): Promise<void> {
    await this.#require(parentOf(path));
    const at = remotePath(this.#tree, path);
    await (kind === "directory" ? this.#tree.client.removeDirectory(at) : this.#tree.client.removeFile(at));
  }

  async readLink(path: TreePath): Promise<string> {
    await this.#require(parentOf(path));
    return await this.#tree.client.readlink(remotePath(this.#tree, path));
  }

  /** Sets attributes of what stands at `path`, which was looked at just before and is no link unless `isLink`. */
  async setAttributes(path: TreePath, change: RemoteChange, isLink = false): Promise<void> {
    await this.#require(parentOf(path));
    await this.#tree.client.setAttributes(remotePath(this.#tree, path), change, isLink);
  }

  /** The server's path of a file that is there, and is one. */
  async fileAt(path: TreePath): Promise<{ at: string; stat: RemoteStat } | undefined> {
    const stat = await this.lstat(path);
    return stat?.kind === "file" ? { at: remotePath(this.#tree, path), stat } : undefined;
  }

  async #make(directory: TreePath): Promise<void> {
    await this.makeParents(directory);
    const at = remotePath(this.#tree, directory);
    try {
      await this.#tree.client.makeDirectory(at, 0o755);
    } catch (error) {
      // Somebody else was faster.
      if ((await this.#tree.client.lstat(at))?.kind !== "directory") throw error;
    }
    this.made.push({ path: directory, stat: (await this.#tree.client.lstat(at))! });
  }

  async #require(directory: TreePath): Promise<void> {
    const ground = await this.#ground(directory);
    if (ground === "there") return;
    throw new FilesyncError({
      code: ground === "missing" ? "not-found" : "conflict",
      operation: `use the directory "${directory}"`,
      reason: ground === "missing"
        ? "it does not exist"
        : "a link or a file stands in its place, or above it",
      hint: "Compare the trees again",
    });
  }

  #ground(directory: TreePath): Promise<Ground> {
    let ground = this.#grounds.get(directory);
    if (ground === undefined) this.#grounds.set(directory, ground = this.#look(directory));
    return ground;
  }

  async #look(directory: TreePath): Promise<Ground> {
    const { client } = this.#tree;
    const at = remotePath(this.#tree, directory);
    const [above, stat, real] = await Promise.all([
      directory === ROOT ? "there" as const : this.#ground(parentOf(directory)),
      client.lstat(at),
      client.realpath(at).catch((error) => {
        if (error instanceof FilesyncError && error.code !== "unreachable") return undefined;
        throw error;
      }),
    ]);
    if (above !== "there") return above;
    const isReal = stat?.kind === "directory" && real !== undefined && this.#isSame(real, at);
    if (directory === ROOT && !isReal) throw notInPlace(at);
    return stat === undefined ? "missing" : isReal ? "there" : "blocked";
  }

  #isSame(a: string, b: string): boolean {
    return a === b || (this.#tree.foldsNames && foldPath(a as TreePath) === foldPath(b as TreePath));
  }
}

/** Whether the name of the state directory in other case is the same one. */
export async function findFolding(client: SftpClient, root: string): Promise<boolean> {
  return await client.lstat(remotePath({ root }, childOf(ROOT, STATE_DIRECTORY.toUpperCase()))) !== undefined;
}

function notInPlace(root: string): FilesyncError {
  return new FilesyncError({
    code: "brake",
    operation: `use "${nameOf(root as TreePath)}" on the server`,
    reason: "it was removed, unmounted or replaced since it was opened",
    hint: "Put it back, or mount it; nothing is removed anywhere because of it",
  });
}
