/**
 * Finds out how to tell new content by content that the receiver has: which of its parts are the
 * same, and what blocks the old content has where they are not. Small files are compared as wholes;
 * of bigger ones the manifests tell where they differ, the receiver's own when the old one is not
 * known here any more.
 *
 * @module
 */
import { ChunkStream } from "../chunking/chunk_stream.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { joined } from "../chunking/describe.ts";
import { DEFAULT_BLOCK_BYTES } from "../chunking/signature.ts";
import type { ChunkSizes } from "../chunking/sizes.ts";
import { changedRegions, type Segment, wholeRegion } from "../chunking/changed_regions.ts";
import { composeDelta, rangesToSign } from "../chunking/compose_delta.ts";
import { differingGroups, groupsOf, rebuildOutline, unpackGroups } from "../chunking/manifest_groups.ts";
import { type Outline, outlineOf } from "../chunking/outline.ts";
import type { PutAction } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import type { TreePath } from "../core/path.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { MAX_SIGNED_BYTES, type Receiver, type SignatureRequest } from "../transport/receiver.ts";
import { turn, TURN_BYTES } from "../core/turn.ts";
import { type SourceContent, SourceError } from "./source_reader.ts";
import type { Base } from "./source_state.ts";

/** What is smaller is sent as it is, bytes: blocks would cost as much. */
const LEAST_BYTES = 2 << 10;

/** Up to so many bytes the blocks of all of an old content are asked for. */
const WHOLE_BYTES = 1 << 20;

/** A big content that has less than this share of its bytes from the old one is another content. */
const LEAST_SHARE = 0.1;

/** A delta with more than this share of the content's bytes is worth less than its trouble. */
const MOST_SHARE = 0.5;

/** How to tell a content by another. */
export interface DeltaPlan {
  /** What the receiver has. */
  base: Digest;
  /** The new content, told by the old one. */
  segments: Segment[];
  /** The blocks of the old one where they differ. */
  signature: Uint8Array;
}

/** What a {@linkcode DeltaPlanner} needs. */
export interface DeltaPlannerOptions {
  receiver: Receiver;
  /** What was seen in the source. */
  index: TreeIndex;
  /** What the receiver holds at a path. */
  baseOf: (path: TreePath) => Base | undefined;
  /** Opens the content of what is put. */
  open: (put: PutAction) => SourceContent | undefined;
}

/** A content that may be told by another, before its blocks are known. */
interface Draft {
  put: PutAction;
  base: Digest;
  segments: Segment[];
  request: SignatureRequest;
  signedBytes: number;
}

/** See the module's comment. */
export class DeltaPlanner {
  readonly #options: DeltaPlannerOptions;

  constructor(options: DeltaPlannerOptions) {
    this.#options = options;
  }

  /**
   * Plans for those of `puts` that are worth it, by digest.
   *
   * @param most Most items of one request.
   * @throws {FilesyncError} Whatever the receiver throws.
   */
  async plan(puts: readonly PutAction[], most: number): Promise<Map<Digest, DeltaPlan>> {
    const drafts: Draft[] = [];
    for (const put of puts) {
      const draft = await this.#draft(put, most);
      if (draft !== undefined) drafts.push(draft);
    }
    const plans = new Map<Digest, DeltaPlan>();
    for (const group of groups(drafts, most)) {
      const signatures = await this.#options.receiver.signatures(group.map(({ request }) => request));
      group.forEach(({ put, base, segments }, i) => {
        const signature = signatures[i];
        if (signature !== undefined) plans.set(put.digest, { base, segments, signature });
      });
    }
    return plans;
  }

  async #draft(put: PutAction, most: number): Promise<Draft | undefined> {
    if (put.size < LEAST_BYTES) return undefined;
    const base = this.#options.baseOf(put.path);
    if (base === undefined || base.size < LEAST_BYTES || base.digest === put.digest) return undefined;
    const segments = await this.#compare(put, base, most);
    if (segments === undefined) return undefined;
    const ranges = rangesToSign(segments);
    const signedBytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    if (ranges.length > most || signedBytes > MAX_SIGNED_BYTES) return undefined;
    const request = { content: base.digest, ranges, blockSize: DEFAULT_BLOCK_BYTES };
    return { put, base: base.digest, segments, request, signedBytes };
  }

  async #compare(put: PutAction, base: Base, most: number): Promise<Segment[] | undefined> {
    if (put.size <= WHOLE_BYTES && base.size <= WHOLE_BYTES) return wholeRegion(base.size, put.size);
    const packedManifest = await this.#manifestLike(base, put);
    if (packedManifest === undefined) return undefined;
    const before = base.packedManifest === undefined
      ? await this.#outlineThere(base, packedManifest, most)
      : outlineOf(base.packedManifest);
    if (before === undefined) return undefined;
    const segments = changedRegions(before, outlineOf(packedManifest));
    const same = segments.reduce((sum, segment) => sum + (segment.type === "same" ? segment.length : 0), 0);
    return same >= LEAST_SHARE * put.size ? segments : undefined;
  }

  /** The manifest of what is put, cut by the sizes that `base` was cut by: a file may have grown out of them. */
  async #manifestLike(base: Base, put: PutAction): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const sizes = DEFAULT_CHUNKING.sizesFor(base.size);
    if (sizes.average === DEFAULT_CHUNKING.sizesFor(put.size).average) {
      return this.#options.index.manifestOf(put.digest);
    }
    try {
      using content = this.#options.open(put);
      return content && await cutContent(content, put.size, sizes);
    } catch (error) {
      // Whoever sends it will say so.
      if (error instanceof SourceError) return undefined;
      throw error;
    }
  }

  /** The outline of a content whose manifest only the receiver knows. */
  async #outlineThere(
    { digest, size }: Base,
    packedManifest: Uint8Array<ArrayBuffer>,
    most: number,
  ): Promise<Outline | undefined> {
    const { receiver } = this.#options;
    const found = await receiver.manifestGroups({ digest });
    if (found === undefined) return undefined;
    const theirs = unpackGroups(found.groups);
    const differing = differingGroups(theirs, groupsOf(packedManifest));
    if (differing.length > most) return undefined;
    const chunks = await receiver.groupChunks(digest, differing);
    return chunks && rebuildOutline(theirs, packedManifest, chunks, size);
  }
}

/**
 * The delta that carries `plan` out; `undefined` when it would not spare enough.
 *
 * @param most Most bytes that a request takes.
 * @throws {SourceError} When the file cannot be read as it was seen.
 */
export async function deltaOf(
  put: PutAction,
  { base, segments, signature }: DeltaPlan,
  content: SourceContent,
  most: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const delta = await composeDelta({
    segments,
    signature,
    blockSize: DEFAULT_BLOCK_BYTES,
    read: (start, end) => content.bytes(start, end),
    most: Math.min(most, MOST_SHARE * put.size),
  });
  return delta?.encode(base);
}

/** The packed manifest of `content`, cut by `sizes`. */
async function cutContent(
  content: SourceContent,
  size: number,
  sizes: ChunkSizes,
): Promise<Uint8Array<ArrayBuffer>> {
  using stream = new ChunkStream(DEFAULT_CHUNKING, sizes);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < size;) {
    const room = stream.room();
    const block = content.bytes(at, Math.min(at + room.length, size));
    room.set(block);
    parts.push(stream.take(block.length).packedManifest.slice());
    at += block.length;
    if (at % TURN_BYTES < block.length) await turn();
  }
  parts.push(stream.end().packedManifest);
  return joined(parts);
}

/** Splits drafts so that no group is more than a request may ask for. */
function* groups(drafts: Draft[], most: number): Generator<Draft[]> {
  let group: Draft[] = [];
  let ranges = 0;
  let bytes = 0;
  for (const draft of drafts) {
    const count = draft.request.ranges.length;
    if (group.length > 0 && (ranges + count > most || bytes + draft.signedBytes > MAX_SIGNED_BYTES)) {
      yield group;
      group = [];
      ranges = bytes = 0;
    }
    group.push(draft);
    ranges += count;
    bytes += draft.signedBytes;
  }
  if (group.length > 0) yield group;
}
