/**
 * Reading one directory into a listing: by system calls where they can be had, which is four times as fast as
 * Deno's own functions, and by those elsewhere.
 *
 * @module
 */
import { blake3 } from "../hashing/blake3.ts";
import { osCode } from "../core/errors.ts";
import { type Libc, loadLibc, OPEN, type RawEntry } from "../files/libc.ts";
import { type Stat, toStat } from "../files/stat.ts";
import { KIND, type Kind, type ListingWriter } from "./listing.ts";

/** What is asked about the names in a directory before they are taken, and told of them. */
export interface ReadVisitor {
  /** Whether a name is left out. Called only with {@linkcode ReadOptions.asks}. */
  ignores(name: string, isDirectory: boolean): boolean;
  /** A directory stands there. */
  directory(name: string): void;
  /** Something could not be looked at, or its name is not valid Unicode. */
  problem(name: string, reason: unknown): void;
}

/** How to read a directory. */
export interface ReadOptions {
  /** Absolute, without a slash at the end. */
  path: string;
  /** The same below the root. */
  below: string;
  /** Whether {@linkcode ReadVisitor.ignores} is to be asked. */
  asks: boolean;
  /** A name that ends the reading, without a listing, when it is found. */
  stopAt?: string;
  /** Whether a listing is taken even though the directory was changed while it was made. @default {false} */
  mayChange?: boolean;
}

/**
 * How reading a directory ended: `elsewhere` means on another file system, `stopped` that the name was found, and
 * `changed` that names may be missing or come twice. Of the last two there is no listing.
 */
export type ReadOutcome = "read" | "elsewhere" | "stopped" | "changed";

/** The first so many names are of one moment: however long they are, the system gives them in one piece. */
const AT_ONCE = 100;

/** Says that a name cannot be kept. */
export class NotUnicode extends Error {
  override name = "NotUnicode";
  constructor() {
    super("its name is not valid Unicode");
  }
}

/** Reads directories below one root. */
export interface DirectoryReader extends Disposable {
  /**
   * Appends the listing of a directory to `writer`.
   *
   * @throws When it cannot be read to its end; nothing is appended then.
   */
  read(options: ReadOptions, writer: ListingWriter, visitor: ReadVisitor): ReadOutcome;
}

/**
 * Opens `root`, an absolute path.
 *
 * @param oneFileSystem Whether directories on other file systems are left unread.
 */
export function openDirectoryReader(root: string, oneFileSystem: boolean): DirectoryReader {
  const libc = loadLibc();
  return libc === undefined
    ? new PathReader(root || "/", oneFileSystem)
    : new DescriptorReader(libc, root || "/", oneFileSystem);
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder();

/** Bits of a mode that tell the kind. */
const KIND_BITS = 0o170000;
const KINDS: Record<number, Kind> = {
  0o100000: KIND.file,
  0o120000: KIND.symlink,
  0o040000: KIND.directory,
};

class DescriptorReader implements DirectoryReader {
  readonly #libc: Libc;
  readonly #root: number;
  readonly #onlyDevice: number | undefined;

  constructor(libc: Libc, root: string, oneFileSystem: boolean) {
    this.#libc = libc;
    this.#root = libc.open(undefined, root, OPEN.directory);
    this.#onlyDevice = oneFileSystem ? libc.statOf(this.#root).dev : undefined;
  }

  read(
    { path, below, asks, stopAt, mayChange = false }: ReadOptions,
    writer: ListingWriter,
    visitor: ReadVisitor,
  ): ReadOutcome {
    const libc = this.#libc;
    const directory = libc.openBelow(this.#root, below);
    let stopped = false;
    let names = 0;
    const seen = mayChange ? new Set<string>() : undefined;
    try {
      const before = libc.statOf(directory);
      if (this.#onlyDevice !== undefined && before.dev !== this.#onlyDevice) return "elsewhere";
      writer.begin(path);
      libc.visit(directory, (entry) => {
        if (stopped) return;
        names++;
        if (seen !== undefined && seen.size === seen.add(nameOf(entry, lenient)).size) return;
        const isAscii = isAsciiName(entry);
        if (!isAscii && !isUnicode(entry)) return visitor.problem(nameOf(entry, lenient), new NotUnicode());
        if (stopAt !== undefined && entry.length === stopAt.length && nameOf(entry, strict) === stopAt) {
          stopped = true;
          return;
        }
        this.#take(entry, asks, writer, visitor);
      });
      const changed = !stopped && !mayChange && names > AT_ONCE &&
        !isSameMoment(before, libc.statOf(directory));
      if (stopped || changed) writer.drop();
      else writer.end(blake3);
      return stopped ? "stopped" : changed ? "changed" : "read";
    } catch (error) {
      writer.drop();
      throw error;
    } finally {
      libc.close(directory);
    }
  }

  #take(entry: RawEntry, asks: boolean, writer: ListingWriter, visitor: ReadVisitor): void {
    const { name, length } = entry;
    let isDirectory = entry.isDirectory;
    let words: Uint32Array | undefined;
    if (isDirectory !== true) {
      try {
        words = entry.stat();
      } catch (error) {
        visitor.problem(nameOf(entry, strict), error);
        writer.add(name, length, KIND.unknown, 0, 0, 0, 0, 0);
        return;
      }
      // It went between the two calls.
      if (words === undefined) return;
      isDirectory = (words[7] & KIND_BITS) === 0o040000;
    }
    if (asks && visitor.ignores(nameOf(entry, strict), isDirectory)) return;
    if (isDirectory || words === undefined) {
      writer.add(name, length, KIND.directory, 0, 0, 0, 0, 0);
      visitor.directory(nameOf(entry, strict));
      return;
    }
    const mtime = safeTime((words[28] + (words[29] | 0) * 2 ** 32) * 1e6 + Math.floor(words[30] / 1000));
    const kind = KINDS[words[7] & KIND_BITS] ?? KIND.other;
    writer.add(name, length, kind, words[11], words[10], mtime, words[9], words[8]);
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.#root);
  }
}

/** Whether nothing was put into a directory or taken out of it between two looks at it. */
function isSameMoment(before: Stat, after: Stat): boolean {
  return before.mtime === after.mtime && before.ctime === after.ctime;
}

/** Times that somebody made up, of the year 300,000, would be no whole number any more. */
function safeTime(mtime: number): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, mtime));
}

function isAsciiName({ name, length }: RawEntry): boolean {
  for (let i = 0; i < length; i++) if (name[i] >= 0x80) return false;
  return true;
}

function isUnicode({ name, length }: RawEntry): boolean {
  try {
    strict.decode(name.subarray(0, length));
    return true;
  } catch {
    return false;
  }
}

function nameOf({ name, length }: RawEntry, decoder: TextDecoder): string {
  return decoder.decode(name.subarray(0, length));
}

/** Goes by paths. */
class PathReader implements DirectoryReader {
  readonly #onlyDevice: number | undefined;

  constructor(root: string, oneFileSystem: boolean) {
    this.#onlyDevice = oneFileSystem ? Deno.statSync(root).dev : undefined;
  }

  read(
    { path, asks, stopAt, mayChange = false }: ReadOptions,
    writer: ListingWriter,
    visitor: ReadVisitor,
  ): ReadOutcome {
    const directory = path || "/";
    const before = Deno.lstatSync(directory);
    if (!before.isDirectory) throw new Deno.errors.NotADirectory();
    if (this.#onlyDevice !== undefined && before.dev !== this.#onlyDevice) return "elsewhere";
    const entries = new Map(Array.from(Deno.readDirSync(directory), (entry) => [entry.name, entry]));
    if (stopAt !== undefined && entries.has(stopAt)) return "stopped";
    const isSame = isSameMoment(toStat(before), toStat(Deno.lstatSync(directory)));
    if (!mayChange && entries.size > AT_ONCE && !isSame) return "changed";
    writer.begin(path);
    for (const { name, isDirectory } of entries.values()) {
      if (name.includes("\uFFFD")) visitor.problem(name, new NotUnicode());
      else if (!(asks && visitor.ignores(name, isDirectory))) {
        this.#take(path, name, isDirectory, writer, visitor);
      }
    }
    writer.end(blake3);
    return "read";
  }

  #take(path: string, name: string, isDirectory: boolean, writer: ListingWriter, visitor: ReadVisitor): void {
    const bytes = new TextEncoder().encode(name);
    if (isDirectory) {
      writer.add(bytes, bytes.length, KIND.directory, 0, 0, 0, 0, 0);
      visitor.directory(name);
      return;
    }
    try {
      const { kind, size, mtime, ino } = toStat(Deno.lstatSync(`${path}/${name}`));
      writer.add(bytes, bytes.length, KIND[kind], high(size), size >>> 0, mtime * 1000, high(ino), ino >>> 0);
    } catch (error) {
      if (osCode(error) === "ENOENT") return;
      visitor.problem(name, error);
      writer.add(bytes, bytes.length, KIND.unknown, 0, 0, 0, 0, 0);
    }
  }

  [Symbol.dispose](): void {}
}

function high(number: number): number {
  return Math.floor(number / 2 ** 32);
}
