/**
 * The port behind which a destination tree stands. A local directory, a server
 * over HTTP and every wrapper implement it; one contract suite
 * (`receiver_contract.ts`) runs against all of them.
 *
 * @module
 */
import type { ByteRange } from "../chunking/byte_range.ts";
import type { Action } from "../core/action.ts";
import type { Chunk, ChunkRun, Manifest } from "../core/chunk.ts";
import type { ClientStatus, StatusAnswer } from "../core/client_status.ts";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import type { TreePath } from "../core/path.ts";
import type { Problem } from "../core/problem.ts";
import type { TreeVersions } from "./tree_versions.ts";

/** What a receiver says of itself when it is opened. */
export interface ReceiverInfo {
  /** Names the receiver's index; a new one means that everything known about it is void. */
  indexId: string;
  /** Grows by one with every change of the tree, whoever makes it. */
  sequence: number;
  /** Whether it holds any content yet; when not, nobody needs to ask what it lacks. */
  hasContents: boolean;
  /** The named algorithm its chunks are cut by; offers must be cut by the same. */
  chunking: string;
  /** Most bytes of content and deltas it takes in one call of `stage` or `apply`. */
  maxBatchBytes: number;
  /** Most actions, offers, chunks, runs, or ranges and groups asked for, in one call. */
  maxBatchItems: number;
  /** Names the directory itself, so that another one at its place is told from it; empty when that is not known. */
  rootId: string;
  /** Whether names that differ only by case or by their Unicode form are one name there. */
  foldsNames: boolean;
}

/** What a receiver says after it has looked at its tree again. */
export interface RefreshedInfo extends ReceiverInfo {
  /**
   * What could not be looked at: of each path in it, and of all that is below, it is not known what
   * stands there; what the index says of it is of an earlier look.
   */
  problems: Problem[];
}

/** Parts of a content. */
export interface PieceRequest {
  content: Digest;
  /** In any order. */
  ranges: ByteRange[];
}

/** Content that a client has and the receiver may lack. */
export interface ContentOffer {
  digest: Digest;
  /** Bytes. */
  size: number;
  /** Its chunks; without them the receiver can only say whether it has the whole. */
  manifest?: Manifest;
}

/**
 * What a receiver lacks of an offer: nothing, or the positions in the manifest of the
 * chunks to stage (each chunk once), or `"whole"` when no manifest was offered.
 */
export type ContentNeed = "nothing" | "whole" | number[];

/** Most bytes of content that are signed in one call of `signatures`. */
export const MAX_SIGNED_BYTES = 64 << 20;

/** A content of which a client wants to know the blocks. */
export interface SignatureRequest {
  content: Digest;
  /** The parts of it, in any order. */
  ranges: ByteRange[];
  /** Bytes of a block. */
  blockSize: number;
}

/** A content by its digest, or by a path that has it. */
export type ContentName = { digest: Digest } | { path: TreePath };

/** A content, and its manifest in groups. */
export interface GroupedManifest {
  digest: Digest;
  /** Bytes. */
  size: number;
  /** To be read by `unpackGroups`. */
  groups: Uint8Array;
}

/** Actions to apply in order, with the content of small files beside them. */
export interface Batch {
  /** Names this batch for good: applying it again returns the first answer and does nothing. */
  key: string;
  actions: Action[];
  /** Content by digest; a `put` whose digest is here needs nothing staged. */
  contents: Map<Digest, Uint8Array<ArrayBuffer>>;
  /**
   * How to make content from another one that the receiver has: encoded by `DeltaBuilder`, by digest
   * of what is made. A put fails with `content-missing` when that does not succeed.
   */
  deltas?: Map<Digest, Uint8Array<ArrayBuffer>>;
}

/** What became of one action. */
export type ActionResult = { done: true } | { done: false; problem: Problem };

/** What became of a batch. */
export interface BatchResult {
  /** The sequence before and after; `after - before` counts the changes made by this batch. */
  before: number;
  after: number;
  /** One for each action, in order. */
  results: ActionResult[];
}

/** One change that a receiver made or found, as its history remembers it. */
export interface HistoryRecord {
  sequence: number;
  /** Milliseconds since the epoch. */
  time: number;
  /** `found…`: the tree was changed behind the receiver's back. */
  what: Action["type"] | "found" | "found-gone";
  path: TreePath;
  /** Where a moved entry came from. */
  from?: TreePath;
  /** Bytes, of a file. */
  size?: number;
  digest?: Digest;
}

/** Which records of the history are wanted. */
export interface HistoryQuery {
  /** Only this path and what is below it. */
  under?: TreePath;
  /** Only what may have changed anything there: this path, what is below it, and the directories above it. */
  touching?: TreePath;
  /** Only records before this sequence. */
  before?: number;
  /** Most records, newest first. @default {100} */
  limit?: number;
}

/**
 * Whatever takes actions.
 *
 * Every method may be called again after any failure. An error with `permanent` set will
 * come again for the same arguments; any other may pass (network, full disk). All methods
 * may be called concurrently; batches are applied one after the other. More items in one call
 * than it said it takes are refused with `too-large`.
 */
export interface Receiver {
  /** Whether content gets there faster than it could be compared: then a delta is worth it for big files only. */
  readonly isNear: boolean;
  /** What was replaced and removed, of those that know of such a thing. */
  readonly versions?: TreeVersions;
  /** Says who it is; fails with `indexing` while the tree is still being read. */
  open(): Promise<ReceiverInfo>;
  /**
   * Looks at the tree again and says who it is, with the sequence after that. The look begins after the
   * call, or when the receiver was opened; callers at the same time share one. Fails with `brake` when
   * the directory is not where it was opened any more, or another stands there.
   */
  refresh(): Promise<RefreshedInfo>;
  /**
   * Every entry of the tree, by their paths in the order of code points: parents before their content.
   *
   * @param under Only entries below this directory. @default {ROOT}
   */
  tree(under?: TreePath): AsyncIterable<Entry>;
  /** What stands at `path`, as far as the receiver knows. */
  entry(path: TreePath): Promise<Entry | undefined>;
  /**
   * Which content is missing. A manifest offered here is remembered, so that a later
   * `put` of its digest can be built from chunks.
   */
  check(offers: ContentOffer[]): Promise<ContentNeed[]>;
  /**
   * Keeps chunks until a `put` uses them. Idempotent. Fails with `digest-mismatch`, and keeps
   * none of them, when one is not what its digest says.
   */
  stage(chunks: Chunk[]): Promise<void>;
  /**
   * Keeps chunks of contents that were offered, each where it belongs in a file in the making, until a `put`
   * of the content completes it: the way for big contents, which are then written once. Other contents do
   * not find their chunks there before that. The bytes are not looked at after it has settled. Idempotent.
   * Fails as `stage` does, with `bad-request` when a run is not whole chunks, and with `content-missing` when
   * its content was not offered.
   */
  stageRuns(runs: ChunkRun[]): Promise<void>;
  /**
   * The signatures of parts of contents, for {@linkcode Batch.deltas}: for each request those of its
   * ranges, one after the other, or `undefined` when the content is not here as it was recorded. Fails
   * with `too-large` when the ranges have more than {@linkcode MAX_SIGNED_BYTES}.
   */
  signatures(requests: SignatureRequest[]): Promise<(Uint8Array | undefined)[]>;
  /** The manifest of a content in groups, to be compared with another; `undefined` when the content is not here. */
  manifestGroups(name: ContentName): Promise<GroupedManifest | undefined>;
  /**
   * The chunks of some groups of a content's manifest, by their positions, to be read by
   * `rebuildOutline`; `undefined` when the content is not here.
   */
  groupChunks(content: Digest, groups: number[]): Promise<Uint8Array | undefined>;
  /** The chunks of a content, cut by the algorithm it names; `undefined` when the content is not here. */
  manifest(content: Digest): Promise<Manifest | undefined>;
  /**
   * Parts of contents: for each request the bytes of its ranges, one after the other, or `undefined` when
   * the content is not here as it was recorded. Whoever takes them verifies them: a file that was changed
   * without a trace looks as recorded. Fails with `too-large` when the ranges have more than
   * `maxBatchBytes`, with `bad-range` when one ends beyond its content.
   */
  pieces(requests: PieceRequest[]): Promise<(Uint8Array<ArrayBuffer> | undefined)[]>;
  /**
   * Applies actions in order and answers for each. When it returns, every action done is
   * durable and whole. A problem with one action does not stop the others.
   */
  apply(batch: Batch): Promise<BatchResult>;
  /**
   * The content of a file. Fails with `bad-range` when no byte of it is in `range`.
   *
   * @param range First byte, and the byte after the last; the file may end before it.
   */
  read(
    path: TreePath,
    range?: { start: number; end: number },
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** What changed, newest first. */
  history(query: HistoryQuery): Promise<HistoryRecord[]>;
  /**
   * Tells how its client is doing, for people who look there; absent where nobody does. Nothing depends on it.
   *
   * @param signal Ends the request.
   */
  report?(status: ClientStatus, signal?: AbortSignal): Promise<StatusAnswer>;
  /** Lets go of files, sockets and locks. */
  close(): Promise<void>;
}
