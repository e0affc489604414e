/**
 * A receiver whose tree is in memory, for tests that need thousands of them. It keeps to the same contract as a
 * `LocalReceiver` as far as two-way sync needs it; `memory_receiver_test.ts` compares the two.
 *
 * @module
 */
import { DEFAULT_CHUNKING } from "../../src/chunking/chunker.ts";
import { describeBytes } from "../../src/chunking/describe.ts";
import type { Action } from "../../src/core/action.ts";
import { type Chunk, type ChunkRun, type Manifest, unpackManifest } from "../../src/core/chunk.ts";
import type { Digest } from "../../src/core/digest.ts";
import { type Entry, sameContent, sameEntry } from "../../src/core/entry.ts";
import { type ErrorCode, FilesyncError, toFilesyncError } from "../../src/core/errors.ts";
import {
  comesBefore,
  foldPath,
  isWithin,
  parentOf,
  rebase,
  ROOT,
  type TreePath,
} from "../../src/core/path.ts";
import { problemOf } from "../../src/core/problem.ts";

import type {
  ActionResult,
  Batch,
  BatchResult,
  ContentNeed,
  ContentOffer,
  PieceRequest,
  Receiver,
  ReceiverInfo,
  RefreshedInfo,
} from "../../src/transport/receiver.ts";

/** What {@linkcode MemoryReceiver} may be like. */
export interface MemoryReceiverOptions {
  /** Milliseconds since the epoch, for directories that are made on the way. */
  now?: () => number;
  foldsNames?: boolean;
  maxBatchBytes?: number;
  maxBatchItems?: number;
}

/** See the module's comment. */
export class MemoryReceiver implements Receiver {
  readonly isNear = true;
  /** What stands there now; tests change it as a user does, behind the receiver's back. */
  readonly disk = new Map<TreePath, Entry>();
  /** Everything that ever was, by digest. */
  readonly bytes = new Map<Digest, Uint8Array<ArrayBuffer>>();
  /** What cannot be looked at: directories that nobody may list. */
  readonly unreadable = new Set<TreePath>();
  /** Names the index; another one stands for an index that was lost. */
  indexId: string = crypto.randomUUID();
  /** Names the directory. */
  rootId = "memory";
  readonly #options: MemoryReceiverOptions;
  #seen = new Map<TreePath, Entry>();
  #sequence = 0;
  readonly #staged = new Map<Digest, Uint8Array<ArrayBuffer>>();
  readonly #offers = new Map<Digest, Manifest>();
  readonly #answers = new Map<string, BatchResult>();

  constructor(options: MemoryReceiverOptions = {}) {
    this.#options = options;
  }

  open(): Promise<ReceiverInfo> {
    return Promise.resolve({
      indexId: this.indexId,
      sequence: this.#sequence,
      hasContents: [...this.#seen.values()].some(({ kind }) => kind === "file"),
      chunking: DEFAULT_CHUNKING.name,
      maxBatchBytes: this.#options.maxBatchBytes ?? 8 << 20,
      maxBatchItems: this.#options.maxBatchItems ?? 2_000,
      rootId: this.rootId,
      foldsNames: this.#options.foldsNames ?? false,
    });
  }

  async refresh(): Promise<RefreshedInfo> {
    const isUnknown = (path: TreePath) =>
      [...this.unreadable].some((one) => isWithin(path, one) && path !== one);
    for (const path of new Set([...this.#seen.keys(), ...this.disk.keys()])) {
      if (isUnknown(path)) continue;
      const [seen, entry] = [this.#seen.get(path), this.disk.get(path)];
      if (seen !== undefined && entry !== undefined && sameEntry(seen, entry)) continue;
      if (entry === undefined) this.#seen.delete(path);
      else this.#seen.set(path, entry);
      this.#sequence++;
    }
    const problems = [...this.unreadable].map((path) =>
      problemOf(fault("permission", `list "${path}"`, "permission denied"), path)
    );
    return { ...await this.open(), problems };
  }

  async *tree(): AsyncGenerator<Entry> {
    const paths = [...this.#seen.keys()].sort((a, b) => comesBefore(a, b) ? -1 : 1);
    for (const path of paths) yield await Promise.resolve(this.#seen.get(path)!);
  }

  entry(path: TreePath): Promise<Entry | undefined> {
    return Promise.resolve(this.#seen.get(path));
  }

  check(offers: ContentOffer[]): Promise<ContentNeed[]> {
    return Promise.resolve(offers.map(({ digest, manifest }): ContentNeed => {
      if (this.#holder(digest) !== undefined) return "nothing";
      if (manifest === undefined) return "whole";
      this.#offers.set(digest, manifest);
      const asked = new Set<Digest>();
      return manifest.flatMap((chunk, at) => {
        if (asked.has(chunk.digest) || this.#staged.has(chunk.digest)) return [];
        asked.add(chunk.digest);
        return [at];
      });
    }));
  }

  stage(chunks: Chunk[]): Promise<void> {
    for (const { digest, data } of chunks) this.#staged.set(digest, data);
    return Promise.resolve();
  }

  stageRuns(runs: ChunkRun[]): Promise<void> {
    for (const { content, first, data } of runs) {
      let start = 0;
      for (const { digest, length } of this.#offers.get(content)!.slice(first)) {
        if (start === data.length) break;
        // The memory of a run may be used for something else afterwards.
        this.#staged.set(digest, data.slice(start, start += length));
      }
    }
    return Promise.resolve();
  }

  signatures(): Promise<never> {
    return Promise.reject(fault("unsupported", "sign", "nobody asks for it"));
  }

  manifestGroups(): Promise<never> {
    return Promise.reject(fault("unsupported", "tell groups", "nobody asks for it"));
  }

  groupChunks(): Promise<never> {
    return Promise.reject(fault("unsupported", "tell chunks", "nobody asks for it"));
  }

  manifest(content: Digest): Promise<Manifest | undefined> {
    const bytes = this.#contentOf(content);
    return Promise.resolve(bytes && unpackManifest(describeBytes(bytes, DEFAULT_CHUNKING).packedManifest));
  }

  pieces(requests: PieceRequest[]): Promise<(Uint8Array<ArrayBuffer> | undefined)[]> {
    return Promise.resolve(requests.map(({ content, ranges }) => {
      const bytes = this.#contentOf(content);
      return bytes && new Uint8Array(ranges.flatMap(({ start, end }) => [...bytes.subarray(start, end)]));
    }));
  }

  apply({ key, actions, contents }: Batch): Promise<BatchResult> {
    const known = this.#answers.get(key);
    if (known !== undefined) return Promise.resolve(known);
    const before = this.#sequence;
    const results = actions.map((action): ActionResult => {
      try {
        this.#requireExpected(action);
        this.#do(action, contents);
        return { done: true };
      } catch (error) {
        const failure = toFilesyncError(`${action.type} "${action.path}"`, error);
        return { done: false, problem: problemOf(failure, action.path) };
      }
    });
    const answer = { before, after: this.#sequence, results };
    if (results.every(({ done }) => done)) this.#answers.set(key, answer);
    return Promise.resolve(answer);
  }

  read(): Promise<never> {
    return Promise.reject(fault("unsupported", "read", "nobody asks for it"));
  }

  history(): Promise<never> {
    return Promise.reject(fault("unsupported", "tell the history", "nobody asks for it"));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** What a system call finds at `path`, by whatever spelling where names are folded. */
  at(path: TreePath): Entry | undefined {
    return this.disk.get(this.#spelled(path));
  }

  #spelled(path: TreePath): TreePath {
    if (!this.#options.foldsNames || this.disk.has(path)) return path;
    const folded = foldPath(path);
    return [...this.disk.keys()].find((one) => foldPath(one) === folded) ?? path;
  }

  #requireExpected(action: Action): void {
    const { expected, type, path } = action;
    if (expected === undefined) return;
    const from = type === "move" ? action.from : path;
    const entry = this.at(from);
    if (type === "move") {
      const there = this.at(path);
      if (there !== undefined && there !== entry) throw conflict(action);
    } else if (
      type === "remove" ? entry === undefined : entry?.kind === "directory" && type === "directory"
    ) {
      return;
    } else if (
      type === "put" && entry?.kind === "file" && entry.digest === action.digest && this.#isKnown(entry)
    ) {
      return;
    } else if (type === "symlink" && entry?.kind === "symlink" && entry.target === action.target) {
      return;
    }
    const matches = expected.kind === "nothing" ? entry === undefined : entry?.kind === expected.kind &&
      (entry.kind !== "file" ||
        (expected as { digest: Digest }).digest === entry.digest && this.#isKnown(entry)) &&
      (entry.kind !== "symlink" || (expected as { target: string }).target === entry.target);
    if (!matches) throw conflict(action);
    if (type === "remove" && entry?.kind === "directory" && this.#within(path).length > 1) {
      throw conflict(action);
    }
  }

  #isKnown(entry: Entry): boolean {
    const seen = this.#seen.get(entry.path);
    return seen !== undefined && sameEntry(seen, entry);
  }

  #do(action: Action, contents: Batch["contents"]): void {
    const { path } = action;
    switch (action.type) {
      case "put": {
        const { type: _, expected: _expected, ...entry } = action;
        const sent = contents.get(action.digest);
        if (sent !== undefined) this.bytes.set(action.digest, sent);
        else if (this.#holder(action.digest) === undefined) this.#assemble(action.digest, path);
        return this.#place({ kind: "file", ...entry });
      }
      case "directory": {
        const { type: _, expected: _expected, ...entry } = action;
        return this.#place({ kind: "directory", ...entry });
      }
      case "symlink": {
        const { type: _, expected: _expected, ...entry } = action;
        return this.#place({ kind: "symlink", ...entry });
      }
      case "remove": {
        if (this.at(path) === undefined) return void this.#seen.delete(path);
        for (const one of this.#within(this.#spelled(path))) this.#forget(one);
        this.#sequence++;
        return;
      }
      case "move": {
        const { from } = action;
        if (this.at(from) === undefined) throw fault("not-found", "move", "it is not there");
        if (isWithin(path, from)) throw conflict(action);
        this.#makeParents(path);
        for (const one of this.#within(from)) {
          const [disk, seen] = [this.disk.get(one)!, this.#seen.get(one)];
          this.#forget(one);
          const moved = rebase(one, from, path);
          this.disk.set(moved, { ...disk, path: moved });
          if (seen !== undefined) this.#seen.set(moved, { ...seen, path: moved });
        }
        this.#sequence++;
      }
    }
  }

  #place(entry: Entry): void {
    const path = this.#spelled(entry.path);
    const there = this.disk.get(path);
    if (there !== undefined && (there.kind === "directory") !== (entry.kind === "directory")) {
      throw fault("conflict", `write "${path}"`, `a ${there.kind} stands there`);
    }
    this.#makeParents(path);
    if (there !== undefined && sameEntry(there, entry) && this.#isKnown(there)) return;
    this.disk.set(path, { ...entry, path });
    this.#seen.set(path, { ...entry, path });
    this.#sequence++;
  }

  #makeParents(path: TreePath): void {
    const parent = parentOf(path);
    if (parent === ROOT) return;
    const there = this.at(parent);
    if (there?.kind === "directory") return;
    if (there !== undefined) throw fault("conflict", `write "${path}"`, `a ${there.kind} is above it`);
    this.#makeParents(parent);
    const made: Entry = { kind: "directory", path: parent, mode: 0o755, mtime: this.#options.now?.() ?? 0 };
    this.disk.set(parent, made);
    this.#seen.set(parent, made);
  }

  #assemble(digest: Digest, path: TreePath): void {
    const chunks = this.#offers.get(digest)?.map((chunk) => this.#staged.get(chunk.digest));
    if (chunks === undefined || chunks.includes(undefined)) {
      throw fault("content-missing", `put "${path}"`, "it is not here");
    }
    this.bytes.set(digest, new Uint8Array(chunks.flatMap((chunk) => [...chunk!])));
  }

  #forget(path: TreePath): void {
    this.disk.delete(path);
    this.#seen.delete(path);
  }

  #within(path: TreePath): TreePath[] {
    return [...this.disk.keys()].filter((one) => isWithin(one, path));
  }

  /** The file that has a content and was not touched since it was looked at. */
  #holder(digest: Digest): Entry | undefined {
    for (const entry of this.#seen.values()) {
      const there = this.disk.get(entry.path);
      if (entry.kind === "file" && entry.digest === digest && there && sameContent(there, entry)) {
        return entry;
      }
    }
  }

  #contentOf(digest: Digest): Uint8Array<ArrayBuffer> | undefined {
    return this.#holder(digest) && this.bytes.get(digest);
  }
}

function fault(code: ErrorCode, operation: string, reason: string): FilesyncError {
  return new FilesyncError({ code, operation, reason });
}

function conflict({ type, path }: Action): FilesyncError {
  return fault("conflict", `${type} "${path}"`, "something else stands there");
}
