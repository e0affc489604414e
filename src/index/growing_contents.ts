/**
 * Big contents on their way: each has a file in the making, and chunks that arrive are written where
 * they belong in it. When the rest has been filled in, that file is put in place: nothing is written twice.
 * What has arrived is remembered, so that an upload that was cut goes on where it stopped, after a restart too.
 *
 * @module
 */
import { type ChunkRun, type Manifest, unpackManifest } from "../core/chunk.ts";
import { type Digest, digestFromBytes, digestToBytes } from "../core/digest.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { dataRanges } from "../chunking/data_ranges.ts";
import type { TempFile, TreeRoot } from "../files/tree_root.ts";
import { namesChunk } from "../hashing/chunk_digest.ts";
import type { TreeIndex } from "./tree_index.ts";

/** Files open at once; another is closed, and opened again when more of it comes. */
const MOST_OPEN = 32;

/** A content in the making. */
export interface GrowingContent {
  readonly digest: Digest;
  readonly packedManifest: Uint8Array;
  readonly manifest: Manifest;
  /** Where each chunk begins. */
  readonly starts: Float64Array;
  /** 1 for each chunk that lies in the file, by its position in the manifest. */
  readonly arrived: Uint8Array;
  readonly temp: TempFile;
}

/** See the module's comment. */
export class GrowingContents implements Disposable {
  readonly #root: TreeRoot;
  readonly #index: TreeIndex;
  readonly #manifestOf: (content: Digest) => Uint8Array | undefined;
  /** Those that are open, the one that was opened last at the end. */
  readonly #open = new Map<Digest, GrowingContent>();
  /** Those that are lent: nothing else may write them. */
  readonly #taken = new Map<Digest, GrowingContent>();

  /** @param manifestOf The packed manifest by which a content was offered. */
  constructor(root: TreeRoot, index: TreeIndex, manifestOf: (content: Digest) => Uint8Array | undefined) {
    this.#root = root;
    this.#index = index;
    this.#manifestOf = manifestOf;
    index.sql("DELETE FROM arrived WHERE content NOT IN (SELECT digest FROM offers)").run();
  }

  /** The names of the temporary files that hold something. */
  get names(): Set<string> {
    return new Set(this.#digests());
  }

  /** 1 for each chunk of an offered content that has arrived, by its position; `undefined` when none has. */
  arrived(content: Digest): Uint8Array | undefined {
    return this.#has(content) ? this.#reach(content)?.arrived : undefined;
  }

  /**
   * Writes runs of chunks where they belong.
   *
   * @param onWritten Told of each file that was written to.
   * @throws {FilesyncError} `content-missing` when a content was not offered; `bad-request` (permanent) when a
   * run is not whole chunks of it; `digest-mismatch` when the bytes are not what the manifest says. Then
   * nothing of `runs` is kept.
   */
  keep(runs: readonly ChunkRun[], onWritten: (temp: TempFile) => void): void {
    const ends = runs.map((run) => checkedEnd(run, this.#reach(run.content)));
    const insert = this.#index.sql(
      "INSERT INTO arrived VALUES (?, ?, ?) ON CONFLICT (content, first) DO UPDATE SET end = max(end, excluded.end)",
    );
    const write = () =>
      runs.forEach(({ content, first, data }, i) => {
        // It is being completed: who asks will ask again if that fails.
        if (this.#taken.has(content)) return;
        const { temp, starts } = this.#reach(content)!;
        temp.position = starts[first];
        temp.write(data);
        onWritten(temp);
        insert.run(digestToBytes(content), first, ends[i]);
      });
    try {
      // Rows that outlive their bytes in a power cut are found out by the digest of the whole.
      this.#index.transaction(write, { syncedLater: true });
    } catch (error) {
      const failure = toFilesyncError("stage chunks", error);
      // Others may find room for what is smaller.
      if (failure.code === "disk-full") this.clear();
      throw failure;
    }
    runs.forEach(({ content, first }, i) => this.#open.get(content)?.arrived.fill(1, first, ends[i]));
  }

  /** Forgets what arrived by another manifest than the one that is offered now. */
  meet(content: Digest, packedManifest: Uint8Array): void {
    const known = this.#taken.has(content) ? undefined : this.#manifestOf(content);
    if (known !== undefined && !isSame(known, packedManifest)) this.drop(content);
  }

  /**
   * Lends a content to be completed, to one at a time: until {@linkcode giveBack}.
   *
   * @returns `undefined` when nothing of it has arrived, or somebody else has it.
   */
  take(content: Digest): GrowingContent | undefined {
    if (this.#taken.has(content) || !this.#has(content)) return undefined;
    const growing = this.#reach(content);
    this.#open.delete(content);
    if (growing !== undefined) this.#taken.set(content, growing);
    return growing;
  }

  /** Takes back what was lent. */
  giveBack({ digest, temp, packedManifest }: GrowingContent): void {
    this.#taken.delete(digest);
    if (this.#has(digest)) temp.close();
    else temp.discard();
    this.meet(digest, packedManifest);
  }

  /** Forgets contents whose files stand in the tree now; removes what has arrived of them and is not lent. */
  release(contents: Iterable<Digest>): void {
    for (const content of contents) {
      if (!this.#has(content)) continue;
      if (this.#taken.has(content)) this.#forget(content);
      else this.drop(content);
    }
  }

  /** Removes what has arrived of a content. */
  drop(content: Digest): void {
    const growing = this.#taken.get(content) ?? this.#open.get(content);
    this.#forget(content);
    this.#open.delete(content);
    if (growing !== undefined) return growing.temp.discard();
    // Not opened for that: nobody may know its manifest any more.
    using anchor = this.#root.anchor();
    anchor.removeTemp(content);
  }

  /** Removes what has arrived of contents that nobody offers any more. */
  expire(): void {
    const offered = this.#index.sql("SELECT 1 FROM offers WHERE digest = ?");
    for (const content of this.#digests()) {
      if (!this.#taken.has(content) && offered.get(digestToBytes(content)) === undefined) this.drop(content);
    }
  }

  /** Removes all that has arrived and is not lent, to make room. */
  clear(): void {
    for (const content of this.#digests()) if (!this.#taken.has(content)) this.drop(content);
  }

  [Symbol.dispose](): void {
    for (const { temp } of this.#open.values()) temp.close();
    this.#open.clear();
  }

  #has(content: Digest): boolean {
    return this.#index.sql("SELECT 1 FROM arrived WHERE content = ? LIMIT 1").get(digestToBytes(content)) !==
      undefined;
  }

  #digests(): Digest[] {
    const rows = this.#index.sql("SELECT DISTINCT content FROM arrived").all() as { content: Uint8Array }[];
    return rows.map(({ content }) => digestFromBytes(content));
  }

  #forget(content: Digest): void {
    this.#index.sql("DELETE FROM arrived WHERE content = ?").run(digestToBytes(content));
  }

  /** Opens what is not open; `undefined` when it was not offered. */
  #reach(content: Digest): GrowingContent | undefined {
    const known = this.#taken.get(content) ?? this.#open.get(content);
    if (known !== undefined) return known;
    const packedManifest = this.#manifestOf(content);
    if (packedManifest === undefined) return undefined;
    const manifest = unpackManifest(packedManifest);
    const starts = new Float64Array(manifest.length);
    for (let i = 1; i < starts.length; i++) starts[i] = starts[i - 1] + manifest[i - 1].length;
    const arrived = new Uint8Array(manifest.length);
    const rows = this.#index.sql("SELECT first, end FROM arrived WHERE content = ?")
      .all(digestToBytes(content)) as { first: number; end: number }[];
    for (const { first, end } of rows) arrived.fill(1, first, end);
    using anchor = this.#root.anchor();
    const temp = anchor.openTemp(content);
    if (rows.length === 0) {
      try {
        // What lies there and nobody remembers came before a crash.
        temp.truncate();
        for (const { start, end } of dataRanges(manifest)) temp.reserve(start, end - start);
      } catch (error) {
        temp.discard();
        throw error;
      }
    }
    const growing = { digest: content, packedManifest, manifest, starts, arrived, temp };
    const [oldest] = this.#open.values();
    if (this.#open.size >= MOST_OPEN) {
      oldest.temp.close();
      this.#open.delete(oldest.digest);
    }
    this.#open.set(content, growing);
    return growing;
  }
}

/** The position after the last chunk of `run`. Throws unless it is whole chunks with the digests of the manifest. */
function checkedEnd({ content, first, data }: ChunkRun, growing: GrowingContent | undefined): number {
  const operation = `stage chunks of ${content}`;
  if (growing === undefined) {
    throw new FilesyncError({
      code: "content-missing",
      operation,
      reason: "nobody has offered it",
      hint: "Offer it first",
    });
  }
  let at = first;
  for (let start = 0; start < data.length; at++) {
    const chunk = growing.manifest[at];
    if (chunk === undefined || start + chunk.length > data.length) {
      throw new FilesyncError({
        code: "bad-request",
        operation,
        reason: "the bytes are not whole chunks of its manifest",
        permanent: true,
      });
    }
    if (!namesChunk(chunk.digest, data.subarray(start, start += chunk.length))) {
      throw new FilesyncError({
        code: "digest-mismatch",
        operation,
        reason: "the bytes that arrived have another digest",
        hint: "Send it again; if it stays so, something on the way changes the data",
      });
    }
  }
  return at;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
