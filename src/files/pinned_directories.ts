/**
 * Directories held open, on Linux. Each is opened from its parent's descriptor by its bare name
 * with `O_NOFOLLOW`, and everything is done to a bare name in a descriptor: so no swap of a
 * parent for a link is ever walked through, and no path is too long.
 *
 * @module
 */
import { permissionBits } from "../core/entry.ts";
import { osCode } from "../core/errors.ts";
import { isWithin, nameOf, parentOf, ROOT, type TreePath } from "../core/path.ts";
import { Descriptor } from "./descriptor.ts";
import { type Directories, Obstacle, stepTowards } from "./directories.ts";
import type { Directory } from "./directory.ts";
import { descriptorPath, type Libc, OPEN } from "./libc.ts";
import { type OpenFile, openFile } from "./open_file.ts";
import type { Listed, Stat } from "./stat.ts";
import { DescriptorFile, type WritableFile } from "./writable_file.ts";

const unicode = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A directory that is open until it is disposed. */
export class DescriptorDirectory implements Directory, Disposable {
  readonly #libc: Libc;
  readonly #descriptor: Descriptor;

  private constructor(libc: Libc, descriptor: number) {
    this.#libc = libc;
    this.#descriptor = new Descriptor(libc, descriptor);
  }

  /** Opens the directory at a native path, links on the way to it followed. */
  static open(libc: Libc, path: string): DescriptorDirectory {
    return new DescriptorDirectory(libc, libc.open(undefined, path, OPEN.directory | OPEN.noFollow));
  }

  /** Opens the directory `name`, and nothing else. */
  enter(name: string): DescriptorDirectory {
    const flags = OPEN.directory | OPEN.noFollow;
    return new DescriptorDirectory(this.#libc, this.#libc.open(this.#descriptor.number, name, flags));
  }

  get isOpen(): boolean {
    return this.#descriptor.number >= 0;
  }

  nativePath(name: string): string {
    return `${descriptorPath(this.#descriptor.number)}/${name}`;
  }

  stat(name: string): Stat | undefined {
    return this.#libc.stat(this.#descriptor.number, name);
  }

  list(): string[] {
    return this.#libc.list(this.#descriptor.number);
  }

  listWithStats(): Listed[] {
    return this.#libc.listWithStats(this.#descriptor.number);
  }

  readLink(name: string): string | undefined {
    const target = this.#libc.readLink(this.#descriptor.number, name);
    try {
      return unicode.decode(target);
    } catch {
      return undefined;
    }
  }

  openRead(name: string, operation: string): OpenFile {
    const libc = this.#libc;
    const flags = OPEN.read | OPEN.noFollow | OPEN.nonBlocking;
    const descriptor = libc.open(this.#descriptor.number, name, flags);
    try {
      return openFile({
        descriptor,
        nativePath: descriptorPath(descriptor),
        stat: libc.statOf(descriptor),
        operation,
        read: (into, position) => libc.read(descriptor, into, position),
        close: () => libc.close(descriptor),
      });
    } catch (error) {
      libc.close(descriptor);
      throw error;
    }
  }

  createFile(name: string): WritableFile {
    const flags = OPEN.readWrite | OPEN.createNew | OPEN.noFollow;
    return new DescriptorFile(this.#libc, this.#libc.open(this.#descriptor.number, name, flags, 0o600));
  }

  openFile(name: string): WritableFile {
    const flags = OPEN.readWrite | OPEN.noFollow | OPEN.nonBlocking;
    return new DescriptorFile(this.#libc, this.#libc.open(this.#descriptor.number, name, flags));
  }

  makeDirectory(name: string, mode: number): void {
    this.#libc.makeDirectory(this.#descriptor.number, name, mode);
  }

  makeSymlink(target: string, name: string): void {
    this.#libc.makeSymlink(target, this.#descriptor.number, name);
  }

  rename(name: string, to: this, newName: string): void {
    this.#libc.rename(this.#descriptor.number, name, to.#descriptor.number, newName);
  }

  removeFile(name: string): void {
    this.#libc.removeFile(this.#descriptor.number, name);
  }

  removeDirectory(name: string): void {
    this.#libc.removeDirectory(this.#descriptor.number, name);
  }

  setAttributes(name: string, { mode, mtime }: { mode?: number; mtime?: number }): void {
    if (mode !== undefined) this.#setMode(name, mode);
    if (mtime !== undefined) this.#libc.setTimeAt(this.#descriptor.number, name, mtime);
  }

  async syncFile(name: string): Promise<void> {
    const flags = OPEN.read | OPEN.noFollow | OPEN.nonBlocking;
    using file = new Descriptor(this.#libc, this.#libc.open(this.#descriptor.number, name, flags));
    await file.lend((number) => this.#libc.syncAside(number));
  }

  sync(): void {
    this.#libc.sync(this.#descriptor.number);
  }

  /** Resolves when everything written to the file system so far is on the disk. */
  syncFileSystem(): Promise<void> {
    return this.#descriptor.lend((number) => this.#libc.syncFileSystemAside(number));
  }

  [Symbol.dispose](): void {
    this.#descriptor[Symbol.dispose]();
  }

  /** Sets the bits of exactly what is looked at, whatever it is swapped for: the call by name would follow a link. */
  #setMode(name: string, mode: number): void {
    const stat = this.stat(name);
    // Often so for a directory just made. Of a file not all bits are known: it may be set-user-ID.
    if (stat?.kind === "directory" && stat.mode === permissionBits("directory", mode)) return;
    const handle = this.#libc.open(this.#descriptor.number, name, OPEN.handle | OPEN.noFollow);
    try {
      const { kind } = this.#libc.statOf(handle);
      if (kind !== "file" && kind !== "directory") return;
      this.#libc.setModeAt(descriptorPath(handle), permissionBits(kind, mode));
    } finally {
      this.#libc.close(handle);
    }
  }
}

/** Keeps directories open, the latest used ones. */
export class PinnedDirectories implements Directories {
  readonly #top: DescriptorDirectory;
  readonly #limit: number;
  /** Least recently used first. */
  readonly #pins = new Map<TreePath, DescriptorDirectory>();
  #lastPath = ROOT;
  #last: DescriptorDirectory | undefined;

  /**
   * @param top The root of the tree; somebody else closes it.
   * @param limit Most directories that are kept open; at least 3.
   */
  constructor(top: DescriptorDirectory, limit = 64) {
    this.#top = top;
    this.#limit = limit;
  }

  reach(directory: TreePath, keep?: Directory): DescriptorDirectory {
    if (directory === this.#lastPath && this.#last !== undefined) return this.#last;
    if (directory === ROOT) return this.#root();
    // Should the way there fail, the last one may have been closed to make room.
    this.#last = undefined;
    this.#last = this.#touch(directory) ?? this.#walk(directory, keep);
    this.#lastPath = directory;
    return this.#last;
  }

  forget(path: TreePath): void {
    for (const [pinned, directory] of this.#pins) {
      if (!isWithin(pinned, path)) continue;
      directory[Symbol.dispose]();
      this.#pins.delete(pinned);
    }
    this.#last = undefined;
  }

  [Symbol.dispose](): void {
    this.forget(ROOT);
  }

  #root(): DescriptorDirectory {
    if (!this.#top.isOpen) throw new Obstacle("ENOENT", ROOT);
    return this.#top;
  }

  #touch(path: TreePath): DescriptorDirectory | undefined {
    const directory = this.#pins.get(path);
    if (directory === undefined) return undefined;
    this.#pins.delete(path);
    this.#pins.set(path, directory);
    return directory;
  }

  /** Opens step by step from the nearest directory above that is open already. */
  #walk(path: TreePath, keep: Directory | undefined): DescriptorDirectory {
    let at = parentOf(path);
    while (at !== ROOT && !this.#pins.has(at)) at = parentOf(at);
    let directory = at === ROOT ? this.#root() : this.#touch(at)!;
    while (at !== path) {
      at = stepTowards(path, at);
      directory = this.#open(at, directory);
      if (this.#pins.size > this.#limit) this.#evict(keep);
    }
    return directory;
  }

  #open(path: TreePath, above: DescriptorDirectory): DescriptorDirectory {
    try {
      const directory = above.enter(nameOf(path));
      this.#pins.set(path, directory);
      return directory;
    } catch (error) {
      throw obstacleAt(path, above, error);
    }
  }

  /** Closes the oldest, but not the one the caller still holds. */
  #evict(keep: Directory | undefined): void {
    for (const [path, directory] of this.#pins) {
      if (directory === keep) continue;
      directory[Symbol.dispose]();
      this.#pins.delete(path);
      return;
    }
  }
}

/** Tells a link from a file: `O_DIRECTORY` with `O_NOFOLLOW` answers `ENOTDIR` to both. */
function obstacleAt(path: TreePath, above: DescriptorDirectory, error: unknown): unknown {
  const code = osCode(error);
  if (code === "ENOENT") return new Obstacle("ENOENT", path);
  if (code !== "ENOTDIR" && code !== "ELOOP") return error;
  const stat = above.stat(nameOf(path));
  if (stat === undefined) return new Obstacle("ENOENT", path);
  return new Obstacle(stat.kind === "symlink" ? "ELOOP" : "ENOTDIR", path);
}
