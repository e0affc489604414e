/** A file system that can be made to report errors, and to turn read-only while it is in use. @module */
import { SmallDisk } from "./small_disk.ts";
import { succeeds } from "./system_command.ts";
import { TempDirectory } from "./temp.ts";

/** An ext4 on a loop device whose image lies on a small disk. */
export class FaultyDisk implements Disposable {
  readonly #disk: SmallDisk;
  readonly #place = new TempDirectory("filesync-faulty-");
  readonly path = this.#place.path;
  #mounts = 0;

  private constructor(disk: SmallDisk) {
    this.#disk = disk;
  }

  /**
   * Mounts one; `undefined` where this user may not, or there are no loop devices.
   *
   * @param journal Without one, what cannot be written is an error of the one who wrote it, and of nobody else.
   */
  static mount(bytes: number, { journal }: { journal: boolean }): FaultyDisk | undefined {
    const disk = SmallDisk.mount(bytes);
    if (disk === undefined) return undefined;
    const faulty = new FaultyDisk(disk);
    Deno.truncateSync(faulty.#image(), bytes);
    const made = succeeds(
      "mkfs.ext4",
      "-q",
      "-m",
      "0",
      "-O",
      journal ? "has_journal" : "^has_journal",
      faulty.#image(),
    );
    if (made && faulty.#mount()) return faulty;
    faulty[Symbol.dispose]();
  }

  /** Nothing can be written to it any more but what was before; call what it returns to mend it. */
  breakWrites(): () => void {
    const ballast = `${this.#disk.path}/ballast`;
    using file = Deno.openSync(ballast, { write: true, create: true });
    try {
      for (const piece = new Uint8Array(1 << 16);;) file.writeSync(piece);
    } catch {
      // That was the last of its room.
    }
    return () => Deno.removeSync(ballast);
  }

  /** What the system does after an error of the disk: nothing can be written until it is mounted anew. */
  turnReadOnly(): void {
    succeeds("mount", "-o", "remount,abort", this.path);
  }

  /** Mounts it anew: what was only in memory is gone. Nobody may have anything of it open. */
  remount(): void {
    if (!succeeds("umount", this.path)) {
      // Somebody has it open, perhaps in another namespace; as long as that is so, it would be mounted as it is.
      succeeds("umount", "--lazy", this.path);
      const old = this.#image();
      this.#mounts++;
      succeeds("cp", "--sparse=always", old, this.#image());
      Deno.removeSync(old);
    }
    succeeds("e2fsck", "-fy", this.#image());
    if (!this.#mount()) throw new Error("it cannot be mounted again");
  }

  [Symbol.dispose](): void {
    succeeds("umount", "--lazy", this.path);
    this.#place[Symbol.dispose]();
    this.#disk[Symbol.dispose]();
  }

  #image(): string {
    const path = `${this.#disk.path}/image${this.#mounts}`;
    Deno.openSync(path, { write: true, create: true }).close();
    return path;
  }

  #mount(): boolean {
    return succeeds("mount", "-o", "loop,errors=continue", this.#image(), this.path);
  }
}
