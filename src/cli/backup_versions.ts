/** The versions beside a backup, as a sync makes them. @module */
import type { Digest } from "../core/digest.ts";
import { toFilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import { FOUND, type KeepOptions, keepTree, SYNCED } from "../sync/keep_tree.ts";
import type { LocalReceiver } from "../transport/local_receiver.ts";
import { PARTIAL, type TreeIdentity } from "../versions/snapshots.ts";
import { VersionStore } from "../versions/version_store.ts";
import type { Context } from "./command.ts";
import { requireInPlace } from "./in_place.ts";
import type { Printer } from "./report.ts";
import type { SyncJob } from "./sync_job.ts";

/** One side of a sync, in its role and at its place. */
export type KeptSide = Pick<TreeIdentity, "role" | "location">;

/** Where the index of a side notes that a sync began there, and whether it came to its end. */
const UNDER_WAY = "sync_under_way";

/** See the module's comment. */
export class BackupVersions implements Disposable {
  readonly #settings: NonNullable<SyncJob["versions"]>;
  readonly #printer: Printer;
  readonly #context: Context;
  readonly #store: VersionStore;

  /** @throws {FilesyncError} `locked` when another process has the store. */
  constructor(settings: NonNullable<SyncJob["versions"]>, printer: Printer, context: Context) {
    this.#settings = settings;
    this.#printer = printer;
    this.#context = context;
    this.#store = new VersionStore(settings.directory);
  }

  /** Tells whether a path had a content when it was last synced: then it is not damaged. */
  syncedIn(side: KeptSide): (path: TreePath, content: Digest) => boolean {
    const last = this.#store.snapshots.list(this.#treeOf(side)).findLast(({ reason }) => reason === SYNCED);
    return (path, content) => {
      const entry = last && this.#store.snapshots.entry(last.number, path);
      return entry?.kind === "file" && entry.digest === content;
    };
  }

  /**
   * Keeps what others did to a tree since the last sync, or what that left when it was interrupted; one that was
   * emptied holds nothing that could be lost. Then the sync may begin.
   *
   * @param signal Here and below: aborts it between two files, and then no snapshot is made.
   */
  async keepFound(side: KeptSide, receiver: LocalReceiver, signal?: AbortSignal): Promise<void> {
    const { index } = receiver;
    const reason = index.meta(UNDER_WAY) === "yes" ? PARTIAL : FOUND;
    if (!index.isEmpty) await this.#keep(side, receiver, { reason, sequenced: true, signal });
    index.setMeta(UNDER_WAY, "yes");
  }

  /** Notes that a sync came to its end: what is found next was done by others. */
  ended({ index }: LocalReceiver): void {
    index.setMeta(UNDER_WAY, "no");
  }

  /** Makes a snapshot of a tree that was synced, unless it is equal to its last one. */
  async keepSynced(side: KeptSide, receiver: LocalReceiver, signal?: AbortSignal): Promise<void> {
    await this.#keep(side, receiver, { reason: SYNCED, sequenced: true, signal });
  }

  /** Makes a snapshot of a tree that holds the same as another one, by what that one holds. */
  async keepAlike(
    side: KeptSide,
    other: KeptSide,
    receiver: LocalReceiver,
    signal?: AbortSignal,
  ): Promise<void> {
    const [own, others] = [side, other].map((one) => this.#store.snapshots.last(this.#treeOf(one))?.digest);
    if (own !== undefined && own === others) return;
    await this.#keep(side, receiver, { reason: SYNCED, sequenced: false, signal });
  }

  /** Removes versions that are not to be kept any more. */
  async prune(): Promise<void> {
    const { clock, signal } = this.#context;
    await this.#store.prune(this.#settings.retention, clock.now(), signal)
      .catch((error) => signal.aborted || this.tell(error));
  }

  /** Tells of an error that stops nothing. */
  tell(error: unknown): void {
    const { message, hint } = toFilesyncError("keep versions", error);
    this.#printer.report({ type: "notice", level: "warning", message, hint });
  }

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }

  async #keep(
    side: KeptSide,
    receiver: LocalReceiver,
    options: Pick<KeepOptions, "reason" | "sequenced" | "signal">,
  ): Promise<void> {
    const { root, index } = receiver;
    // What was removed as a whole is no state that anybody wants back.
    requireInPlace([root]);
    const kept = { store: this.#store, tree: this.#treeOf(side), root };
    const snapshot = await receiver.atRest(() =>
      keepTree(kept, index, {
        ...options,
        suspectDamage: true,
        now: this.#context.clock.now(),
        onProblem: (problem) => this.#printer.report({ type: "problem", problem }),
      })
    ).catch((error) => {
      if (!options.signal?.aborted) throw error;
    });
    if (snapshot === undefined) return;
    const { number, digest, files, bytes, reason } = snapshot;
    this.#printer.report({ type: "version", number, of: side.role, digest, files, bytes, reason });
  }

  #treeOf({ role, location }: KeptSide): number {
    return this.#store.tree({ role, location, host: Deno.hostname() });
  }
}
