/** Entries as rows of the database. @module */
import { type Digest, digestFromBytes } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import type { ChunkLog } from "./chunk_log.ts";

/** The columns of an entry, with those of its content. */
export interface EntryRow {
  path: TreePath;
  kind: Entry["kind"];
  mtime: number;
  mode: number;
  target: string | null;
  digest: Uint8Array | null;
  size: number | null;
}

/** What {@linkcode toEntry} needs, from `entries` or `kept` joined with `contents`. */
export const ENTRY_COLUMNS =
  "path, kind, mtime, mode, target, contents.digest AS digest, contents.size AS size";

/** The entry in a row. */
export function toEntry({ path, kind, mtime, mode, target, digest, size }: EntryRow): Entry {
  switch (kind) {
    case "file":
      return { kind, path, size: size!, mtime, mode, digest: digestFromBytes(digest!) };
    case "directory":
      return { kind, path, mtime, mode };
    case "symlink":
      return { kind, path, mtime, target: target! };
  }
}

/** The values of an entry's own columns: kind, mtime, mode, target, content. */
export function entryValues(entry: Entry, content: number | null): (string | number | null)[] {
  return [
    entry.kind,
    entry.mtime,
    entry.kind === "symlink" ? 0 : entry.mode,
    entry.kind === "symlink" ? entry.target : null,
    content,
  ];
}

/**
 * The number of the content of `entry`; `null` of what has none.
 *
 * @param elsewhere Whether it may be somewhere else only; then its name is recorded.
 * @throws {FilesyncError} `content-missing` when it has not been committed.
 */
export function contentOfEntry(entry: Entry, log: ChunkLog, elsewhere: boolean): number | null {
  if (entry.kind !== "file") return null;
  const id = elsewhere ? log.nameContent(entry.digest, entry.size) : log.committedContentId(entry.digest);
  if (id !== undefined) return id;
  throw missing(entry.path, entry.digest);
}

function missing(path: TreePath, digest: Digest): FilesyncError {
  return new FilesyncError({
    code: "content-missing",
    operation: `record ${JSON.stringify(path)} as it was`,
    reason: `its content ${digest} is not in the store`,
    hint: "Add it, and commit, before what names it is recorded",
  });
}
