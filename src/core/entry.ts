/** What stands at a path of a tree. @module */
import type { Digest } from "./digest.ts";
import type { TreePath } from "./path.ts";

/** The kinds of entries that are kept in step. Sockets, pipes and devices are not: they are problems. */
export type EntryKind = "file" | "directory" | "symlink";

/** A regular file. */
export interface FileEntry {
  kind: "file";
  path: TreePath;
  /** Bytes. */
  size: number;
  /** Modification time, whole milliseconds since the epoch. */
  mtime: number;
  /** Permission bits, see {@linkcode permissionBits}. */
  mode: number;
  /** SHA-256 of the content. */
  digest: Digest;
}

/** A directory. */
export interface DirectoryEntry {
  kind: "directory";
  path: TreePath;
  mtime: number;
  mode: number;
}

/** A symbolic link; never followed. */
export interface SymlinkEntry {
  kind: "symlink";
  path: TreePath;
  mtime: number;
  /** Where it points, exactly as the link holds it. */
  target: string;
}

/** What stands at a path. */
export type Entry = FileEntry | DirectoryEntry | SymlinkEntry;

/**
 * The permission bits that are carried over: all of `rwx`, and for directories set-group-ID
 * and the sticky bit. Set-user-ID never travels, nor set-group-ID on files: a file that
 * arrives over the network must not run as the receiver's user.
 */
export function permissionBits(kind: "file" | "directory", mode: number): number {
  return mode & (kind === "file" ? 0o777 : 0o3777);
}

/** Whether one kind takes the place of the other in one step: what is in a directory would have to go before. */
export function canReplace(a: { kind: string }, b: { kind: string }): boolean {
  return (a.kind === "directory") === (b.kind === "directory");
}

/** Whether two entries are the same in everything that is kept in step. */
export function sameEntry(a: Entry, b: Entry): boolean {
  return sameContent(a, b) && a.mtime === b.mtime &&
    (a.kind === "symlink" || b.kind === "symlink" || a.mode === b.mode);
}

/** Whether two entries have the same kind and content, whatever their mode and time. */
export function sameContent(a: Entry, b: Entry): boolean {
  switch (a.kind) {
    case "file":
      return b.kind === "file" && a.digest === b.digest;
    case "directory":
      return b.kind === "directory";
    case "symlink":
      return b.kind === "symlink" && a.target === b.target;
  }
}
