/**
 * One directory of a tree, and what can be done to the names in it. There are two kinds:
 * {@linkcode DescriptorDirectory} acts by system calls on an open descriptor,
 * {@linkcode PathDirectory} by paths.
 *
 * @module
 */
import type { OpenFile } from "./open_file.ts";
import type { Listed, Stat } from "./stat.ts";
import type { WritableFile } from "./writable_file.ts";

/**
 * A directory. A `name` is a bare name in it, or `"."` for itself; nothing follows a symbolic
 * link that stands there. What fails throws an error that `osCode` knows.
 */
export interface Directory {
  /** A path by which any thread of this process reaches `name` while this directory is held. */
  nativePath(name: string): string;
  /** `undefined` when nothing stands there. */
  stat(name: string): Stat | undefined;
  /** The names, in no order; bytes that are not Unicode come as U+FFFD. */
  list(): string[];
  /** The names and what stands there, without those that went meanwhile; those that are not Unicode are there. */
  listWithStats(): Listed[];
  /** Where a link points; `undefined` when that is not Unicode. */
  readLink(name: string): string | undefined;
  /**
   * Opens for reading, without waiting for a pipe's writer.
   *
   * @param operation For the texts of errors.
   */
  openRead(name: string, operation: string): OpenFile;
  /** Makes a file for this user only (`0o600`) where nothing stands. */
  createFile(name: string): WritableFile;
  /** Opens a file that stands there, for writing and reading; only one that {@linkcode createFile} made. */
  openFile(name: string): WritableFile;
  /** Less the umask. */
  makeDirectory(name: string, mode: number): void;
  makeSymlink(target: string, name: string): void;
  /** As rename(2); `to` is a directory of the same tree. */
  rename(name: string, to: this, newName: string): void;
  /** Removes anything but a directory. */
  removeFile(name: string): void;
  removeDirectory(name: string): void;
  /** Sets permission bits, but not of a link, and both times, milliseconds since the epoch. */
  setAttributes(name: string, attributes: { mode?: number; mtime?: number }): void;
  /** Resolves when content and attributes of a file are on the disk. */
  syncFile(name: string): Promise<void>;
  /** Returns when the names are on the disk. */
  sync(): void;
}
