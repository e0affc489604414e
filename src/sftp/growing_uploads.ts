/**
 * Big contents on their way to an SFTP server: chunks are written where they belong in a temporary file there as they
 * come, and a put only has to rename it. What arrived is remembered, over a restart too.
 *
 * The SHA-256 of the whole is taken of what is handed over, as long as it comes in order: every chunk is what its
 * digest says, so that one which is sent again is the same. Else the file is read back before it is believed.
 *
 * @module
 */
import { type ChunkRun, type Manifest, unpackManifest } from "../core/chunk.ts";
import { type Digest, digestFromBytes, digestToBytes } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { namesChunk } from "../hashing/chunk_digest.ts";
import { Sha256 } from "../hashing/sha256.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { explainFull } from "./remote_contents.ts";
import type { RemoteFile } from "./remote_file.ts";
import type { SftpClient } from "./sftp_client.ts";

/** Bytes of chunks that occur several times in a content, kept to go on with its digest. */
const REPEATED_BYTES = 4 << 20;

/** A content in the making. */
interface Growing {
  packedManifest: Uint8Array;
  manifest: Manifest;
  /** Where each chunk begins. */
  starts: number[];
  /** The positions of a chunk, by its digest, of those that occur several times. */
  repeats: Map<Digest, number[]>;
  /** Bytes of those. */
  repeated: Map<Digest, Uint8Array>;
  /** 1 for each chunk that lies in the file, or is on its way. */
  arrived: Uint8Array;
  /** The digest of all chunks before {@linkcode front}; `undefined` when they did not come in order. */
  hash: Sha256 | undefined;
  front: number;
  /** Open while there is a connection. */
  file: Promise<RemoteFile> | undefined;
  /** What is under way. */
  writing: Set<Promise<void>>;
}

/** What a {@linkcode GrowingUploads} works with. */
export interface GrowingUploadsOptions {
  index: TreeIndex;
  /** The server's path of the file in the making of a content. */
  tempPath: (content: Digest) => string;
  /** The packed manifest by which a content was offered. */
  manifestOf: (content: Digest) => Uint8Array | undefined;
}

/** See the module's comment. */
export class GrowingUploads {
  readonly #options: GrowingUploadsOptions;
  #client: SftpClient;
  readonly #open = new Map<Digest, Growing>();

  constructor(client: SftpClient, options: GrowingUploadsOptions) {
    this.#client = client;
    this.#options = options;
    options.index.sql("DELETE FROM arrived WHERE content NOT IN (SELECT digest FROM offers)").run();
  }

  /** The contents of which something arrived. */
  get contents(): Digest[] {
    const rows = this.#options.index.sql("SELECT DISTINCT content FROM arrived").all() as {
      content: Uint8Array;
    }[];
    return rows.map(({ content }) => digestFromBytes(content));
  }

  /** 1 for each chunk of an offered content that has arrived, by its position; `undefined` when none has. */
  arrived(content: Digest): Uint8Array | undefined {
    return this.#open.get(content)?.arrived ?? this.#recorded(content);
  }

  /** Forgets what arrived by another manifest than the one that is offered now. */
  async meet(content: Digest, packedManifest: Uint8Array): Promise<void> {
    const known = this.#options.manifestOf(content);
    const isOther = known !== undefined &&
      (known.length !== packedManifest.length || known.some((byte, i) => byte !== packedManifest[i]));
    if (isOther && this.arrived(content) !== undefined) await this.drop(content);
  }

  /**
   * Writes runs of chunks where they belong.
   *
   * @throws {FilesyncError} `content-missing` when a content was not offered; `bad-request` (permanent) when a
   * run is not whole chunks of it; `digest-mismatch` when the bytes are not what the manifest says. Then
   * nothing of `runs` is kept.
   */
  async keep(runs: readonly ChunkRun[]): Promise<void> {
    const ends = runs.map((run) => checkedEnd(run, this.#manifestOf(run.content)));
    // Before anything is waited for: the order of calls is the order of the bytes.
    await Promise.all(runs.map((run, i) => this.#write(run, ends[i])));
  }

  /**
   * Gives the server's path of a content that is whole, synced and verified, and forgets it.
   *
   * @returns `undefined` when something is missing, or it is not what its digest says.
   */
  async complete(content: Digest, finish: (file: RemoteFile) => Promise<void>): Promise<string | undefined> {
    if (this.arrived(content) === undefined) return undefined;
    const growing = this.#reach(content);
    if (growing === undefined || growing.arrived.includes(0)) return undefined;
    const file = await this.#fileOf(content, growing);
    await Promise.all(growing.writing);
    if (await this.#digestOf(growing, file) !== content) {
      await this.drop(content);
      return undefined;
    }
    await finish(file);
    await file.close();
    this.#forget(content);
    return file.path;
  }

  /** Removes what has arrived of a content. */
  async drop(content: Digest): Promise<void> {
    const growing = this.#open.get(content);
    const isThere = this.arrived(content) !== undefined;
    this.#forget(content);
    if (!isThere) return;
    if (growing !== undefined) {
      await Promise.allSettled(growing.writing);
      await growing.file?.then((file) => file.close()).catch(() => {});
    }
    await this.#client.removeFile(this.#options.tempPath(content)).catch(() => {});
  }

  /** Goes on over another connection. */
  reconnect(client: SftpClient): void {
    this.#client = client;
    for (const [content, growing] of this.#open) this.#lose(content, growing);
  }

  async #write({ content, first, data }: ChunkRun, end: number): Promise<void> {
    const { index } = this.#options;
    const growing = this.#reach(content)!;
    const { manifest, starts, repeats, arrived } = growing;
    const copies: [bytes: Uint8Array<ArrayBuffer>, at: number][] = [];
    let start = 0;
    for (let at = first; at < end; at++) {
      const { digest, length } = manifest[at];
      const bytes = data.subarray(start, start += length);
      for (const same of repeats.get(digest) ?? []) {
        if (arrived[same] === 1 || (same >= first && same < end)) continue;
        copies.push([bytes.slice(), starts[same]]);
        arrived[same] = 1;
      }
      if (repeats.has(digest)) remember(growing, digest, bytes);
      arrived[at] = 1;
    }
    follow(growing, first, end, data);
    const opened = this.#fileOf(content, growing);
    const write = async () => {
      const file = await opened;
      await Promise.all([
        file.write(data, starts[first]),
        ...copies.map(([bytes, at]) => file.write(bytes, at)),
      ]);
    };
    const writing = write();
    growing.writing.add(writing);
    writing.catch(() => {});
    try {
      await writing;
    } catch (error) {
      // Which bytes came is not known.
      this.#lose(content, growing, opened);
      throw await explainFull(this.#client, this.#options.tempPath(content), error);
    } finally {
      growing.writing.delete(writing);
    }
    const insert = index.sql(
      "INSERT INTO arrived VALUES (?, ?, ?) ON CONFLICT (content, first) DO UPDATE SET end = max(end, excluded.end)",
    );
    const written = [[first, end], ...copies.map(([, at]) => [starts.indexOf(at), starts.indexOf(at) + 1])];
    index.transaction(() => {
      for (const [first, end] of written) {
        insert.run(digestToBytes(content), first, end);
        growing.arrived.fill(1, first, end);
      }
    });
  }

  /** Only what is recorded is there for sure, and the file must be opened again, when it is `file` that failed. */
  #lose(content: Digest, growing: Growing, file = growing.file): void {
    if (growing.file === file) {
      growing.file = undefined;
      // The connection may stand: what stays open takes its room there, though it be removed.
      file?.then((open) => open.close()).catch(() => {});
    }
    growing.arrived = this.#recorded(content) ?? new Uint8Array(growing.manifest.length);
  }

  #fileOf(content: Digest, growing: Growing): Promise<RemoteFile> {
    if (growing.file !== undefined) return growing.file;
    const file = this.#openFile(content, this.#recorded(content) !== undefined);
    growing.file = file;
    file.catch(() => this.#lose(content, growing, file));
    return file;
  }

  async #digestOf(growing: Growing, file: RemoteFile): Promise<Digest> {
    if (growing.hash !== undefined && growing.front === growing.manifest.length) return growing.hash.digest();
    const hash = new Sha256();
    for await (const piece of file.pieces()) hash.update(piece);
    return hash.digest();
  }

  #manifestOf(content: Digest): Manifest | undefined {
    return this.#reach(content)?.manifest;
  }

  #forget(content: Digest): void {
    this.#open.delete(content);
    this.#options.index.sql("DELETE FROM arrived WHERE content = ?").run(digestToBytes(content));
  }

  #recorded(content: Digest): Uint8Array | undefined {
    const rows = this.#options.index.sql("SELECT first, end FROM arrived WHERE content = ?")
      .all(digestToBytes(content)) as { first: number; end: number }[];
    const packed = rows.length === 0 ? undefined : this.#options.manifestOf(content);
    if (packed === undefined) return undefined;
    const arrived = new Uint8Array(unpackManifest(packed).length);
    for (const { first, end } of rows) arrived.fill(1, first, end);
    return arrived;
  }

  /** `undefined` when it was not offered. */
  #reach(content: Digest): Growing | undefined {
    const open = this.#open.get(content);
    if (open !== undefined) return open;
    const packedManifest = this.#options.manifestOf(content);
    if (packedManifest === undefined) return undefined;
    const manifest = unpackManifest(packedManifest);
    const recorded = this.#recorded(content);
    let start = 0;
    const growing: Growing = {
      packedManifest,
      manifest,
      starts: manifest.map(({ length }) => (start += length) - length),
      repeats: repeatsOf(manifest),
      repeated: new Map(),
      arrived: recorded ?? new Uint8Array(manifest.length),
      hash: recorded === undefined ? new Sha256() : undefined,
      front: 0,
      file: undefined,
      writing: new Set(),
    };
    this.#open.set(content, growing);
    return growing;
  }

  async #openFile(content: Digest, goesOn: boolean): Promise<RemoteFile> {
    const path = this.#options.tempPath(content);
    if (goesOn) {
      try {
        return await this.#client.open(path, "r+");
      } catch (error) {
        // It was removed there: what was recorded of it is void.
        if (error instanceof FilesyncError && error.code === "not-found") this.#forget(content);
        throw error;
      }
    }
    // What lies there and nobody remembers came before a crash.
    if (await this.#client.lstat(path) !== undefined) await this.#client.removeFile(path);
    return await this.#client.open(path, "wx+");
  }
}

/** Goes on with the digest of the whole, as far as chunks come in order. */
function follow(growing: Growing, first: number, end: number, data: Uint8Array): void {
  const { hash, manifest, repeated } = growing;
  if (hash === undefined || end <= growing.front) return;
  for (; growing.front < first; growing.front++) {
    const bytes = repeated.get(manifest[growing.front].digest);
    if (bytes === undefined) return void (growing.hash = undefined);
    hash.update(bytes);
  }
  let skip = 0;
  for (let at = first; at < growing.front; at++) skip += manifest[at].length;
  hash.update(data.subarray(skip));
  growing.front = end;
  for (; growing.front < manifest.length; growing.front++) {
    const bytes = repeated.get(manifest[growing.front].digest);
    if (bytes === undefined) return;
    hash.update(bytes);
  }
}

function remember({ repeated }: Growing, digest: Digest, bytes: Uint8Array): void {
  const kept = [...repeated.values()].reduce((sum, { length }) => sum + length, 0);
  if (!repeated.has(digest) && kept + bytes.length <= REPEATED_BYTES) repeated.set(digest, bytes.slice());
}

function repeatsOf(manifest: Manifest): Map<Digest, number[]> {
  const positions = new Map<Digest, number[]>();
  manifest.forEach(({ digest }, at) => {
    const known = positions.get(digest);
    if (known === undefined) positions.set(digest, [at]);
    else known.push(at);
  });
  for (const [digest, { length }] of positions) if (length === 1) positions.delete(digest);
  return positions;
}

/** The position after the last chunk of `run`. Throws unless it is whole chunks with the digests of the manifest. */
function checkedEnd({ content, first, data }: ChunkRun, manifest: Manifest | undefined): number {
  const fault = (
    code: "content-missing" | "bad-request" | "digest-mismatch",
    reason: string,
    permanent = false,
  ) => new FilesyncError({ code, operation: `stage chunks of ${content}`, reason, permanent });
  if (manifest === undefined) throw fault("content-missing", "nobody has offered it");
  let at = first;
  for (let start = 0; start < data.length; at++) {
    const chunk = manifest[at];
    if (chunk === undefined || start + chunk.length > data.length) {
      throw fault("bad-request", "the bytes are not whole chunks of its manifest", true);
    }
    if (!namesChunk(chunk.digest, data.subarray(start, start += chunk.length))) {
      throw fault("digest-mismatch", "the bytes that arrived have another digest");
    }
  }
  return at;
}
