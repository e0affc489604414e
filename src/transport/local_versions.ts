/** The old states of a directory of this machine. @module */
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { comesBefore, ROOT, type TreePath } from "../core/path.ts";
import type { OpenFile, TreeRoot } from "../files/tree_root.ts";
import { bareEntry, type TreeIndex } from "../index/tree_index.ts";
import type { ContentRange } from "../versions/content_reader.ts";
import type { KeptQuery } from "../versions/kept_files.ts";
import type { VersionStore } from "../versions/version_store.ts";
import { openBase } from "./base_file.ts";
import { fileStream } from "./file_stream.ts";
import type { KeptPage, TreeVersions } from "./tree_versions.ts";

/** Rows read at once, so that nobody who writes waits for a slow reader. */
const PAGE = 1_000;

/** A directory, its index, and the store with what was replaced and removed in it. */
export interface LocalVersionsParts {
  root: TreeRoot;
  index: TreeIndex;
  store: VersionStore;
}

/** See the module's comment. */
export class LocalVersions implements TreeVersions {
  readonly #parts: LocalVersionsParts;

  constructor(parts: LocalVersionsParts) {
    this.#parts = parts;
  }

  // deno-lint-ignore require-await
  async list(query: KeptQuery): Promise<KeptPage> {
    const { keptFiles } = this.#parts.store;
    return { versions: keptFiles.list(query), completeSince: keptFiles.completeSince ?? 0 };
  }

  async *treeAt(time: number, under: TreePath = ROOT): AsyncGenerator<Entry> {
    yield* entriesAt(this.#parts, time, under);
  }

  // deno-lint-ignore require-await
  async sizeOf(content: Digest): Promise<number> {
    const kept = this.#parts.store.contents.sizeOf(content);
    if (kept !== undefined) return kept;
    using file = this.#open(content);
    return file.stat.size;
  }

  // deno-lint-ignore require-await
  async read(content: Digest, range?: ContentRange): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const { contents } = this.#parts.store;
    const kept = contents.sizeOf(content);
    if (kept !== undefined) {
      requireRange(content, kept, range);
      return ReadableStream.from(copies(contents.read(content, range)));
    }
    using opened = new DisposableStack();
    const file = opened.use(this.#open(content));
    requireRange(content, file.stat.size, range);
    opened.move();
    return fileStream(file, range);
  }

  /** Opens any file of the tree that has a content. */
  #open(content: Digest): OpenFile {
    using anchor = this.#parts.root.anchor();
    const file = openBase(content, anchor, this.#parts.index)?.file;
    if (file !== undefined) return file;
    throw new FilesyncError({
      code: "content-missing",
      operation: `read the content ${content}`,
      reason: "it is neither kept nor in the tree",
      hint: "See with filesync versions what is kept",
      permanent: true,
    });
  }
}

/**
 * What stood at and below `under` at `time`: of what stands there now, what came before; of what is kept, what
 * came before and went after. Where clocks went wrong, what came last holds.
 */
export function* entriesAt(
  { index, store }: Pick<LocalVersionsParts, "index" | "store">,
  time: number,
  under: TreePath,
): Generator<Entry> {
  for (let after = "";;) {
    // Both pages are of one moment: what goes between two of them is met in one or the other.
    const standing = index.standingSince(time, after, under, PAGE);
    const gone = store.keptFiles.standingAt(time, after, under, PAGE);
    const ends = [standing, gone].filter((page) => page.length === PAGE).map((page) =>
      page.at(-1)!.entry.path
    );
    const end = ends.reduce<TreePath | undefined>(
      (first, path) => first === undefined || comesBefore(path, first) ? path : first,
      undefined,
    );
    const met = new Map<TreePath, { entry: Entry; since: number }>();
    for (const one of [...standing, ...gone]) {
      const { path } = one.entry;
      if (end !== undefined && comesBefore(end, path)) continue;
      const other = met.get(path);
      if (other === undefined || other.since < one.since) met.set(path, one);
    }
    const entries = [...met.values()].map(({ entry }) => entry);
    entries.sort((a, b) => comesBefore(a.path, b.path) ? -1 : 1);
    for (const entry of entries) yield bareEntry(entry);
    if (end === undefined) return;
    after = end;
  }
}

function requireRange(content: Digest, size: number, range: ContentRange | undefined): void {
  if (range === undefined || range.start < Math.min(range.end, size)) return;
  throw new FilesyncError({
    code: "bad-range",
    operation: `read a part of the content ${content}`,
    reason: `there is nothing of its ${size} bytes from byte ${range.start} to ${range.end}`,
    permanent: true,
  });
}

/** Pieces that are the reader's own: those of a store are only lent. */
async function* copies(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for await (const piece of pieces) yield piece.slice();
}
