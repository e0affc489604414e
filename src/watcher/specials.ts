/**
 * The two things in a tree that upset `Deno.watchFs`: named pipes and links to directories.
 *
 * - It opens every path it has an event for. Opening a named pipe that has no writer waits for
 *   one, on the thread that delivers all events (denoland/deno `runtime/ops/fs_events.rs`,
 *   `same_file::is_same_file`).
 * - It follows links to directories (notify 8.2, `WalkDir::follow_links`), so that one directory
 *   is known by two names: its events come under either name, and removing the link ends the
 *   watch of the directory.
 *
 * @module
 */
import { closeSync, constants, openSync } from "node:fs";

/** A named pipe, or a link to a directory inside the tree. */
export interface Special {
  kind: "pipe" | "link";
  /** Relative to the root. */
  path: string;
}

/** Names read between two turns of the event loop. */
const SLICE = 500;

/** Finds the specials below `root`. What cannot be read is passed over: so does the watch. */
export async function* findSpecials(root: string): AsyncGenerator<Special> {
  const directories = [""];
  let names = 0;
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    for (const { name, isDirectory, isFile, isSymlink } of list(root + directory)) {
      if (++names % SLICE === 0) await new Promise((resolve) => setTimeout(resolve, 0));
      const path = `${directory}/${name}`;
      if (isDirectory) directories.push(path);
      else if (isSymlink && leadsInside(root, root + path)) yield { kind: "link", path: path.slice(1) };
      else if (!isFile && !isSymlink && isPipe(root + path)) yield { kind: "pipe", path: path.slice(1) };
    }
  }
}

function list(directory: string): Deno.DirEntry[] {
  try {
    return Array.from(Deno.readDirSync(directory));
  } catch {
    return [];
  }
}

/** Whether `link` is one, and leads to a directory in `root`. Both absolute. */
export function leadsInside(root: string, link: string): boolean {
  try {
    const target = Deno.realPathSync(link);
    return target !== link && (target + "/").startsWith(root + "/") && Deno.lstatSync(target).isDirectory;
  } catch {
    return false;
  }
}

/** Whether a named pipe stands at `path`. */
export function isPipe(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFifo === true;
  } catch {
    return false;
  }
}

/** How long a pipe is held open: enough for the waiting thread to finish what it has in hand, milliseconds. */
const HOLD = 100;

/**
 * Lets go whoever waits to read from one of `pipes`. The watch that hangs must have been
 * terminated before, or it would wait again at the event of this very opening.
 *
 * A pipe at which nobody waits is left alone (`ENXIO`); a waiting reader of the user's sees a
 * writer that came and wrote nothing.
 */
export async function releasePipes(pipes: string[]): Promise<void> {
  const held: number[] = [];
  for (const pipe of pipes) {
    try {
      held.push(openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK));
    } catch {
      continue;
    }
  }
  if (held.length > 0) await new Promise((resolve) => setTimeout(resolve, HOLD));
  for (const file of held) closeSync(file);
}
