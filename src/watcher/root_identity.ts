/** Which directory stands at a path: the same one as before, another one, or none. @module */
import { osCode } from "../core/errors.ts";

/** What stands at the root: a directory, known by what no other has, or why there is none. */
export type RootState = { identity: string } | { missing: string };

/**
 * Looks at `root`. Device and inode tell a directory from another; the time of its birth does
 * when a file system gives the number of a removed directory to the next one.
 */
export function lookAtRoot(root: string): RootState {
  try {
    const { dev, ino, birthtime, isDirectory } = Deno.statSync(root);
    if (!isDirectory) return { missing: "what stands there is not a directory" };
    return { identity: `${dev}:${ino}:${birthtime?.getTime()}` };
  } catch (error) {
    if (osCode(error) === "ENOENT") return { missing: "the directory does not exist" };
    return { missing: error instanceof Error ? error.message : String(error) };
  }
}
