/**
 * Making what was written survive a power cut: file by file while there are few, all at once when
 * there are many, because a file system's journal takes thousands of files in about the time of one.
 *
 * @module
 */
import { FilesyncError } from "../core/errors.ts";
import type { TempFile, TreeRoot } from "../files/tree_root.ts";

/** From so many new files on, one sync of the whole file system costs less than one for each. */
const GROUP_FILES = 8;

/**
 * With more bytes than this waiting to be written, whoever wrote them, a sync of everything would
 * keep us waiting for others.
 */
const MOST_DIRTY_BYTES = 512 << 20;

/** Settings of {@linkcode Durability}. */
export interface DurabilityOptions {
  /** Whether anything is waited for; if not, a power cut may take what was answered for. @default {true} */
  fsync?: boolean;
  /** How many bytes of all files wait to be written. */
  dirtyBytes?: () => number;
}

/** How the changes of a tree become durable. */
export class Durability {
  readonly #root: TreeRoot;
  readonly #fsync: boolean;
  readonly #dirtyBytes: () => number;
  #running: Promise<void> = Promise.resolve();
  #failures = 0;
  /** The round that has not begun yet: whoever comes now is in time for it. */
  #next: Promise<void> | undefined;

  constructor(root: TreeRoot, { fsync = true, dirtyBytes = kernelDirtyBytes }: DurabilityOptions = {}) {
    this.#root = root;
    this.#fsync = fsync;
    this.#dirtyBytes = dirtyBytes;
  }

  /** Has a file in the making begin its way to the disk, so that syncing it takes less. */
  writeOut(temp: TempFile): void {
    if (this.#fsync) temp.writeOut();
  }

  /** Whether `files` new files shall become durable together, by {@linkcode syncAll}. */
  together(files: number): boolean {
    if (!this.#fsync) return true;
    return files >= GROUP_FILES && this.#root.canSyncFileSystem && this.#dirtyBytes() <= MOST_DIRTY_BYTES;
  }

  /** Whether {@linkcode syncAll} makes durable what others wrote on the same file system. */
  get syncsAll(): boolean {
    return this.#fsync && this.#root.canSyncFileSystem;
  }

  /**
   * Resolves when all that was written and renamed before this call is on the disk. Those who
   * wait at the same time share one sync. Where that cannot be done, or nothing is to be waited for, nothing
   * was left for it.
   *
   * @param since {@linkcode failures} before it was written: what an earlier sync could not bring to the disk the
   * system has forgotten by now, and told only to who waited for that one.
   * @throws {FilesyncError} When the disk does not take it, or did not take something since.
   */
  async syncAll(since = this.#failures): Promise<void> {
    if (!this.#fsync || !this.#root.canSyncFileSystem) return;
    await (this.#next ??= this.#running.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.#running = this.#root.syncFileSystem().catch((error) => {
        this.#failures++;
        throw error;
      });
    }));
    if (this.#failures !== since) throw this.#mayBeLost();
  }

  /** How many syncs of everything have failed. */
  get failures(): number {
    return this.#failures;
  }

  #mayBeLost(): FilesyncError {
    return new FilesyncError({
      code: "io",
      operation: `save the file system of "${this.#root.path}"`,
      reason: "the disk reported an error meanwhile",
      hint: "It is written anew; check the disk, and what the system says of it (dmesg)",
    });
  }
}

/** Linux's count; elsewhere nothing is known, and nothing held against it. */
function kernelDirtyBytes(): number {
  try {
    const dirty = /^Dirty:\s+(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/meminfo"));
    return Number(dirty?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
