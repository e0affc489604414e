/** Brings the content of a batch into temporary files on an SFTP server, verified and synced. @module */
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { describeBytes } from "../chunking/describe.ts";
import { pathsOf, type PutAction } from "../core/action.ts";
import { type Manifest, unpackManifest } from "../core/chunk.ts";
import type { Clock } from "../core/clock.ts";
import type { Digest } from "../core/digest.ts";
import { permissionBits } from "../core/entry.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { areRelated, type TreePath } from "../core/path.ts";
import type { Staging } from "../index/staging.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import type { Batch } from "../transport/receiver.ts";
import type { GrowingUploads } from "./growing_uploads.ts";
import type { RemoteChange, RemoteStat } from "./protocol.ts";
import { copyContent, explainFull, finishFile, upload, type UploadedContent } from "./remote_contents.ts";
import { looksAsRecorded, RemoteAnchor, type RemoteTree } from "./remote_tree.ts";
import { mapSeveral } from "./several.ts";

/** What a batch is applied to. */
export interface RemoteTarget {
  tree: RemoteTree;
  index: TreeIndex;
  staging: Staging;
  growing: GrowingUploads;
  /** Gives the server's path for another temporary file. */
  tempPath: () => string;
  /** Whether to wait for the server's disk. */
  fsync: boolean;
  clock: Clock;
  /** Told of paths where something else stands than the index says. */
  onStale: (path: TreePath) => void;
}

/** What was made ready for an action: content for a put, a reason why it cannot be, or nothing. */
export type Prepared = UploadedContent | FilesyncError | undefined;

/** Sends the content of every put that needs some, before anything in the tree is touched. */
export async function prepareUploads(batch: Batch, target: RemoteTarget): Promise<Prepared[]> {
  const { actions } = batch;
  const shuffles = actions.flatMap((action, at) =>
    action.type === "remove" || action.type === "move" ? [{ at, paths: pathsOf(action) }] : []
  );
  const firstAt = new Map<TreePath, number>();
  actions.forEach(({ path }, at) => firstAt.has(path) || firstAt.set(path, at));
  const anchor = new RemoteAnchor(target.tree);
  /** Where a content lies already, once the first that needs it is ready. */
  const sent = new Map<Digest, Promise<UploadedContent | undefined>>();
  return await mapSeveral(actions, async (action, at): Promise<Prepared> => {
    if (action.type !== "put") return undefined;
    const isFirst = firstAt.get(action.path) === at &&
      !shuffles.some((one) => one.at < at && one.paths.some((path) => areRelated(path, action.path)));
    try {
      if (isFirst && await holdsAlready(action, anchor, target.index)) return undefined;
      const before = sent.get(action.digest);
      const ready = contentFor(action, batch, target, anchor, before);
      if (before === undefined) sent.set(action.digest, ready.catch(() => undefined));
      return await ready;
    } catch (error) {
      const failure = toFilesyncError(`write "${action.path}"`, error);
      if (failure.code === "unreachable") throw failure;
      return failure;
    }
  });
}

/** Removes what was sent and found no place. */
export async function discardUploads(prepared: readonly Prepared[], { tree }: RemoteTarget): Promise<void> {
  const left = prepared.flatMap((one) =>
    one !== undefined && "temp" in one && one.temp !== "" ? [one.temp] : []
  );
  await Promise.all(left.map((temp) => tree.client.removeFile(temp).catch(() => {})));
}

async function holdsAlready(put: PutAction, anchor: RemoteAnchor, index: TreeIndex): Promise<boolean> {
  const entry = index.get(put.path);
  if (entry?.kind !== "file" || entry.digest !== put.digest || entry.size !== put.size) return false;
  const stat = await anchor.lstat(put.path);
  return stat !== undefined && looksAsRecorded(entry, stat);
}

/** Brings the content of `put` into a temporary file, from wherever it is. */
async function contentFor(
  put: PutAction,
  { contents }: Batch,
  target: RemoteTarget,
  anchor: RemoteAnchor,
  sent: Promise<UploadedContent | undefined> | undefined,
): Promise<UploadedContent> {
  const { tree: { client }, staging, growing, fsync } = target;
  const { digest, size } = put;
  const change: RemoteChange = {
    mode: permissionBits("file", put.mode),
    mtime: Math.floor(put.mtime / 1_000),
  };
  const inline = contents.get(digest);
  if (inline !== undefined) {
    const { digest: is, packedManifest } = describeBytes(inline, DEFAULT_CHUNKING);
    if (is !== digest || inline.length !== size) throw mismatch(put);
    const temp = target.tempPath();
    return { temp, size, packedManifest, stat: await upload(client, temp, [inline], change, fsync) };
  }
  const first = await sent;
  if (first !== undefined) {
    if (first.size !== size) throw mismatch(put);
    const copied = await copyOf(first.temp);
    if (copied !== undefined) return { ...copied, packedManifest: first.packedManifest };
  }
  const packedManifest = staging.manifestOf(digest);
  if (packedManifest !== undefined) {
    const manifest = unpackManifest(packedManifest);
    const length = manifest.reduce((sum, chunk) => sum + chunk.length, 0);
    let stat: RemoteStat | undefined;
    const whole = await growing.complete(digest, async (file) => {
      stat = await finishFile(file, change, fsync).catch(async (error) => {
        throw await explainFull(client, file.path, error);
      });
    });
    if (whole !== undefined) {
      const found = { temp: whole, stat: stat!, size: length, packedManifest };
      if (length === size) return found;
      await discardUploads([found], target);
      throw mismatch(put);
    }
    const data = assembled(staging, manifest, length);
    if (data !== undefined && describeBytes(data, DEFAULT_CHUNKING).digest === digest) {
      if (length !== size) throw mismatch(put);
      const temp = target.tempPath();
      return { temp, size, packedManifest, stat: await upload(client, temp, [data], change, fsync) };
    }
  }
  for (const path of target.index.pathsWith(digest)) {
    const entry = target.index.get(path);
    if (entry?.kind !== "file") continue;
    const there = await anchor.fileAt(path);
    if (there !== undefined && looksAsRecorded(entry, there.stat)) {
      if (entry.size !== size) throw mismatch(put);
      const copied = await copyOf(there.at);
      if (copied !== undefined) return copied;
    }
    target.onStale(path);
  }
  throw new FilesyncError({
    code: "content-missing",
    operation: `put "${put.path}"`,
    reason: "its content is not here",
    hint: "Offer it again",
  });

  async function copyOf(path: string): Promise<UploadedContent | undefined> {
    const temp = target.tempPath();
    const stat = await copyContent(client, { path, size }, temp, digest, change, fsync);
    return stat && { temp, stat, size };
  }
}

/** A content put together from chunks that were staged; `undefined` when one is missing. */
function assembled(
  staging: Staging,
  manifest: Manifest,
  length: number,
): Uint8Array<ArrayBuffer> | undefined {
  const places = manifest.map(({ digest }) => staging.placeOf(digest));
  if (places.includes(undefined)) return undefined;
  const data = new Uint8Array(length);
  let at = 0;
  for (const place of places) {
    if (staging.read(data.subarray(at, at + place!.length), place!.start) < place!.length) return undefined;
    at += place!.length;
  }
  return data;
}

function mismatch({ path }: PutAction): FilesyncError {
  return new FilesyncError({
    code: "digest-mismatch",
    operation: `put "${path}"`,
    reason: "its content is not what its digest and size say",
    hint: "It is sent again; if it stays so, check the memory of this machine",
  });
}
