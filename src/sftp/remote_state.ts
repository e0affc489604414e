/** The directory of ours in a tree on an SFTP server: only files in the making are kept there. @module */
import { FilesyncError } from "../core/errors.ts";
import { STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { findFolding, remotePath, type RemoteTree, tempDirectory } from "./remote_tree.ts";
import type { SftpClient } from "./sftp_client.ts";

/** What lies among the files in the making for so long is nobody's any more, milliseconds: a week. */
const TEMP_KEPT_MS = 7 * 24 * 3600 * 1000;
function stateDirectory(root: string): string {
  return remotePath({ root }, STATE_DIRECTORY as TreePath);
}

/** Whether there is a directory of ours; refuses a link in its place, and a directory that is served. */
export async function hasState(client: SftpClient, root: string, operation: string): Promise<boolean> {
  const state = stateDirectory(root);
  const refuse = (reason: string, hint: string) =>
    new FilesyncError({ code: "conflict", operation, reason, hint, permanent: true });
  const stats = await Promise.all([state, tempDirectory({ root })].map((path) => client.lstat(path)));
  if (stats.some((stat) => stat !== undefined && stat.kind !== "directory")) {
    throw refuse(`"${state}" or its "tmp" is no directory`, "Find out who made it, and remove it");
  }
  if (stats[0] !== undefined && await client.lstat(`${state}/index.db`) !== undefined) {
    throw refuse(
      "filesync serves it, or has it for a backup",
      "Push to that server by its own address, which is quicker, or name another directory",
    );
  }
  return stats[1] !== undefined;
}

/** What {@linkcode beginState} needs to know of files in the making. */
export interface TempFiles {
  isOurs: (name: string) => boolean;
  /** Those of ours that are not done yet. */
  keeps: ReadonlySet<string>;
  /** Whether others of ours are left from earlier runs. */
  clean: boolean;
  /** Milliseconds since the epoch. */
  now: number;
}

/** Makes the directory for files in the making, and clears it of what earlier runs, or others long ago, left. */
export async function beginState(tree: RemoteTree, { isOurs, keeps, clean, now }: TempFiles): Promise<void> {
  const { client, root } = tree;
  const temp = tempDirectory(tree);
  for (const directory of [stateDirectory(root), temp]) {
    if (await client.lstat(directory) === undefined) await client.makeDirectory(directory, 0o700);
  }
  tree.foldsNames = await findFolding(client, root);
  if (!clean) return;
  const left = (await client.list(temp)).filter(({ name, stat }) =>
    stat.kind !== "directory" && (isOurs(name) ? !keeps.has(name) : stat.mtime * 1_000 < now - TEMP_KEPT_MS)
  );
  await Promise.all(left.map(({ name }) => client.removeFile(`${temp}/${name}`).catch(() => {})));
}
