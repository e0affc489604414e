/** What the file system says of one path. @module */
import { permissionBits } from "../core/entry.ts";

/** What stands at a path, links not followed. */
export interface Stat {
  /** `other`: a socket, a pipe or a device. */
  kind: "file" | "directory" | "symlink" | "other";
  /** Bytes. */
  size: number;
  /** Modification time, whole milliseconds since the epoch, rounded down; as far from it as a `Date` goes. */
  mtime: number;
  /** Change time, whole milliseconds since the epoch, rounded down; where only Deno tells it, to seconds. */
  ctime: number;
  /** Permission bits, see {@linkcode permissionBits}; 0 for symbolic links and others. */
  mode: number;
  /** The device it is on; with {@linkcode ino} it names the inode. */
  dev: number;
  /** The inode; 0 where the file system has none. What is no safe integer is folded into one. */
  ino: number;
}

/** A name in a listing, and what stands there: an error when that could not be told. */
export interface Listed<E = Error> {
  name: string;
  stat: Stat | E;
}

/** What is taken to be meant where there are no permission bits. */
export const DEFAULT_MODE = { file: 0o644, directory: 0o755 };

/** The {@linkcode Stat} in what Deno says of a file. */
export function toStat(info: Deno.FileInfo): Stat {
  const kind = info.isFile ? "file" : info.isDirectory ? "directory" : info.isSymlink ? "symlink" : "other";
  return {
    kind,
    size: info.size,
    mtime: withinTime(info.mtime?.getTime() || 0),
    ctime: withinTime(info.ctime?.getTime() || 0),
    mode: kind === "file" || kind === "directory" ? permissionBits(kind, info.mode ?? DEFAULT_MODE[kind]) : 0,
    dev: info.dev,
    ino: inodeNumber((info.ino ?? 0) % 2 ** 32, Math.floor((info.ino ?? 0) / 2 ** 32)),
  };
}

/** The length of `struct statx` of `statx(2)` in words of 32 bits. Its layout is the same on every architecture. */
export const STATX_WORDS = 64;

/** Bits of a mode that tell the kind, and what they tell. */
const KIND_BITS = 0o170000;
const KINDS: Record<number, Stat["kind"]> = { 0o100000: "file", 0o040000: "directory", 0o120000: "symlink" };

/** The {@linkcode Stat} in a `struct statx`, with the same numbers as {@linkcode toStat}. */
export function statxToStat(words: Uint32Array): Stat {
  const bits = words[7] & 0xffff;
  const kind = KINDS[bits & KIND_BITS] ?? "other";
  return {
    kind,
    size: words[10] + words[11] * 2 ** 32,
    mtime: milliseconds(words, 28),
    ctime: milliseconds(words, 24),
    mode: kind === "file" || kind === "directory" ? permissionBits(kind, bits) : 0,
    dev: deviceNumber(words[34], words[35]),
    ino: inodeNumber(words[8], words[9]),
  };
}

/** A `struct statx_timestamp`: signed 64 bits of seconds, then nanoseconds. */
function milliseconds(words: Uint32Array, at: number): number {
  return withinTime((words[at] + (words[at + 1] | 0) * 2 ** 32) * 1000 + Math.floor(words[at + 2] / 1e6));
}

/** The farthest that a `Date` can be from the epoch, and a time on the wire. Some file systems hold any 64 bits. */
const FARTHEST_TIME = 8.64e15;

function withinTime(time: number): number {
  return Math.min(Math.max(time, -FARTHEST_TIME), FARTHEST_TIME);
}

/**
 * Both halves of an inode in one safe integer, which databases hold and give back. File systems that make inodes by
 * hashing, and servers that number files in 64 bits (mergerfs, GlusterFS, SMB), use all bits: the highest are folded
 * into those below them.
 */
function inodeNumber(low: number, high: number): number {
  return low + ((high ^ (high >>> 21)) & 0x1fffff) * 2 ** 32;
}

/** The number that the C library's `makedev` gives, and with it `stat`. */
function deviceNumber(major: number, minor: number): number {
  return (major & 0xfffff000) * 2 ** 32 + (minor & 0xffffff00) * 2 ** 12 + (major & 0xfff) * 2 ** 8 +
    (minor & 0xff);
}
