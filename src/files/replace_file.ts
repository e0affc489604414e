/** Small files of the program's own, such as keys: whole or not there, whatever happens. @module */
import { dirname } from "@std/path";
import { osCode } from "../core/errors.ts";

/**
 * Makes `text` the content of the file at `path`. Who reads it meanwhile, or after a power cut, finds the old content
 * or the new one; when this returns, the new one is on the disk. A link there is replaced, not followed.
 *
 * @param mode Permission bits; nobody has more in between.
 * @throws What the system throws.
 */
export function replaceFile(path: string, text: string, mode: number): void {
  const scratch = `${path}.new`;
  try {
    // What a run that was killed left; it may be anything.
    Deno.removeSync(scratch);
  } catch (error) {
    if (osCode(error) !== "ENOENT") throw error;
  }
  {
    using file = Deno.openSync(scratch, { write: true, createNew: true, mode });
    if (Deno.build.os !== "windows") Deno.chmodSync(scratch, mode);
    for (let left = new TextEncoder().encode(text); left.length > 0;) {
      left = left.subarray(file.writeSync(left));
    }
    file.syncSync();
  }
  Deno.renameSync(scratch, path);
  // Windows opens no directory, and needs none opened for this.
  if (Deno.build.os === "windows") return;
  using directory = Deno.openSync(dirname(path));
  directory.syncSync();
}
