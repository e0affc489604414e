/** A file on an SFTP server, open. @module */
import { Buffer } from "node:buffer";
// @ts-types="../../types/ssh2.d.ts"
import type { Sftp, SftpError } from "ssh2";
import { FilesyncError } from "../core/errors.ts";
import {
  type Abilities,
  type Asking,
  END_OF_LIST,
  type RemoteChange,
  type RemoteStat,
  statOf,
  toAttributes,
} from "./protocol.ts";
import { mapSeveral } from "./several.ts";

/** Bytes of one request, of servers that do not say more; the protocol's least. */
const REQUEST_BYTES = 32_768;
/** Bytes of one request, at most. */
const MOST_REQUEST_BYTES = 250_000;
/** See the module's comment. Reads and writes of any length are made of as many requests as it takes, several at a time. */
export class RemoteFile {
  readonly path: string;
  /** The subsystem it is open in. */
  readonly sftp: Sftp;
  readonly #handle: Buffer;
  readonly #abilities: Abilities;
  readonly #ask: Asking;
  readonly #onClosed: () => void;

  /** Use `SftpClient.open`. */
  constructor(
    { sftp, handle, path, abilities, ask, onClosed }: {
      sftp: Sftp;
      handle: Buffer;
      path: string;
      abilities: Abilities;
      ask: Asking;
      onClosed: () => void;
    },
  ) {
    this.sftp = sftp;
    this.#handle = handle;
    this.path = path;
    this.#abilities = abilities;
    this.#ask = ask;
    this.#onClosed = onClosed;
  }

  async stat(): Promise<RemoteStat> {
    return statOf(await this.#ask(`look at "${this.path}"`, (done) => this.sftp.fstat(this.#handle, done)));
  }

  setAttributes(change: RemoteChange): Promise<void> {
    const attributes = toAttributes(change);
    return this.#ask(
      `set mode and time of "${this.path}"`,
      (done) => this.sftp.fsetstat(this.#handle, attributes, done),
    );
  }

  /** Writes `data` from the byte `start` on; it must not change meanwhile. */
  async write(data: Uint8Array<ArrayBuffer>, start: number): Promise<void> {
    const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const most = requestBytes(this.sftp._maxWriteLen);
    await inPieces(
      data.length,
      most,
      (at, length) =>
        this.#ask(
          `write "${this.path}"`,
          (done) => this.sftp.write(this.#handle, buffer, at, length, start + at, done),
        ),
    );
  }

  /** Reads up to `length` bytes from the byte `start` on; fewer at the end of the file. */
  async read(start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const buffer = Buffer.alloc(length);
    const most = requestBytes(this.sftp._maxReadLen);
    let end = length;
    await inPieces(length, most, async (at, wanted) => {
      // Less than was asked for may come before the end.
      for (let got = 0; got < wanted;) {
        const some = await this.#readSome(buffer, at + got, wanted - got, start + at + got);
        if (some === 0) return void (end = Math.min(end, at + got));
        got += some;
      }
    });
    return new Uint8Array(buffer.buffer, buffer.byteOffset, end) as Uint8Array<ArrayBuffer>;
  }

  /** The whole file, piece by piece, with the next piece on its way. */
  async *pieces(start = 0, end = Infinity): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const piece = 2 << 20;
    const next = (at: number) => {
      const reading = this.read(at, Math.min(piece, end - at));
      reading.catch(() => {});
      return reading;
    };
    let ahead = next(start);
    for (let at = start; at < end;) {
      const data = await ahead;
      if (data.length === 0) return;
      at += data.length;
      if (at < end) ahead = next(at);
      yield data;
    }
  }

  /** Waits for the server's disk, where it can be told to. */
  async sync(): Promise<void> {
    if (!this.#abilities.fsync) return;
    await this.#ask(`sync "${this.path}"`, (done) => this.sftp.ext_openssh_fsync(this.#handle, done));
  }

  /** Has the server copy `length` bytes into `to`; for those that have `copyData`. */
  copyTo(to: RemoteFile, length: number): Promise<void> {
    return this.#ask(
      `copy "${this.path}"`,
      (done) => this.sftp.ext_copy_data(this.#handle, 0, length, to.#handle, 0, done),
    );
  }

  async close(): Promise<void> {
    this.#onClosed();
    await this.#ask<void>(`close "${this.path}"`, (done) => this.sftp.close(this.#handle, done));
  }

  async #readSome(buffer: Buffer, at: number, length: number, position: number): Promise<number> {
    try {
      return await this.#ask<number>(
        `read "${this.path}"`,
        (done) => this.sftp.read(this.#handle, buffer, at, length, position, done),
      ) ?? 0;
    } catch (error) {
      if (error instanceof FilesyncError && (error.cause as SftpError)?.code === END_OF_LIST) return 0;
      throw error;
    }
  }
}

function requestBytes(most = REQUEST_BYTES): number {
  return Math.max(REQUEST_BYTES, Math.min(most, MOST_REQUEST_BYTES));
}

/** Does pieces of `length` bytes, several at a time. */
async function inPieces(
  length: number,
  most: number,
  act: (at: number, length: number) => Promise<void>,
): Promise<void> {
  const starts = Array.from({ length: Math.ceil(length / most) }, (_, i) => i * most);
  await mapSeveral(starts, (at) => act(at, Math.min(most, length - at)));
}
