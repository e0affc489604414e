/** A file system that keeps times by the second, as those of sticks and old disks do. @module */
import { failureOf } from "./system_command.ts";
import { TempDirectory } from "./temp.ts";

/** A disk that is gone when it is disposed of. */
export class CoarseDisk implements Disposable {
  readonly #place = new TempDirectory("filesync-coarse-");
  readonly path = this.#place.directory("disk");

  private constructor() {}

  /** Mounts an ext2 with small inodes; `undefined`, and why on the console, where this user may not. */
  static mount(): CoarseDisk | undefined {
    const disk = new CoarseDisk();
    const image = `${disk.#place.path}/image`;
    Deno.createSync(image).close();
    Deno.truncateSync(image, 64 << 20);
    const failure = failureOf("mkfs.ext2", "-q", "-I", "128", image) ??
      failureOf("mount", "-o", "loop", image, disk.path);
    if (failure === undefined) return disk;
    disk.#place[Symbol.dispose]();
    // deno-lint-ignore no-console -- whoever reads the test run shall know
    console.info(`not tested without a disk that keeps times by the second: ${failure}`);
  }

  [Symbol.dispose](): void {
    failureOf("umount", "--lazy", this.path);
    this.#place[Symbol.dispose]();
  }
}
