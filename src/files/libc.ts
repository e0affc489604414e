/**
 * The system calls of Linux that act on a bare name in an open directory, `openat(2)` and its
 * kin. No JavaScript runtime offers them; Deno's foreign function interface reaches them in the
 * C library. Nothing else in the program calls it.
 *
 * Every call throws a {@linkcode SystemError} when it fails, and is made again when a signal
 * interrupted it. Descriptors and flags are plain numbers, names are never resolved further
 * than the one directory they are in.
 *
 * @module
 */
import os from "node:os";
import { type Listed, type Stat, STATX_WORDS, statxToStat } from "./stat.ts";

/** A system call failed; {@linkcode osCode} knows its `code`. */
export class SystemError extends Error {
  override name = "SystemError";
  /** @param code The name of the `errno`, such as `"ENOENT"`. */
  constructor(readonly code: string, message: string) {
    super(`${message} (${code})`);
  }
}

const LIBRARY = "libc.so.6";

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_NO_AUTOMOUNT = 0x800;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const SYNC_FILE_RANGE_WRITE = 2;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

const AF_INET = 2;
const AF_INET6 = 10;
/** Bytes of a `sockaddr_in6`, the longer of the two. */
const SOCKADDR_BYTES = 28;
const SHUT_RDWR = 2;

const { EINTR, EIO, ENOENT, ENXIO } = os.constants.errno;
/** Names of errors by number. Where two names share one, the first is the usual one. */
const CODES = new Map(Object.entries(os.constants.errno).reverse().map(([name, number]) => [number, name]));

/** The path by which this process, all its threads included, reaches what `descriptor` has open. */
export function descriptorPath(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

/** Flags whose numbers differ. There is a Deno for no other architecture. */
const OPEN_FLAGS = {
  x86_64: { O_DIRECTORY: 0o200000, O_NOFOLLOW: 0o400000 },
  aarch64: { O_DIRECTORY: 0o40000, O_NOFOLLOW: 0o100000 },
}[Deno.build.arch as string];

/** Flags of `open(2)`. `O_CLOEXEC` is always added. */
export const OPEN = {
  read: 0,
  readWrite: 0o2,
  /** Makes the file; fails when anything, even a link that leads nowhere, stands there. */
  createNew: 0o100 | 0o200,
  /** Does not wait for the writer of a pipe. */
  nonBlocking: 0o4000,
  directory: OPEN_FLAGS?.O_DIRECTORY ?? 0,
  noFollow: OPEN_FLAGS?.O_NOFOLLOW ?? 0,
  /**
   * A handle on whatever stands there, without opening it. It needs no permission on the file,
   * waits for no pipe, and takes a link as it is.
   */
  handle: 0o10000000,
  closeOnExec: 0o2000000,
};

/**
 * Sizes and offsets go in as 64 bits, as the library takes them. What comes back is never more
 * than 31 bits, since no call moves more at once, and so needs no `bigint`.
 */
const CALLS = {
  __errno_location: { parameters: [], result: "pointer" },
  close: { parameters: ["i32"], result: "i32" },
  copy_file_range: { parameters: ["i32", "buffer", "i32", "buffer", "usize", "u32"], result: "i32" },
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  fchmodat: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  fsync: { parameters: ["i32"], result: "i32" },
  fsyncAside: { name: "fsync", parameters: ["i32"], result: "i32", nonblocking: true },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  futimens: { parameters: ["i32", "buffer"], result: "i32" },
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  lseek: { parameters: ["i32", "i64", "i32"], result: "i32" },
  // A place in a file, unlike everything else that comes back.
  lseekFar: { name: "lseek", parameters: ["i32", "i64", "i32"], result: "i64" },
  mkdirat: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
  // The C library has no function for it. The arguments of its `syscall` travel as those of any function do.
  openat2: { name: "syscall", parameters: ["i64", "i32", "buffer", "buffer", "usize"], result: "i32" },
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "i32" },
  readlinkat: { parameters: ["i32", "buffer", "buffer", "usize"], result: "i32" },
  renameat: { parameters: ["i32", "buffer", "i32", "buffer"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  strerror: { parameters: ["i32"], result: "pointer" },
  sync_file_rangeAside: {
    name: "sync_file_range",
    parameters: ["i32", "i64", "i64", "u32"],
    result: "i32",
    nonblocking: true,
  },
  symlinkat: { parameters: ["buffer", "i32", "buffer"], result: "i32" },
  syncfs: { parameters: ["i32"], result: "i32" },
  syncfsAside: { name: "syncfs", parameters: ["i32"], result: "i32", nonblocking: true },
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  utimensat: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Calls = Deno.DynamicLibrary<typeof CALLS>["symbols"];

/** Opens the C library. Each call takes 0.2 ms to prepare, so that is put off until it is first made. */
function openCalls(): Calls {
  const calls = {} as Calls;
  for (const name of Object.keys(CALLS) as (keyof Calls)[]) {
    Object.defineProperty(calls, name, {
      configurable: true,
      get() {
        const value = Deno.dlopen(LIBRARY, { [name]: CALLS[name] }).symbols[name];
        Object.defineProperty(calls, name, { value });
        return value;
      },
    });
  }
  return calls;
}

const encoder = new TextEncoder();
/** A name may begin with what would be a byte order mark in a text. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Texts as the library takes them: UTF-8, ended by NUL. One text at a time. */
class TextBuffer {
  bytes = new Uint8Array(4096);

  take(text: string): Uint8Array<ArrayBuffer> {
    // A UTF-16 code unit is at most three bytes of UTF-8.
    if (text.length * 3 >= this.bytes.length) this.bytes = new Uint8Array(text.length * 3 + 1);
    const { bytes } = this;
    let length = 0;
    // For names that are ASCII, several times as fast as the encoder.
    for (; length < text.length; length++) {
      const unit = text.charCodeAt(length);
      if (unit === 0 || unit >= 0x80) break;
      bytes[length] = unit;
    }
    if (length < text.length) {
      if (text.includes("\0", length)) throw new SystemError("EINVAL", "It holds a NUL character");
      length += encoder.encodeInto(text.slice(length), bytes.subarray(length)).written;
    }
    bytes[length] = 0;
    return bytes;
  }
}

/** Most bytes of one `read` or `write`; the kernel's own limit is a little less than 2 GiB. */
const MOST_AT_ONCE = 1 << 30;

/** One end of a connection. */
export interface SocketAddress {
  /** In the form of `URL.hostname`, without brackets. */
  address: string;
  port: number;
}

/** An open connection over IP. */
export interface Connection {
  descriptor: number;
  peer: SocketAddress;
  localPort: number;
}

/** What `struct sockaddr` tells; `undefined` for other families than the two of IP. */
function toSocketAddress(bytes: Uint8Array): SocketAddress | undefined {
  const port = bytes[2] << 8 | bytes[3];
  const family = bytes[0] | bytes[1] << 8;
  if (family === AF_INET) return { address: bytes.subarray(4, 8).join("."), port };
  if (family !== AF_INET6) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[8 + 2 * i] << 8 | bytes[9 + 2 * i]).toString(16));
  return { address: new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1), port };
}

/** What `getdents64` fills at once; the C library's own `readdir` takes as much. */
const LIST_BYTES = 32 << 10;

/** `PATH_MAX` of Linux: a longer path is opened name by name. */
const MOST_PATH_BYTES = 4096;

const SYS_OPENAT2 = 437n;
/** `struct open_how` of `openat2(2)`: flags, mode, and `RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS`. */
const OPEN_HOW = BigUint64Array.of(BigInt(OPEN.directory | OPEN.noFollow | OPEN.closeOnExec), 0n, 0x6n);

/** Kinds in a `struct linux_dirent64` that matter here; many file systems do not tell. */
const DT_UNKNOWN = 0;
const DT_DIR = 4;

/** An entry as {@linkcode Libc.visit} shows it. */
export interface RawEntry {
  /** Holds the bytes of the name. */
  name: Uint8Array<ArrayBuffer>;
  /** How many they are. */
  length: number;
  /** Unknown where the file system does not tell without being asked for more. */
  isDirectory: boolean | undefined;
  /**
   * The words of a `struct statx` (`stat.ts`); `undefined` when nothing stands there any more.
   *
   * @throws {SystemError}
   */
  stat(): Uint32Array | undefined;
}

const NOTHING = new Uint8Array(1);
const [DOT, SLASH] = encoder.encode("./");

/** The calls, for one thread: see {@linkcode loadLibc}. */
export class Libc {
  readonly #calls: Calls;
  /** The `errno` of this thread. */
  readonly #errno: Int32Array;
  readonly #first = new TextBuffer();
  readonly #second = new TextBuffer();
  readonly #words = new Uint32Array(STATX_WORDS);
  readonly #times = new Int32Array(8);
  readonly #listing = new Uint8Array(LIST_BYTES);
  readonly #names = new Uint8Array(LIST_BYTES);
  #hasOpenat2 = true;

  /** @throws When the library is not there or too old. */
  constructor() {
    this.#calls = openCalls();
    // The newest of all (2.30): where it is, the others are too.
    void this.#calls.getdents64;
    const location = this.#calls.__errno_location()!;
    this.#errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4));
  }

  /** Opens `name` in the directory `at`, or a native path when that is `undefined`. */
  open(at: number | undefined, name: string, flags: number, mode = 0): number {
    const text = this.#first.take(name);
    return this.#do(() => this.#calls.openat(at ?? AT_FDCWD, text, flags | OPEN.closeOnExec, mode));
  }

  /** Never fails: whatever is answered, the descriptor is free. */
  close(descriptor: number): void {
    this.#calls.close(descriptor);
  }

  /** What stands at `name`, not followed; `undefined` when nothing does. */
  stat(at: number, name: string): Stat | undefined {
    return this.#stat(at, this.#first.take(name), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);
  }

  /** What `descriptor` has open. */
  statOf(descriptor: number): Stat {
    return this.#stat(descriptor, NOTHING, AT_EMPTY_PATH)!;
  }

  /** The names in an open directory; bytes that are not Unicode come as U+FFFD. */
  list(directory: number): string[] {
    return this.#list(directory, () => {});
  }

  /** The names in an open directory and what stands there, without those that went meanwhile. */
  listWithStats(directory: number): Listed[] {
    const stats: (Stat | Error | undefined)[] = [];
    const names = this.#list(directory, (text) => {
      try {
        stats.push(this.#stat(directory, text, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT));
      } catch (error) {
        stats.push(error as Error);
      }
    });
    const listed: Listed[] = [];
    for (let i = 0; i < names.length; i++) {
      const stat = stats[i];
      if (stat !== undefined) listed.push({ name: names[i], stat });
    }
    return listed;
  }

  /**
   * Calls `visit` with each entry of an open directory, as bytes and numbers that hold until it returns:
   * nothing is made of them, which for millions of entries is half of the work.
   */
  visit(directory: number, visit: (entry: RawEntry) => void): void {
    const entry: RawEntry = {
      name: this.#first.bytes,
      length: 0,
      isDirectory: undefined,
      stat: () => {
        const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
        return this.#statx(directory, entry.name, flags) ? this.#words : undefined;
      },
    };
    this.#eachRecord(directory, (text, length, type) => {
      entry.name = text;
      entry.length = length;
      entry.isDirectory = type === DT_UNKNOWN ? undefined : type === DT_DIR;
      visit(entry);
    }, () => {});
  }

  /**
   * Opens a directory by its path below another one, and never through a symbolic link.
   *
   * @param path Names with slashes between them; the directory `at` itself when it is empty.
   */
  openBelow(at: number, path: string): number {
    if (path === "") path = ".";
    if (path.length * 3 < MOST_PATH_BYTES && this.#hasOpenat2) {
      const text = this.#first.take(path);
      try {
        return this.#do(() =>
          this.#calls.openat2(SYS_OPENAT2, at, text, OPEN_HOW, BigInt(OPEN_HOW.byteLength))
        );
      } catch (error) {
        // Older than Linux 5.6, or a sandbox that does not know the call.
        if (!(error instanceof SystemError && (error.code === "ENOSYS" || error.code === "EPERM"))) {
          throw error;
        }
        this.#hasOpenat2 = false;
      }
    }
    let opened = at;
    for (const name of path.split("/")) {
      const above = opened;
      try {
        opened = this.open(above, name, OPEN.directory | OPEN.noFollow);
      } finally {
        if (above !== at) this.close(above);
      }
    }
    return opened;
  }

  /** The bytes of where a link points. */
  readLink(at: number, name: string): Uint8Array {
    const text = this.#first.take(name);
    // Linux allows no more than 4095.
    const into = new Uint8Array(4096);
    return into.subarray(0, this.#do(() => this.#calls.readlinkat(at, text, into, BigInt(into.length))));
  }

  makeDirectory(at: number, name: string, mode: number): void {
    const text = this.#first.take(name);
    this.#do(() => this.#calls.mkdirat(at, text, mode));
  }

  makeSymlink(target: string, at: number, name: string): void {
    const [from, to] = [this.#first.take(target), this.#second.take(name)];
    this.#do(() => this.#calls.symlinkat(from, at, to));
  }

  rename(at: number, name: string, toDirectory: number, toName: string): void {
    const [from, to] = [this.#first.take(name), this.#second.take(toName)];
    this.#do(() => this.#calls.renameat(at, from, toDirectory, to));
  }

  removeFile(at: number, name: string): void {
    const text = this.#first.take(name);
    this.#do(() => this.#calls.unlinkat(at, text, 0));
  }

  removeDirectory(at: number, name: string): void {
    const text = this.#first.take(name);
    this.#do(() => this.#calls.unlinkat(at, text, AT_REMOVEDIR));
  }

  /** Sets the permission bits of an open file. */
  setMode(descriptor: number, mode: number): void {
    this.#do(() => this.#calls.fchmod(descriptor, mode));
  }

  /** Sets the permission bits of what a native path leads to. */
  setModeAt(native: string, mode: number): void {
    const text = this.#first.take(native);
    this.#do(() => this.#calls.fchmodat(AT_FDCWD, text, mode, 0));
  }

  /** Sets both times of an open file, milliseconds since the epoch. */
  setTime(descriptor: number, time: number): void {
    this.#setTimes(time);
    this.#do(() => this.#calls.futimens(descriptor, this.#times));
  }

  /** Sets both times of what stands at `name`, not followed; milliseconds since the epoch. */
  setTimeAt(at: number, name: string, time: number): void {
    const text = this.#first.take(name);
    this.#setTimes(time);
    this.#do(() => this.#calls.utimensat(at, text, this.#times, AT_SYMLINK_NOFOLLOW));
  }

  /** Reads once, from `position`; 0 at the end. */
  read(descriptor: number, into: Uint8Array, position: number): number {
    const [length, start] = [BigInt(Math.min(into.length, MOST_AT_ONCE)), BigInt(position)];
    return this.#do(() => this.#calls.pread(descriptor, into as Uint8Array<ArrayBuffer>, length, start));
  }

  /** Writes once, at `position`. */
  write(descriptor: number, data: Uint8Array, position: number): number {
    const [length, start] = [BigInt(Math.min(data.length, MOST_AT_ONCE)), BigInt(position)];
    return this.#do(() => this.#calls.pwrite(descriptor, data as Uint8Array<ArrayBuffer>, length, start));
  }

  /**
   * Has the kernel copy once; 0 at the end. File systems that can share blocks do.
   *
   * @throws {SystemError} Also where the two files cannot be copied so.
   */
  copy(from: number, start: number, to: number, position: number, length: number): number {
    const [source, target] = [BigInt64Array.of(BigInt(start)), BigInt64Array.of(BigInt(position))];
    const most = BigInt(Math.min(length, MOST_AT_ONCE));
    return this.#do(() => this.#calls.copy_file_range(from, source, to, target, most, 0));
  }

  truncate(descriptor: number, size: number): void {
    this.#do(() => this.#calls.ftruncate(descriptor, BigInt(size)));
  }

  /**
   * The next part of an open file from `position` that is not a hole, bytes from the start;
   * `undefined` when nothing but holes follows. All of it where the file system does not tell.
   */
  dataFrom(descriptor: number, position: number): { start: number; end: number } | undefined {
    const start = this.#calls.lseekFar(descriptor, BigInt(position), SEEK_DATA);
    if (start < 0n) return this.#errno[0] === ENXIO ? undefined : { start: position, end: Infinity };
    const end = this.#calls.lseekFar(descriptor, start, SEEK_HOLE);
    return { start: Number(start), end: end < 0n ? Infinity : Number(end) };
  }

  /** Takes room for `length` bytes of an open file from `start`, where its file system can; its size stays. */
  reserve(descriptor: number, start: number, length: number): void {
    try {
      this.#do(() => this.#calls.fallocate(descriptor, FALLOC_FL_KEEP_SIZE, BigInt(start), BigInt(length)));
    } catch (error) {
      if (error instanceof SystemError && (error.code === "ENOSPC" || error.code === "EDQUOT")) throw error;
    }
  }

  /**
   * Makes a part of an open file a hole, which reads as zeros; its size stays.
   *
   * @throws {SystemError} Also where its file system has no holes.
   */
  punch(descriptor: number, start: number, length: number): void {
    const mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
    this.#do(() => this.#calls.fallocate(descriptor, mode, BigInt(start), BigInt(length)));
  }

  /** Returns when an open file or directory is on the disk. */
  sync(descriptor: number): void {
    this.#do(() => this.#calls.fsync(descriptor));
  }

  /** Resolves when an open file or directory is on the disk; another thread waits for it. */
  async syncAside(descriptor: number): Promise<void> {
    if (await this.#calls.fsyncAside(descriptor) < 0) {
      this.sync(descriptor);
      throw this.#lost();
    }
  }

  /**
   * Has another thread begin to bring to the disk what was written to an open file so far; resolves when it
   * has begun. A hint: whether it went well is for {@linkcode syncAside} to tell.
   */
  async writeOutAside(descriptor: number): Promise<void> {
    await this.#calls.sync_file_rangeAside(descriptor, 0n, 0n, SYNC_FILE_RANGE_WRITE);
  }

  /** Resolves when the file system that `descriptor` is on is on the disk; another thread waits for it. */
  async syncFileSystemAside(descriptor: number): Promise<void> {
    if (await this.#calls.syncfsAside(descriptor) < 0) {
      this.#do(() => this.#calls.syncfs(descriptor));
      throw this.#lost();
    }
  }

  /** Both ends of a connection over IP; `undefined` for any other descriptor. */
  connectionOf(descriptor: number): Connection | undefined {
    const address = new Uint8Array(SOCKADDR_BYTES);
    const length = Uint32Array.of(SOCKADDR_BYTES);
    if (this.#calls.getpeername(descriptor, address, length) < 0) return undefined;
    const peer = toSocketAddress(address);
    length[0] = SOCKADDR_BYTES;
    if (peer === undefined || this.#calls.getsockname(descriptor, address, length) < 0) return undefined;
    return { descriptor, peer, localPort: toSocketAddress(address)!.port };
  }

  /** Ends a connection both ways: whoever reads from it meets its end. Does nothing to any other descriptor. */
  endConnection(descriptor: number): void {
    this.#calls.shutdown(descriptor, SHUT_RDWR);
  }

  /**
   * What went wrong in another thread, whose `errno` is out of reach. It is asked again here;
   * but what went wrong with writing is told only once, and is no less lost when the second
   * answer is that all is well.
   */
  #lost(): SystemError {
    return this.#error(EIO);
  }

  #stat(at: number, text: Uint8Array<ArrayBuffer>, flags: number): Stat | undefined {
    return this.#statx(at, text, flags) ? statxToStat(this.#words) : undefined;
  }

  /** Fills the `struct statx`, unless nothing is there. */
  #statx(at: number, text: Uint8Array<ArrayBuffer>, flags: number): boolean {
    while (this.#calls.statx(at, text, flags, STATX_BASIC_STATS, this.#words) < 0) {
      if (this.#errno[0] === ENOENT) return false;
      this.#throwUnlessInterrupted();
    }
    return true;
  }

  /** Calls `visit` with each name, ended by NUL, while it is read. */
  #list(directory: number, visit: (text: Uint8Array<ArrayBuffer>) => void): string[] {
    const found: string[] = [];
    const names = this.#names;
    let end = 0;
    this.#eachRecord(directory, (text, length) => {
      for (let i = 0; i < length; i++) names[end++] = text[i];
      names[end++] = SLASH;
      visit(text);
    }, () => {
      // Decoded in one go, because that costs more than all else about a name. A name holds no slash, and no
      // slash is part of another character.
      if (end > 0) found.push(...decoder.decode(names.subarray(0, end - 1)).split("/"));
      end = 0;
    });
    return found;
  }

  /** Calls `visit` with each name but `.` and `..`, ended by NUL, and `filled` after each system call. */
  #eachRecord(
    directory: number,
    visit: (text: Uint8Array<ArrayBuffer>, length: number, type: number) => void,
    filled: () => void,
  ): void {
    const list = this.#listing;
    const text = this.#first.bytes;
    this.#do(() => this.#calls.lseek(directory, 0n, 0));
    for (;;) {
      const end = this.#do(() => this.#calls.getdents64(directory, list, BigInt(LIST_BYTES)));
      if (end === 0) return;
      for (let record = 0; record < end;) {
        // struct linux_dirent64: 8 bytes inode, 8 offset, 2 length of the record, 1 type, then the name.
        let length = 0;
        for (let byte = list[record + 19]; byte !== 0; byte = list[record + 19 + length]) {
          text[length++] = byte;
        }
        const type = list[record + 18];
        record += list[record + 16] | list[record + 17] << 8;
        if (text[0] === DOT && (length === 1 || (length === 2 && text[1] === DOT))) continue;
        text[length] = 0;
        visit(text, length, type);
      }
      filled();
    }
  }

  #setTimes(time: number): void {
    const seconds = Math.floor(time / 1000);
    for (const at of [0, 4]) {
      this.#times[at] = seconds | 0;
      this.#times[at + 1] = Math.floor(seconds / 2 ** 32);
      this.#times[at + 2] = Math.floor((time - seconds * 1000) * 1e6);
    }
  }

  #do(call: () => number): number {
    for (;;) {
      const result = call();
      if (result >= 0) return result;
      this.#throwUnlessInterrupted();
    }
  }

  #throwUnlessInterrupted(): void {
    const errno = this.#errno[0];
    if (errno !== EINTR) throw this.#error(errno);
  }

  #error(errno: number): SystemError {
    const message = Deno.UnsafePointerView.getCString(this.#calls.strerror(errno)!);
    return new SystemError(CODES.get(errno) ?? `E${errno}`, message);
  }
}

let loaded: Libc | undefined;

/**
 * The system calls for this thread; `undefined` where they cannot be had: not on Linux, without
 * the GNU C library 2.30 or newer, or without all permissions.
 */
export function loadLibc(): Libc | undefined {
  if (loaded !== undefined || Deno.build.os !== "linux" || OPEN_FLAGS === undefined) return loaded;
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  try {
    return loaded = new Libc();
  } catch {
    return undefined;
  }
}
