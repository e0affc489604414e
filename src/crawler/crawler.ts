/** The port of whatever walks a tree. @module */
import { type Task, type Walked, Walker, type WalkOptions } from "./walker.ts";

/** What is walked first, and how far. */
export interface WalkRequest {
  /** Directories to begin with. @default {the root} */
  tasks?: Task[];
  /** Whether only these are listed. @default {false} */
  shallow?: boolean;
  signal?: AbortSignal;
}

/** Walks trees. */
export interface Crawler {
  /**
   * Gives what stands in a tree, a share at a time, and goes on when a share was taken.
   *
   * @throws {FilesyncError} When the root cannot be opened.
   */
  walk(options: WalkOptions, request?: WalkRequest): AsyncIterable<Walked>;
}

/** Where a walk begins. */
export const TOP: readonly Task[] = [{ below: "", ruled: false }];

/** Walks in the thread of the caller: for a few directories, for which workers are not worth their start. */
export const walkInThread: Crawler = {
  async *walk(options, { tasks = [...TOP], shallow = false, signal } = {}) {
    using walker = new Walker(options);
    yield* walkWith(walker, tasks, shallow, signal);
  },
};

/** Lets one walker do all of the work. */
export function* walkWith(
  walker: Walker,
  tasks: Task[],
  shallow: boolean,
  signal?: AbortSignal,
): Generator<Walked> {
  for (let left = tasks; left.length > 0;) {
    signal?.throwIfAborted();
    const walked = walker.walk(left, shallow);
    yield walked;
    left = shallow ? [] : walked.left;
  }
}
