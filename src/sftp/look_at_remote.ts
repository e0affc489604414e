/**
 * Brings the index of a tree on an SFTP server up to date with what stands there. Directories are listed, several at
 * a time. Of files that are not as recorded only little is read: of all others the content is unknown
 * ({@linkcode Unread}) until somebody asks for one of their size.
 *
 * @module
 */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { describeBytes } from "../chunking/describe.ts";
import type { Clock } from "../core/clock.ts";
import { type Digest, digestFromBytes } from "../core/digest.ts";
import { type Entry, sameEntry } from "../core/entry.ts";
import { FilesyncError, PathError, toFilesyncError } from "../core/errors.ts";
import { childFault, childOf, ROOT, STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { type Problem, problemOf } from "../core/problem.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { lookOf, looksAsRecorded, RemoteAnchor, remotePath, type RemoteTree } from "./remote_tree.ts";
import { AHEAD, mapSeveral } from "./several.ts";
import type { RemoteStat } from "./protocol.ts";
import type { SftpClient } from "./sftp_client.ts";
import { digestOfFile } from "./remote_contents.ts";

/** Files up to so many bytes are read at once, until so many are read in one look. */
const READ_BYTES = 256 << 10;
const READ_IN_ALL = 16 << 20;

/** The migration that adds what {@linkcode Unread} keeps. */
export const UNREAD_MIGRATION = `
  -- Contents of files that nobody has read yet, each by a digest of its own that no content has.
  CREATE TABLE unread (digest TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX unread_by_size ON unread(size);
`;

/** Files of which only the size is known. */
export class Unread {
  readonly #index: TreeIndex;

  constructor(index: TreeIndex) {
    this.#index = index;
  }

  /** A digest for a content of `size` bytes that nobody has read. */
  add(size: number): Digest {
    const digest = digestFromBytes(crypto.getRandomValues(new Uint8Array(32)));
    this.#index.sql("INSERT INTO unread VALUES (?, ?)").run(digest, size);
    return digest;
  }

  /** Whether what has `digest` was never read. */
  has(digest: Digest): boolean {
    return this.#index.sql("SELECT 1 FROM unread WHERE digest = ?").get(digest) !== undefined;
  }

  /** Reads all that may be the content `wanted`; the others of that size are known then, too. */
  async read(
    wanted: { digest: Digest; size: number; packedManifest?: Uint8Array },
    tree: RemoteTree,
  ): Promise<void> {
    const index = this.#index;
    const rows = index.sql("SELECT digest FROM unread WHERE size = ?").all(wanted.size) as {
      digest: Digest;
    }[];
    if (rows.length === 0) return;
    const anchor = new RemoteAnchor(tree);
    for (const { digest: standIn } of rows) {
      for (const path of index.pathsWith(standIn)) {
        const entry = index.get(path);
        const there = await anchor.fileAt(path);
        if (entry?.kind !== "file" || there === undefined || !looksAsRecorded(entry, there.stat)) continue;
        const digest = await digestOfFile(tree.client, there.at).catch((error: FilesyncError) => {
          if (error.code === "unreachable") throw error;
          // What cannot be read can still be replaced.
          return undefined;
        });
        if (digest === undefined) continue;
        index.put({ ...entry, digest }, entry, digest === wanted.digest ? wanted.packedManifest : undefined);
      }
      index.sql("DELETE FROM unread WHERE digest = ?").run(standIn);
    }
  }
}

/** What was found at a path. */
interface Found {
  entry: Entry;
  stat: RemoteStat;
  packedManifest?: Uint8Array;
}

/** What a look needs. */
export interface LookOptions {
  index: TreeIndex;
  unread: Unread;
  clock: Clock;
  signal: AbortSignal;
  /** Told how many entries were seen. */
  onProgress?: (seen: number) => void;
}

/** Looks at everything below `tops`, or only directly in them; gives what could not be looked at. */
export async function lookAtRemote(
  tree: RemoteTree,
  tops: readonly TreePath[],
  { index, unread, clock, signal, onProgress }: LookOptions,
  deep = true,
): Promise<Problem[]> {
  const isFirst = index.meta("refreshed") === undefined;
  const problems: Problem[] = [];
  const anchor = new RemoteAnchor(tree);
  let seen = 0;
  let mayRead = READ_IN_ALL;

  const note = (
    what: "found" | "found-gone",
    path: TreePath,
    file: { size?: number; digest?: Digest } = {},
  ) => {
    if (isFirst) return index.skipSequence(1);
    index.record({ time: clock.now(), what, path, ...file });
  };

  const take = ({ entry, stat, packedManifest }: Found) => {
    const before = index.get(entry.path);
    if (before !== undefined && before.kind !== entry.kind) index.remove(entry.path);
    index.put(entry, lookOf(stat, clock.now()), packedManifest, isFirst ? 0 : undefined);
    if (before !== undefined && sameEntry(before, entry)) return;
    note("found", entry.path, entry.kind === "file" ? { size: entry.size, digest: entry.digest } : {});
  };

  const lookAt = async (path: TreePath, stat: RemoteStat): Promise<Found> => {
    const { size, mode } = stat;
    const mtime = stat.mtime * 1_000;
    if (stat.kind === "directory") return { entry: { kind: "directory", path, mtime, mode }, stat };
    if (stat.kind === "symlink") {
      return { entry: { kind: "symlink", path, mtime, target: await anchor.readLink(path) }, stat };
    }
    const isRead = size <= READ_BYTES && size <= mayRead;
    if (!isRead) return { entry: { kind: "file", path, size, mtime, mode, digest: unread.add(size) }, stat };
    mayRead -= size;
    const data = await readWhole(tree.client, remotePath(tree, path), size);
    const { digest, packedManifest } = describeBytes(data, DEFAULT_CHUNKING);
    return { entry: { kind: "file", path, size: data.length, mtime, mode, digest }, stat, packedManifest };
  };

  /** What stands at a path; `undefined` when it went since it was listed, or there is a problem with it. */
  const tryToLookAt = async (path: TreePath, stat: RemoteStat): Promise<Found | undefined> => {
    try {
      return await lookAt(path, stat);
    } catch (error) {
      const failure = toFilesyncError(`look at "${path}"`, error);
      if (failure.code === "unreachable") throw failure;
      if (failure.code !== "not-found") problems.push(problemOf(failure, path));
    }
  };

  const directories = [...tops];
  const lookInto = async (directory: TreePath) => {
    let listed: { name: string; stat: RemoteStat }[];
    try {
      listed = await anchor.list(directory);
    } catch (error) {
      const failure = toFilesyncError(`list "${directory}"`, error);
      if (failure.code === "unreachable" || failure.code === "brake") throw failure;
      problems.push(problemOf(failure, directory));
      return;
    }
    const known = new Map(index.children(directory).map((entry) => [entry.path, entry]));
    const changed: { path: TreePath; stat: RemoteStat }[] = [];
    for (const { name, stat } of listed) {
      if (name === STATE_DIRECTORY) continue;
      const path = childOf(directory, name);
      const fault = childFault(directory, name);
      if (fault !== undefined) {
        problems.push(problemOf(new PathError(path, fault), path));
        continue;
      }
      if (stat.kind === "other") continue;
      seen++;
      const before = known.get(path);
      known.delete(path);
      const isStill = before !== undefined && looksAsRecorded(before, stat);
      if (!isStill) changed.push({ path, stat });
      if (stat.kind === "directory" && (deep || !isStill)) directories.push(path);
    }
    const found = await mapSeveral(changed, ({ path, stat }) => tryToLookAt(path, stat));
    index.transaction(() => {
      for (const one of found) if (one !== undefined) take(one);
      for (const path of known.keys()) {
        index.remove(path);
        note("found-gone", path);
      }
    });
    onProgress?.(seen);
  };

  const underWay = new Set<Promise<void>>();
  try {
    while (directories.length > 0 || underWay.size > 0) {
      signal.throwIfAborted();
      while (directories.length > 0 && underWay.size < AHEAD) {
        const work: Promise<void> = lookInto(directories.pop()!).finally(() => underWay.delete(work));
        underWay.add(work);
      }
      await Promise.race(underWay);
    }
  } finally {
    await Promise.allSettled(underWay);
  }
  if (tops.includes(ROOT)) index.setMeta("refreshed", String(clock.now()));
  return problems;
}

async function readWhole(client: SftpClient, path: string, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const file = await client.open(path, "r");
  try {
    return await file.read(0, size);
  } finally {
    await file.close().catch((error) => {
      if (!(error instanceof FilesyncError)) throw error;
    });
  }
}
