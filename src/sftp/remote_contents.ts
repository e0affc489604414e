/** Reads and writes whole contents on an SFTP server. @module */
import { FilesyncError } from "../core/errors.ts";
import type { Digest } from "../core/digest.ts";
import { Sha256 } from "../hashing/sha256.ts";
import type { RemoteChange, RemoteStat } from "./protocol.ts";
import type { RemoteFile } from "./remote_file.ts";
import type { SftpClient } from "./sftp_client.ts";

/** A content that lies in a temporary file, whole, synced, with its mode and time. */
export interface UploadedContent {
  /** The server's path of the temporary file. */
  temp: string;
  stat: RemoteStat;
  size: number;
  packedManifest?: Uint8Array;
}

/** Sets mode and time, syncs, and tells how the file looks then. */
export async function finishFile(
  file: RemoteFile,
  change: RemoteChange,
  fsync: boolean,
): Promise<RemoteStat> {
  await file.setAttributes(change);
  const [stat] = await Promise.all([file.stat(), fsync ? file.sync() : undefined]);
  return stat;
}

/**
 * Writes `pieces` into a new temporary file.
 *
 * @throws {FilesyncError} Also `disk-full`, which the protocol itself does not tell.
 */
export async function upload(
  client: SftpClient,
  temp: string,
  pieces: Iterable<Uint8Array<ArrayBuffer>> | AsyncIterable<Uint8Array<ArrayBuffer>>,
  change: RemoteChange,
  fsync: boolean,
): Promise<RemoteStat> {
  const file = await client.open(temp, "wx+");
  try {
    let at = 0;
    for await (const piece of pieces) {
      await file.write(piece, at);
      at += piece.length;
    }
    const stat = await finishFile(file, change, fsync);
    await file.close();
    return stat;
  } catch (error) {
    throw await giveUp(client, file, error);
  }
}

/** The digest of a file. */
export async function digestOfFile(client: SftpClient, path: string): Promise<Digest> {
  const file = await client.open(path, "r");
  const hash = new Sha256();
  try {
    for await (const piece of file.pieces()) hash.update(piece);
  } finally {
    await file.close().catch(() => {});
  }
  return hash.digest();
}

/**
 * Copies a file into a new temporary one, by the server itself where it can; what was copied is read back and must be
 * `content`.
 *
 * @returns How the copy looks; `undefined` when it is another content.
 */
export async function copyContent(
  client: SftpClient,
  from: { path: string; size: number },
  temp: string,
  content: Digest,
  change: RemoteChange,
  fsync: boolean,
): Promise<RemoteStat | undefined> {
  const source = await client.open(from.path, "r");
  try {
    if (!client.abilities.copyData || from.size === 0) {
      const hash = new Sha256();
      const pieces = async function* () {
        for await (const piece of source.pieces()) {
          hash.update(piece);
          yield piece;
        }
      };
      const stat = await upload(client, temp, pieces(), change, fsync);
      if (hash.digest() === content) return stat;
    } else {
      const copy = await client.open(temp, "wx+", source);
      try {
        await source.copyTo(copy, from.size);
        const stat = await finishFile(copy, change, fsync);
        const is = await digestOfFile(client, temp);
        await copy.close();
        if (is === content) return stat;
      } catch (error) {
        throw await giveUp(client, copy, error);
      }
    }
    await client.removeFile(temp);
  } finally {
    await source.close().catch(() => {});
  }
}

/** Removes a temporary file that could not be finished; gives the reason, for which it must still take its room. */
async function giveUp(client: SftpClient, file: RemoteFile, error: unknown): Promise<unknown> {
  const failure = await explainFull(client, file.path, error);
  await file.close().catch(() => {});
  await client.removeFile(file.path).catch(() => {});
  return failure;
}

/** The protocol only knows failure: whether the disk is full must be asked for. */
export async function explainFull(client: SftpClient, path: string, error: unknown): Promise<unknown> {
  if (!(error instanceof FilesyncError) || error.code !== "io") return error;
  const directory = path.slice(0, path.lastIndexOf("/"));
  const free = await client.freeBytes(directory).catch(() => undefined);
  if (free === undefined || free > LEAST_FREE) return error;
  return new FilesyncError({
    code: "disk-full",
    operation: error.operation,
    reason: "the server's disk is full",
    hint: "Free some space; it will be tried again",
    cause: error,
  });
}

/** With less than this free a write may have failed for lack of space, bytes. */
const LEAST_FREE = 1 << 20;
