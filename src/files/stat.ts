/** What the file system says of one path. @module */
import { permissionBits } from "../core/entry.ts";

/** What stands at a path, links not followed. */
export interface Stat {
  /** `other`: a socket, a pipe or a device. */
  kind: "file" | "directory" | "symlink" | "other";
  /** Bytes. */
  size: number;
  /** Modification time, whole milliseconds since the epoch, rounded down. */
  mtime: number;
  /** Change time, milliseconds since the epoch. Deno tells whole seconds only. */
  ctime: number;
  /** Permission bits, see {@linkcode permissionBits}; 0 for symbolic links and others. */
  mode: number;
  /** The device it is on; with {@linkcode ino} it names the inode. */
  dev: number;
  /** The inode; 0 where the file system has none. */
  ino: number;
}

/** What systems without permission bits are taken to mean. */
const DEFAULT_MODE = { file: 0o644, directory: 0o755 };

/** The {@linkcode Stat} in what Deno says of a file. */
export function toStat(info: Deno.FileInfo): Stat {
  const kind = info.isFile ? "file" : info.isDirectory ? "directory" : info.isSymlink ? "symlink" : "other";
  return {
    kind,
    size: info.size,
    mtime: info.mtime?.getTime() ?? 0,
    ctime: info.ctime?.getTime() ?? 0,
    mode: kind === "file" || kind === "directory" ? permissionBits(kind, info.mode ?? DEFAULT_MODE[kind]) : 0,
    dev: info.dev,
    ino: info.ino ?? 0,
  };
}
