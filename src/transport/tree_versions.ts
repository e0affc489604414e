/**
 * The port behind which the old states of a destination tree stand: what was replaced and removed there,
 * and what the whole tree was at any moment. One contract suite (`tree_versions_contract.ts`) runs against all
 * that implement it.
 *
 * @module
 */
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import type { TreePath } from "../core/path.ts";
import type { KeptFile, KeptQuery } from "../versions/kept_files.ts";
import type { ContentRange } from "../versions/content_reader.ts";

/** A page of kept entries. */
export interface KeptPage {
  /** What was kept last first. */
  versions: KeptFile[];
  /** From when on the whole tree can be told, milliseconds since the epoch; before, something may be missing. */
  completeSince: number;
}

/** What was replaced or removed in a tree. Every method may be called again after any failure. */
export interface TreeVersions {
  /** Kept entries at and below a path. Fails with `not-found` when nothing is kept there at all. */
  list(query: KeptQuery): Promise<KeptPage>;
  /**
   * What stood at and below `under` at `time`, milliseconds since the epoch, in the order of paths; also
   * what stands there still. Times and modes are those that an entry had last: only a change of content makes a
   * version.
   */
  treeAt(time: number, under?: TreePath): AsyncIterable<Entry>;
  /** Bytes of a content that is kept, or in the tree. Fails with `content-missing` when it is neither. */
  sizeOf(content: Digest): Promise<number>;
  /**
   * A content that is kept, or in the tree. Whoever takes it verifies it. Fails as {@linkcode sizeOf} does, and
   * with `bad-range` when no byte of it is in `range`.
   */
  read(content: Digest, range?: ContentRange): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
}
