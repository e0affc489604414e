/** A file of a tree, opened for reading. @module */
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import type { Stat } from "./stat.ts";

/** A regular file, open until it is disposed. */
export interface OpenFile extends Disposable {
  /**
   * A path by which any thread of this process can open the file once more while this is
   * open: `/proc/self/fd/N` where directories are pinned, else the real path.
   */
  readonly nativePath: string;
  /** The descriptor that the system knows it by, while it is open, where directories are pinned. */
  readonly descriptor?: number;
  /** What the file was when it was opened. */
  readonly stat: Stat;
  /**
   * Reads once, from `position` (bytes from the start).
   *
   * @returns Bytes read, maybe fewer than fit; 0 at the end.
   */
  read(into: Uint8Array, position: number): number;
}

/** What an {@linkcode OpenFile} is made of. */
export interface OpenFileParts extends Pick<OpenFile, "nativePath" | "descriptor" | "stat" | "read"> {
  /** What is done with it, for the texts of errors. */
  operation: string;
  close(): void;
}

/** An {@linkcode OpenFile} that is closed once and not read afterwards: its number may soon mean another file. */
export function openFile({ nativePath, descriptor, stat, operation, read, close }: OpenFileParts): OpenFile {
  let isOpen = true;
  return {
    nativePath,
    get descriptor() {
      return isOpen ? descriptor : undefined;
    },
    stat,
    read(into, position) {
      if (!isOpen) throw new FilesyncError({ code: "io", operation, reason: "it is closed already" });
      try {
        return read(into, position);
      } catch (error) {
        throw toFilesyncError(operation, error);
      }
    },
    [Symbol.dispose]() {
      if (!isOpen) return;
      isOpen = false;
      close();
    },
  };
}
