/**
 * Disks whose power can be cut. Each is a file system in a file, so what that file holds is what has
 * reached the disk: the page cache above it is not in it. The files lie on a file system of their own, which
 * lies in a file on one more:
 *
 *     vault (ext4) ─ cabinet.img ─ cabinet (ext4) ─ <name>.img ─ <name> (under test)
 *
 * A cut copies the files while the file system that holds them is frozen: no write comes between two parts
 * of the copy, and those that come meanwhile wait. Copied out of the cabinet they hold all that was written to
 * the disks. The copy of the cabinet holds only what the disks were told to flush: its page cache is their
 * write cache, and goes with the power. Parts of that reach it all the same, at random, as disks do it.
 *
 * @module
 */
import { existsSync } from "@std/fs";
import type { TempDirectory } from "../support/temp.ts";

/** What is lost with the power: nothing that was written, or whatever was not flushed. */
export type Cache = "written" | "flushed";

/** Bytes of each disk, and what the file systems that hold them take for themselves. */
const DISK_BYTES = 96 << 20;
const OVERHEAD_BYTES = 24 << 20;

/** Of `open(2)` and `sync_file_range(2)`. */
const O_WRONLY = 1;
const SYNC_FILE_RANGE_WRITE = 2;
/** What the write cache of a disk writes at a time, bytes. */
const PAGE_BYTES = 4_096;

/** A kind of file system. */
interface FileSystem {
  type: "ext4" | "xfs" | "btrfs";
  /** What makes one; the image follows. None gives up blocks: all of them keep their places. */
  make: string;
  /** How a disk is mounted, and a copy of it beside it. */
  options: string;
  copyOptions: string;
}

const EXT4: FileSystem = {
  type: "ext4",
  make: "mke2fs -q -F -t ext4 -b 4096 -m 0 -J size=4 -O ^resize_inode -E nodiscard",
  // Renames flush nothing by themselves.
  options: "noauto_da_alloc",
  copyOptions: "loop",
};
const XFS: FileSystem = {
  type: "xfs",
  make: "mkfs.xfs -q -f -K --unsupported",
  options: "nodiscard",
  copyOptions: "loop,nouuid",
};
const BTRFS: FileSystem = {
  type: "btrfs",
  make: "mkfs.btrfs -q -f -K --mixed",
  options: "nodiscard",
  copyOptions: "loop",
};

/** All that can be tried here: what is made durable only by chance is lost in one of them. */
export function fileSystems(): FileSystem[] {
  const modes = ["commit=1", "data=writeback", "data=writeback,commit=1", "commit=300"];
  const ext4 = modes.map((mode): FileSystem => ({ ...EXT4, options: `${EXT4.options},${mode}` }));
  return [EXT4, ...ext4, XFS, BTRFS].filter(({ make }) => hasTool(make.split(" ")[0]));
}

/** Why no disk can be made here, if none can. */
export function whyNoDisks(): string | undefined {
  if (Deno.build.os !== "linux") return "disks are made of loop devices, on Linux only";
  if (Deno.uid() !== 0) return "only root may mount disks";
  for (const tool of ["mke2fs", "fsfreeze", "unshare", "nsenter", "ip", "/dev/loop-control"]) {
    if (
      !new Deno.Command("sh", { args: ["-c", `command -v ${tool} || test -e ${tool}`] }).outputSync().success
    ) {
      return `there is no ${tool}`;
    }
  }
}

/** See the module's comment. Everything is unmounted when it is disposed of. */
export class PowerDisks implements Disposable {
  readonly #place: string;
  readonly #names: readonly string[];
  readonly #fileSystem: FileSystem;
  readonly #mounts = new MountPoints();
  /** Descriptors of the files that are the disks. */
  readonly #images: number[] = [];
  readonly #libc = Deno.dlopen("libc.so.6", {
    open: { parameters: ["buffer", "i32"], result: "i32" },
    close: { parameters: ["i32"], result: "i32" },
    sync_file_range: { parameters: ["i32", "i64", "i64", "u32"], result: "i32" },
  });
  #cuts = 0;

  constructor(temp: TempDirectory, names: readonly string[], fileSystem: FileSystem) {
    this.#place = temp.path;
    this.#names = names;
    this.#fileSystem = fileSystem;
    const cabinetBytes = names.length * DISK_BYTES + OVERHEAD_BYTES;
    try {
      this.#make(`${temp.path}/vault`, cabinetBytes + OVERHEAD_BYTES);
      this.#make(this.#cabinet, cabinetBytes);
      for (const name of names) {
        this.#make(`${this.#cabinet}/${name}`, DISK_BYTES, fileSystem);
        const path = new TextEncoder().encode(`${this.#cabinet}/${name}.img\0`);
        this.#images.push(this.#libc.symbols.open(path, O_WRONLY));
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Where the disk is mounted. */
  path(name: string): string {
    return `${this.#cabinet}/${name}`;
  }

  /** Brings everything on a disk to the disk: what follows cannot take it away. */
  flush(name: string): void {
    sh(`sync -f ${this.path(name)}`);
  }

  /** Has the write caches of the disks write some of what they hold, in an order of their own. */
  writeBack(random: () => number, most: number): void {
    for (let i = Math.floor(random() * most); i > 0; i--) {
      const image = this.#images[Math.floor(random() * this.#images.length)];
      const at = BigInt(PAGE_BYTES * Math.floor(random() * DISK_BYTES / PAGE_BYTES));
      const length = BigInt(PAGE_BYTES * Math.ceil(64 * random()));
      this.#libc.symbols.sync_file_range(image, at, length, SYNC_FILE_RANGE_WRITE);
    }
  }

  /** What the disks hold when the power is cut now. They themselves go on. */
  cut(cache: Cache): CutDisks {
    const directory = `${this.#place}/cut-${this.#cuts++}`;
    Deno.mkdirSync(directory);
    const [frozen, files] = cache === "written"
      ? [this.#cabinet, this.#names.map((name) => `${this.#cabinet}/${name}.img`)]
      : [`${this.#place}/vault`, [`${this.#cabinet}.img`]];
    sh(
      `trap 'fsfreeze -u ${frozen}' EXIT; fsfreeze -f ${frozen}; cp --sparse=always ${
        files.join(" ")
      } ${directory}`,
    );
    return new CutDisks(directory, this.#names, this.#fileSystem, cache);
  }

  [Symbol.dispose](): void {
    for (const image of this.#images) this.#libc.symbols.close(image);
    this.#mounts[Symbol.dispose]();
    this.#libc.close();
  }

  get #cabinet(): string {
    return `${this.#place}/vault/cabinet`;
  }

  /** Makes a file system in `<path>.img` and mounts it at `path`. */
  #make(path: string, bytes: number, { type, make, options } = EXT4): void {
    // Every block has its place before: nothing but its content is left to be written.
    sh(`head -c ${bytes} /dev/zero > ${path}.img; ${make} ${path}.img 2>&1; sync ${path}.img`);
    this.#mounts.mount(`${path}.img`, path, type, `loop,${options}`);
  }
}

/** Copies of disks after a cut, mounted: their journals have been replayed. */
export class CutDisks implements Disposable {
  readonly #directory: string;
  readonly #mounts = new MountPoints();

  constructor(
    directory: string,
    names: readonly string[],
    { type, copyOptions }: FileSystem,
    readonly cache: Cache,
  ) {
    this.#directory = directory;
    try {
      const cabinet = `${directory}/cabinet`;
      const isWhole = existsSync(`${cabinet}.img`);
      if (isWhole) this.#mounts.mount(`${cabinet}.img`, cabinet, "ext4", "loop");
      for (const name of names) {
        this.#mounts.mount(
          `${isWhole ? cabinet : directory}/${name}.img`,
          this.path(name),
          type,
          copyOptions,
        );
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Where the copy of a disk is mounted. */
  path(name: string): string {
    return `${this.#directory}/${name}`;
  }

  [Symbol.dispose](): void {
    this.#mounts[Symbol.dispose]();
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

/** What is mounted, and unmounted in the opposite order. */
class MountPoints implements Disposable {
  readonly #paths: string[] = [];

  mount(image: string, path: string, type: string, options: string): void {
    Deno.mkdirSync(path);
    sh(`mount -t ${type} -o ${options} ${image} ${path}`);
    this.#paths.push(path);
  }

  [Symbol.dispose](): void {
    for (const path of this.#paths.splice(0).reverse()) sh(`umount ${path} || umount --lazy ${path}`);
  }
}

function hasTool(tool: string): boolean {
  return new Deno.Command("sh", { args: ["-c", `command -v ${tool} || test -e ${tool}`] }).outputSync()
    .success;
}

function sh(script: string): void {
  const { success, stderr } = new Deno.Command("sh", { args: ["-ec", script] }).outputSync();
  if (!success) throw new Error(`${script}: ${new TextDecoder().decode(stderr)}`);
}
