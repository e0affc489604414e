/** What a watcher says to its consumer. @module */
import type { TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";

/** One path to look at again. */
export interface DirtyLook {
  path: TreePath;
  /** Whether everything below it is to be reconciled too. */
  deep: boolean;
}

/** What a watcher says. None of it tells what happened, only where to look. */
export type WatchEvent =
  /** These paths have changed and stand still now. */
  | { type: "dirty"; looks: DirtyLook[] }
  /** Events may have been lost: the whole tree is to be reconciled. */
  | { type: "rescan"; reason: string }
  /** Something in the tree that can never be reported as a path. */
  | { type: "problem"; problem: Problem }
  /** The directory was removed, unmounted or replaced; nothing else comes until `root-found`. */
  | { type: "root-lost"; reason: string }
  /** A directory stands there again, perhaps another one; a `rescan` follows. */
  | { type: "root-found" }
  /** The system gives no (more) watches: changes are found by `rescan` events only, until watching works again. */
  | { type: "polling"; reason: string; hint: string };
