/**
 * The digest of a directory: one SHA-256 for all that is in it, equal for equal trees on every platform.
 *
 * It is the SHA-256 of a listing, one line for each entry, in the order of the UTF-8 bytes of paths:
 *
 * ```text
 * f 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 docs/read me.txt
 * x e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 run.sh
 * d - docs
 * l 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae latest
 * ```
 *
 * - `f` is a file and `x` one that its owner may execute, with the SHA-256 of the content; `d` is a
 *   directory; `l` is a symbolic link, with the SHA-256 of where it points. The top has no line.
 * - In a path `\` is written `\\`, a line feed `\n`, a carriage return `\r`, as `sha256sum` does: a line
 *   is always one entry. The order is that of the paths before this.
 * - Every line ends with a line feed. So `filesync digest --list <dir> | sha256sum` gives the digest,
 *   and whoever wants to know why two differ compares two listings with `diff`.
 *
 * What counts is what a program that reads the tree can depend on, and every platform can hold: kinds,
 * names, contents, targets. Modification times do not count, because systems round them differently, nor
 * do permissions and owners, which a platform or a umask may not let through. The owner's right to execute
 * is the exception, as it is in git and in Nix's archives: it tells a program from a text.
 *
 * @module
 */
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { comesBefore, type TreePath } from "../core/path.ts";
import { Sha256, sha256 } from "./sha256.ts";

/** Characters of the listing that are hashed in one go. */
const PIECE = 32 << 10;

const OWNER_EXECUTES = 0o100;

const ESCAPES: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r" };

const encoder = new TextEncoder();

/** The line of the listing that `entry` is, with the line feed at its end. */
export function listingLine(entry: Entry): string {
  const path = entry.path.replace(/[\\\n\r]/g, (character) => ESCAPES[character]);
  switch (entry.kind) {
    case "file":
      return `${(entry.mode & OWNER_EXECUTES) === 0 ? "f" : "x"} ${entry.digest} ${path}\n`;
    case "directory":
      return `d - ${path}\n`;
    case "symlink":
      return `l ${sha256(encoder.encode(entry.target))} ${path}\n`;
  }
}

/** The digest of a directory whose entries come one by one, see the module's comment. */
export class DirectoryDigest {
  readonly #hash = new Sha256();
  #last: TreePath | undefined;
  #piece = "";

  /**
   * Takes the next entry.
   *
   * @throws {RangeError} When its path does not come after the one before.
   */
  add(entry: Entry): void {
    if (this.#last !== undefined && !comesBefore(this.#last, entry.path)) {
      throw new RangeError(`The path ${JSON.stringify(entry.path)} is out of order`);
    }
    this.#last = entry.path;
    this.#piece += listingLine(entry);
    if (this.#piece.length >= PIECE) this.#flush();
  }

  /**
   * The digest of all entries.
   *
   * @throws {Error} When it is called twice.
   */
  digest(): Digest {
    this.#flush();
    return this.#hash.digest();
  }

  #flush(): void {
    this.#hash.update(encoder.encode(this.#piece));
    this.#piece = "";
  }
}

/**
 * The digest of the directory that holds `entries`, which rise by path.
 *
 * @throws {RangeError} When they do not.
 */
export async function directoryDigest(entries: Iterable<Entry> | AsyncIterable<Entry>): Promise<Digest> {
  const whole = new DirectoryDigest();
  for await (const entry of entries) whole.add(entry);
  return whole.digest();
}
