/** A file system in memory with little room, for tests of full disks. @module */
import { failureOf } from "./system_command.ts";
import { TempDirectory } from "./temp.ts";

/** A disk that is gone when it is disposed of. */
export class SmallDisk implements Disposable {
  readonly #place = new TempDirectory("filesync-disk-");
  readonly path = this.#place.path;

  private constructor() {}

  /** Mounts a disk of so many bytes; `undefined`, and why on the console, where this user may not. */
  static mount(bytes: number): SmallDisk | undefined {
    const disk = new SmallDisk();
    const failure = failureOf("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", disk.path);
    if (failure === undefined) return disk;
    disk.#place[Symbol.dispose]();
    // deno-lint-ignore no-console -- whoever reads the test run shall know
    console.info(`not tested without a disk of its own: ${failure}`);
  }

  /** Makes it bigger, or smaller. */
  resize(bytes: number): void {
    const failure = failureOf("mount", "-o", `remount,size=${bytes}`, this.path);
    if (failure !== undefined) throw new Error(failure);
  }

  [Symbol.dispose](): void {
    failureOf("umount", "--lazy", this.path);
    this.#place[Symbol.dispose]();
  }
}
