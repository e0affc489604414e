/** The port behind which the tree stands that pages show. `LocalReceiver` is one. @module */
import type { Entry } from "../../core/entry.ts";
import type { TreePath } from "../../core/path.ts";
import type { HistoryPage, HistorySearch } from "../../index/history_search.ts";
import type { DirectoryPage, DirectoryQuery } from "../../transport/directory_page.ts";
import type { HistoryRecord, Receiver } from "../../transport/receiver.ts";
import type { KeptFile } from "../../versions/kept_files.ts";

/** What pages ask of a tree; all of it is answered by index, in a time that does not grow with the tree. */
export interface ShownTree extends Pick<Receiver, "read" | "versions"> {
  /** How many entries there are, and their bytes. Takes a while when there are many. */
  count(): Promise<{ entries: number; bytes: number }>;
  /** What stands in a directory, or stood there: a page of it. */
  directory(query: DirectoryQuery): Promise<DirectoryPage>;
  /** What stands at a path, or stood there at `at`, milliseconds since the epoch. */
  entryAt(path: TreePath, at?: number): Promise<Entry | undefined>;
  /** All that happened to a path itself, newest first. */
  historyOf(path: TreePath, limit: number): Promise<HistoryRecord[]>;
  /** The history, searched a page at a time. */
  search(search: HistorySearch): Promise<HistoryPage>;
  /** What was kept of a path itself, what went last first; nothing where nothing is kept. */
  versionsOf(path: TreePath, limit?: number): Promise<KeptFile[]>;
}
