/** The trees that may hold the same as a directory, and what is recorded of them. @module */
import { existsSync } from "@std/fs";
import { join } from "@std/path";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { STATE_DIRECTORY, type TreePath } from "../core/path.ts";
import { openDatabase } from "../database/open.ts";
import { TreeRoot } from "../files/tree_root.ts";
import { Sha256 } from "../hashing/sha256.ts";
import { INDEX_MIGRATIONS } from "../index/schema.ts";
import { TreeIndex } from "../index/tree_index.ts";
import { FOUND, SYNCED } from "../sync/keep_tree.ts";
import { PARTIAL } from "../versions/snapshots.ts";
import type { VersionStore } from "../versions/version_store.ts";
import type { Context } from "./command.ts";
import { openStates } from "./state_home.ts";

/** Takes a content, perhaps at the second try. */
export interface CopySink {
  write(data: Uint8Array): void;
  /** Forgets all that was written. */
  truncate(): void;
}

/** Places of one content that are tried in one tree. */
const MOST_COPIES = 16;

/** Bytes read in one go. */
const BLOCK = 1 << 20;

/** What is recorded of the directory, and of others that hold the same. */
export class Sides implements Disposable {
  readonly #resources = new DisposableStack();
  /** What is recorded of the directory, in the order of paths. */
  readonly recorded: Iterable<Entry>;
  readonly #others: { root: TreeRoot; pathsOf(content: Digest): TreePath[] }[] = [];

  constructor(directory: string, store: VersionStore | undefined, context: Context) {
    const own = this.#indexIn(directory);
    const states = openStates(context, undefined).map((state) => this.#resources.use(state));
    const asSource = states.find(({ source }) => source === directory);
    const recorded = own ?? asSource?.state.index;
    const last = store?.snapshots.trees().filter(({ location }) => location === directory)
      .map(({ id }) =>
        store.snapshots.list(id).findLast(({ reason }) => [SYNCED, FOUND, PARTIAL].includes(reason))
      )
      .findLast((snapshot) => snapshot !== undefined);
    // An index notes whatever it finds; a version was good when it was made.
    if (last !== undefined) this.recorded = store!.snapshots.entries(last.number);
    else if (recorded !== undefined) this.recorded = recorded.entries();
    else {
      this.#resources.dispose();
      throw new FilesyncError({
        code: "not-found",
        operation: `verify "${directory}"`,
        reason: "nothing is recorded of it",
        hint: "Name a directory that was synced, watched or served",
        permanent: true,
      });
    }
    const locations = new Set([
      directory,
      ...states.filter(({ source, destination }) => source === directory || destination === directory)
        .flatMap(({ source, destination }) => [source, destination]),
      ...(store?.snapshots.trees().map(({ location }) => location) ?? []),
    ]);
    for (const location of locations) {
      const index = location === directory
        ? recorded
        : this.#indexIn(location) ?? states.find(({ source }) => source === location)?.state.index;
      if (index === undefined || !existsSync(location)) continue;
      const root = this.#resources.use(TreeRoot.open(location));
      this.#others.push({ root, pathsOf: (content) => index.pathsWith(content, MOST_COPIES) });
    }
  }

  /**
   * Writes the content to `sink` from any tree that has it, whole.
   *
   * @returns Whether there was one.
   */
  writeTo(sink: CopySink, digest: Digest): boolean {
    for (const { root, pathsOf } of this.#others) {
      for (const path of pathsOf(digest)) {
        if (copy(root, path, sink) === digest) return true;
        sink.truncate();
      }
    }
    return false;
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }

  #indexIn(directory: string): TreeIndex | undefined {
    const path = join(directory, STATE_DIRECTORY, "index.db");
    if (!existsSync(path)) return undefined;
    return this.#resources.use(
      new TreeIndex(openDatabase(path, { name: "index", migrations: INDEX_MIGRATIONS, readOnly: true })),
    );
  }
}

/** Copies a file, and gives the digest of what was copied; `undefined` when it cannot be read. */
function copy(root: TreeRoot, path: TreePath, sink: CopySink): Digest | undefined {
  try {
    using anchor = root.anchor();
    using file = anchor.openRead(path);
    const whole = new Sha256();
    const block = new Uint8Array(BLOCK);
    for (let at = 0, length; (length = file.read(block, at)) > 0; at += length) {
      whole.update(block.subarray(0, length));
      sink.write(block.subarray(0, length));
    }
    return whole.digest();
  } catch (error) {
    if (error instanceof FilesyncError) return undefined;
    throw error;
  }
}
