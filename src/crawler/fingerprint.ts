/** The fingerprint of a file: the BLAKE3 digest of its content, as `b3sum` prints it. @module */
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { Blake3 } from "../hashing/blake3.ts";

/** What reading a file gave. */
export interface Fingerprint {
  digest: Digest;
  /** Bytes that were read. */
  size: number;
  /** How the file looked when it was opened: modification time, microseconds since the epoch, to milliseconds. */
  mtime: number;
}

const buffer = new Uint8Array(1 << 20);

/**
 * Reads the file at a native path.
 *
 * @throws {FilesyncError} `conflict` when it changes meanwhile, or is no regular file; whatever the system says.
 */
export function fingerprintFile(path: string): Fingerprint {
  const before = Deno.lstatSync(path);
  // Opening a pipe would wait for its writer.
  if (!before.isFile) throw changed(path);
  using file = Deno.openSync(path);
  const hash = new Blake3();
  let size = 0;
  for (let n = file.readSync(buffer); n !== null; n = file.readSync(buffer)) {
    hash.update(buffer.subarray(0, n));
    size += n;
  }
  const after = file.statSync();
  const same = after.ino === before.ino && after.size === size &&
    after.mtime?.getTime() === before.mtime?.getTime();
  if (!same) throw changed(path);
  return { digest: hash.digest(), size, mtime: (after.mtime?.getTime() ?? 0) * 1000 };
}

function changed(path: string): FilesyncError {
  return new FilesyncError({
    code: "conflict",
    operation: `take the fingerprint of ${JSON.stringify(path)}`,
    reason: "it changes while it is read",
    hint: "The next scan tries again",
  });
}
