/** A file system that keeps times by the second, as those of sticks and old disks do. @module */
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
    const failure = fails("mkfs.ext2", "-q", "-I", "128", image) ??
      fails("mount", "-o", "loop", image, disk.path);
    if (failure === undefined) return disk;
    disk.#place[Symbol.dispose]();
    // deno-lint-ignore no-console -- whoever reads the test run shall know
    console.info(`not tested without a disk that keeps times by the second: ${failure}`);
  }

  [Symbol.dispose](): void {
    fails("umount", "--lazy", this.path);
    this.#place[Symbol.dispose]();
  }
}

function fails(command: string, ...args: string[]): string | undefined {
  try {
    const { success, stderr } = new Deno.Command(command, { args }).outputSync();
    return success ? undefined : new TextDecoder().decode(stderr).trim();
  } catch (error) {
    return String(error);
  }
}
