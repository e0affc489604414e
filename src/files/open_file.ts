/** A file of a tree, opened for reading. @module */
import fs from "node:fs";
import { toFilesyncError } from "../core/errors.ts";
import type { Stat } from "./stat.ts";

/** A regular file, open until it is disposed. */
export interface OpenFile extends Disposable {
  /**
   * A path by which any thread of this process can open the file once more while this is
   * open: `/proc/self/fd/N` where directories are pinned, else the real path.
   */
  readonly nativePath: string;
  /** What the file was when it was opened. */
  readonly stat: Stat;
  /**
   * Reads once, from `position` (bytes from the start).
   *
   * @returns Bytes read, maybe fewer than fit; 0 at the end.
   */
  read(into: Uint8Array, position: number): number;
}

/** The number of a closed descriptor may soon mean another file; this one never does. */
const CLOSED = -1;

/** Wraps an open `descriptor` of `node:fs`, and closes it in the end. */
export function openFile(descriptor: number, nativePath: string, stat: Stat, operation: string): OpenFile {
  let open = descriptor;
  return {
    nativePath,
    stat,
    read(into, position) {
      try {
        return fs.readSync(open, into, 0, into.length, position);
      } catch (error) {
        throw toFilesyncError(operation, error);
      }
    },
    [Symbol.dispose]() {
      if (open === CLOSED) return;
      open = CLOSED;
      fs.closeSync(descriptor);
    },
  };
}
