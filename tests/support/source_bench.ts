/** A source with everything an inspector needs, but no watcher, no worker and no sender. @module */
import {
  contentOf,
  cutFile,
  describeFile,
  digestFile,
  type FileContent,
  type FileDigest,
} from "../../src/chunking/describe.ts";
import type { DescribePool } from "../../src/chunking/describe_pool.ts";
import { DEFAULT_CHUNKING } from "../../src/chunking/chunker.ts";
import type { Action } from "../../src/core/action.ts";
import { type Clock, systemClock } from "../../src/core/clock.ts";
import { FilesyncError } from "../../src/core/errors.ts";
import type { TreePath } from "../../src/core/path.ts";
import { IgnoreRules } from "../../src/files/ignore_rules.ts";
import { TreeRoot } from "../../src/files/tree_root.ts";
import { Inspector, type InspectorOptions, type LookProgress } from "../../src/sync/inspector.ts";
import { SourceState } from "../../src/sync/source_state.ts";

/** Describes files at once, in this thread, and counts them. */
export class DirectDescriber {
  /** Files read so far. */
  reads = 0;
  /** Called before a file is read, with how many there were. */
  onRead: (reads: number) => void = () => {};

  describe(path: string, known?: FileDigest): Promise<FileContent> {
    return Promise.resolve(
      known === undefined ? this.#read(path) : contentOf(known, cutFile(path, DEFAULT_CHUNKING)),
    );
  }

  describeMany(nativePaths: string[]): Promise<(FileContent | FilesyncError)[]> {
    return Promise.resolve(nativePaths.map((path) => this.#try(() => this.#read(path))));
  }

  digestMany(nativePaths: string[]): Promise<(FileDigest | FilesyncError)[]> {
    return Promise.resolve(nativePaths.map((path) => this.#try(() => this.#digest(path))));
  }

  #read(path: string): FileContent {
    this.onRead(++this.reads);
    return describeFile(path, DEFAULT_CHUNKING);
  }

  #digest(path: string): FileDigest {
    this.onRead(++this.reads);
    return digestFile(path);
  }

  #try<T>(read: () => T): T | FilesyncError {
    try {
      return read();
    } catch (error) {
      if (error instanceof FilesyncError) return error;
      throw error;
    }
  }
}

/** Settings of a {@linkcode SourceBench}. */
export interface SourceBenchOptions {
  /** Patterns to leave out. */
  ignore?: string[];
  allowMassDelete?: boolean;
  /** The clock of the queue. @default {systemClock} */
  clock?: Clock;
  /** The clock of looks: must go with that of the file system. @default {systemClock} */
  lookClock?: Clock;
  /** Stands between the inspector and the tree. */
  wrapRoot?: (root: TreeRoot) => TreeRoot;
}

/** A source that is looked at on command. */
export class SourceBench implements Disposable {
  readonly root: TreeRoot;
  readonly state: SourceState;
  readonly inspector: Inspector;
  readonly describer = new DirectDescriber();
  /** How far the last look came. */
  progress: LookProgress | undefined;

  /**
   * @param source The watched directory.
   * @param stateDirectory Where the state is, from an earlier bench or new.
   */
  constructor(source: string, stateDirectory: string, options: SourceBenchOptions = {}) {
    const { ignore, allowMassDelete, clock = systemClock, lookClock = systemClock, wrapRoot } = options;
    this.root = TreeRoot.open(source);
    Deno.mkdirSync(stateDirectory, { recursive: true });
    this.state = new SourceState(stateDirectory, { clock });
    const inspectorOptions: InspectorOptions = {
      root: wrapRoot?.(this.root) ?? this.root,
      state: this.state,
      rules: IgnoreRules.load(this.root, ignore),
      pool: this.describer as unknown as DescribePool,
      clock: lookClock,
      allowMassDelete,
      onProgress: (progress) => this.progress = progress,
    };
    this.inspector = new Inspector(inspectorOptions);
  }

  /** The queue as lines, such as `put a/b` and `move a -> b`, in order. */
  get queued(): string[] {
    return this.state.queue.pending().map(({ action }) => actionText(action));
  }

  /** Empties the queue, as if a receiver had done everything. */
  drain(): void {
    const { queue } = this.state;
    queue.done(queue.pending().map(({ id }) => id));
  }

  /** Looks at everything, and then empties the queue: what is there now is known. */
  async settle(): Promise<void> {
    await this.inspector.lookAtAll();
    this.drain();
  }

  /** Looks at some paths. */
  look(...paths: string[]): ReturnType<Inspector["look"]> {
    return this.inspector.look(paths.map((path) => ({ path: path as TreePath, deep: false })));
  }

  [Symbol.dispose](): void {
    this.state[Symbol.dispose]();
    this.root[Symbol.dispose]();
  }
}

/** An action as a line. */
export function actionText(action: Action): string {
  return action.type === "move" ? `move ${action.from} -> ${action.path}` : `${action.type} ${action.path}`;
}
