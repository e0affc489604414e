/**
 * A connection to an SFTP server (version 3 of the protocol, with OpenSSH's extensions where the server has them),
 * in our words: promises, our errors, no limit to the length of reads and writes.
 *
 * The library is loaded when the first connection is made.
 *
 * @module
 */
import { Buffer } from "node:buffer";
// @ts-types="../../types/ssh2.d.ts"
import type { Attributes, AuthMethod, Client, Sftp, SftpError, Utils } from "ssh2";
import { type ErrorCode, FilesyncError } from "../core/errors.ts";
import { algorithmsFor, type HostVerdict, judgeKey, knownHostsLine, knownKeys } from "./known_hosts.ts";

/** A way to prove who we are. */
export type Credential =
  | { kind: "agent"; socket: string }
  | { kind: "key"; name: string; text: string; passphrase?: string }
  | { kind: "password"; password: string };

/** Where to connect, and as whom. */
export interface SshTarget {
  host: string;
  port: number;
  user: string;
  /** Tried in order. */
  credentials(): Credential[];
  /** The text of `known_hosts`. */
  knownHosts(): string;
  /** Whether to trust a host of which no key is known; then {@linkcode remember} is told the line that makes it known. */
  acceptNew: boolean;
  remember(line: string): void;
}

/** What stands at a path. */
export interface RemoteStat {
  kind: "file" | "directory" | "symlink" | "other";
  /** Bytes. */
  size: number;
  /** Whole seconds since the epoch: the protocol knows no more. */
  mtime: number;
  /** Permission bits; 0 when the server does not tell. */
  mode: number;
}

/** What is to be set; what is left out stays. */
export interface RemoteChange {
  mode?: number;
  /** Whole seconds since the epoch. */
  mtime?: number;
}

/** What a server can do beyond the protocol. */
export interface Abilities {
  /** Renames over what is there, as one step. */
  posixRename: boolean;
  fsync: boolean;
  /** Sets attributes of a link itself. */
  lsetstat: boolean;
  copyData: boolean;
  statvfs: boolean;
}

/** How long connecting may take, milliseconds. */
const READY_MS = 20_000;
/** A server that answers to none of so many questions, so many milliseconds apart, is gone. */
const ALIVE = { keepaliveInterval: 15_000, keepaliveCountMax: 3 };

/** Bytes of one request, of servers that do not say more; the protocol's least. */
const REQUEST_BYTES = 32_768;
/** Bytes of one request, at most. */
const MOST_REQUEST_BYTES = 250_000;
/** Requests of one read or write under way at once. */
const AHEAD = 16;

/** Statuses of the protocol: draft-ietf-secsh-filexfer-02, section 7. */
const STATUS: Record<number, [ErrorCode, string]> = {
  2: ["not-found", "it does not exist"],
  3: ["permission", "permission denied"],
  6: ["unreachable", "there is no connection"],
  7: ["unreachable", "the connection was lost"],
  8: ["unsupported", "the server cannot do that"],
};

/** See the module's comment. Every method fails with `unreachable` when the connection is or gets lost. */
export class SftpClient {
  readonly abilities: Abilities;
  readonly #client: Client;
  readonly #sftp: Sftp;
  #isOpen = true;

  private constructor(client: Client, sftp: Sftp) {
    this.#client = client;
    this.#sftp = sftp;
    const has = (name: string) => sftp._extensions[name] !== undefined;
    this.abilities = {
      posixRename: has("posix-rename@openssh.com"),
      fsync: has("fsync@openssh.com"),
      lsetstat: has("lsetstat@openssh.com"),
      copyData: has("copy-data"),
      statvfs: has("statvfs@openssh.com"),
    };
    const closed = () => void (this.#isOpen = false);
    client.on("close", closed);
    // Whoever waits for an answer is told.
    client.on("error", closed);
    sftp.on("close", closed);
    sftp.on("error", closed);
  }

  /**
   * Connects.
   *
   * @throws {FilesyncError} `unauthorized` (permanent) when the host is not the one that is known, or does not let us
   * in; `unreachable` when it does not answer.
   */
  static async connect(target: SshTarget): Promise<SftpClient> {
    const { default: ssh2 } = await import("ssh2");
    const { host, port, user } = target;
    const known = knownKeys(target.knownHosts(), host, port);
    const methods = target.credentials().flatMap((credential) => methodsOf(user, credential, ssh2.utils));
    if (methods.length === 0) throw refused(target, "there is no key to show it");
    const client: Client = new ssh2.Client();
    let verdict: HostVerdict = "unknown";
    let accepted: string | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        client.on("ready", resolve);
        client.on("close", () => reject(new Error("the connection was closed")));
        // Without an agent the other ways are tried.
        client.on("error", (error) => error.level === "agent" || reject(error));
        const types = known.filter(({ revoked }) => !revoked).map(({ type }) => type);
        client.connect({
          ...{ host, port, username: user, authHandler: methods },
          ...{ readyTimeout: READY_MS, ...ALIVE },
          hostVerifier(key) {
            verdict = judgeKey(known, key);
            if (verdict === "unknown" && target.acceptNew) accepted = knownHostsLine(host, port, key);
            return verdict === "known" || (verdict === "unknown" && target.acceptNew);
          },
          ...(types.length === 0 ? {} : { algorithms: { serverHostKey: algorithmsFor(types) } }),
        });
      });
      const sftp = await new Promise<Sftp>((resolve, reject) =>
        client.sftp((error, sftp) => error ? reject(error) : resolve(sftp))
      );
      client.setNoDelay(true);
      if (accepted !== undefined) target.remember(accepted);
      return new SftpClient(client, sftp);
    } catch (error) {
      client.on("error", () => {}).destroy();
      throw connectFailure(target, error as Error & { level?: string }, verdict);
    }
  }

  /** Whether the connection stands, as far as is known. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Ends the connection. */
  close(): void {
    this.#isOpen = false;
    this.#client.on("error", () => {});
    this.#client.end();
  }

  /** What stands at `path`, a link as such; `undefined` when nothing does. */
  async lstat(path: string): Promise<RemoteStat | undefined> {
    try {
      return statOf(await this.#ask(`look at "${path}"`, (done) => this.#sftp.lstat(path, done)));
    } catch (error) {
      if (error instanceof FilesyncError && error.code === "not-found") return undefined;
      throw error;
    }
  }

  /** The path without links on the way. */
  realpath(path: string): Promise<string> {
    return this.#ask(`resolve "${path}"`, (done) => this.#sftp.realpath(path, done));
  }

  readlink(path: string): Promise<string> {
    return this.#ask(`read the link "${path}"`, (done) => this.#sftp.readlink(path, done));
  }

  /** What is in a directory, without `.` and `..`. */
  async list(path: string): Promise<{ name: string; stat: RemoteStat }[]> {
    const operation = `list "${path}"`;
    const handle = await this.#ask<Buffer>(operation, (done) => this.#sftp.opendir(path, done));
    const names: { name: string; stat: RemoteStat }[] = [];
    try {
      for (;;) {
        const some = await this.#ask<Parameters<Parameters<Sftp["readdir"]>[1]>[1]>(
          operation,
          (done) => this.#sftp.readdir(handle, done),
        );
        names.push(...some.map(({ filename, attrs }) => ({ name: filename, stat: statOf(attrs) })));
      }
    } catch (error) {
      if (!(error instanceof FilesyncError) || (error.cause as SftpError)?.code !== END_OF_LIST) throw error;
    } finally {
      await this.#ask<void>(operation, (done) => this.#sftp.close(handle, done)).catch(() => {});
    }
    return names.filter(({ name }) => name !== "." && name !== "..");
  }

  /**
   * Opens a file.
   *
   * @param flags `"r"`, `"r+"`, or `"wx+"` to make one that is not there, to be read as well.
   */
  async open(path: string, flags: "r" | "r+" | "wx+", mode = 0o600): Promise<RemoteFile> {
    const handle = await this.#ask<Buffer>(
      `open "${path}"`,
      (done) => this.#sftp.open(path, flags, flags === "wx+" ? { mode } : {}, done),
    );
    return new RemoteFile(
      this.#sftp,
      handle,
      path,
      this.abilities,
      (operation, ask) => this.#ask(operation, ask),
    );
  }

  /** Sets attributes of what stands at `path`; of a link itself where the server can. */
  async setAttributes(path: string, change: RemoteChange, isLink = false): Promise<void> {
    const operation = `set mode and time of "${path}"`;
    const attributes = toAttributes(change);
    if (this.abilities.lsetstat) {
      return await this.#ask(operation, (done) => this.#sftp.ext_openssh_lsetstat(path, attributes, done));
    }
    if (!isLink) await this.#ask(operation, (done) => this.#sftp.setstat(path, attributes, done));
  }

  makeDirectory(path: string, mode: number): Promise<void> {
    return this.#ask(`make the directory "${path}"`, (done) => this.#sftp.mkdir(path, { mode }, done));
  }

  removeDirectory(path: string): Promise<void> {
    return this.#ask(`remove the directory "${path}"`, (done) => this.#sftp.rmdir(path, done));
  }

  removeFile(path: string): Promise<void> {
    return this.#ask(`remove "${path}"`, (done) => this.#sftp.unlink(path, done));
  }

  makeLink(target: string, path: string): Promise<void> {
    return this.#ask(`make the link "${path}"`, (done) => this.#sftp.symlink(target, path, done));
  }

  /** Renames over what is there; in two steps where the server has no better way. */
  async rename(from: string, to: string): Promise<void> {
    const operation = `rename "${from}" to "${to}"`;
    if (this.abilities.posixRename) {
      return await this.#ask(operation, (done) => this.#sftp.ext_openssh_rename(from, to, done));
    }
    const there = await this.lstat(to);
    if (there !== undefined) {
      await (there.kind === "directory" ? this.removeDirectory(to) : this.removeFile(to));
    }
    await this.#ask(operation, (done) => this.#sftp.rename(from, to, done));
  }

  /** Bytes that are free where `path` is; `undefined` when the server does not tell. */
  async freeBytes(path: string): Promise<number | undefined> {
    if (!this.abilities.statvfs) return undefined;
    const { f_bavail, f_frsize } = await this.#ask<{ f_bavail: number; f_frsize: number }>(
      `look at the disk of "${path}"`,
      (done) => this.#sftp.ext_openssh_statvfs(path, done),
    );
    return Number(f_bavail) * Number(f_frsize);
  }

  #ask<T>(operation: string, ask: Ask<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = (error: SftpError | null | undefined, value: T) =>
        error ? reject(failureOf(operation, error)) : resolve(value);
      if (!this.#isOpen) return reject(failureOf(operation, new Error("not connected")));
      try {
        ask(done as Parameters<Ask<T>>[0]);
      } catch (error) {
        reject(failureOf(operation, error as SftpError));
      }
    });
  }
}

/** The status that says that all was listed, or read. */
const END_OF_LIST = 1;

// deno-lint-ignore no-explicit-any -- calls back with or without a value
type Ask<T> = (done: (error: any, value?: any) => void) => void;

/** An open file of a server. */
export class RemoteFile {
  readonly path: string;
  readonly #sftp: Sftp;
  readonly #handle: Buffer;
  readonly #abilities: Abilities;
  readonly #ask: <T>(operation: string, ask: Ask<T>) => Promise<T>;

  /** Use {@linkcode SftpClient.open}. */
  constructor(
    sftp: Sftp,
    handle: Buffer,
    path: string,
    abilities: Abilities,
    ask: <T>(operation: string, ask: Ask<T>) => Promise<T>,
  ) {
    this.#sftp = sftp;
    this.#handle = handle;
    this.path = path;
    this.#abilities = abilities;
    this.#ask = ask;
  }

  async stat(): Promise<RemoteStat> {
    return statOf(await this.#ask(`look at "${this.path}"`, (done) => this.#sftp.fstat(this.#handle, done)));
  }

  setAttributes(change: RemoteChange): Promise<void> {
    const attributes = toAttributes(change);
    return this.#ask(
      `set mode and time of "${this.path}"`,
      (done) => this.#sftp.fsetstat(this.#handle, attributes, done),
    );
  }

  /** Writes `data` from the byte `start` on; it must not change meanwhile. */
  async write(data: Uint8Array<ArrayBuffer>, start: number): Promise<void> {
    const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const most = requestBytes(this.#sftp._maxWriteLen);
    await inPieces(
      data.length,
      most,
      (at, length) =>
        this.#ask(
          `write "${this.path}"`,
          (done) => this.#sftp.write(this.#handle, buffer, at, length, start + at, done),
        ),
    );
  }

  /** Reads up to `length` bytes from the byte `start` on; fewer at the end of the file. */
  async read(start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const buffer = Buffer.alloc(length);
    const most = requestBytes(this.#sftp._maxReadLen);
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
    await this.#ask(`sync "${this.path}"`, (done) => this.#sftp.ext_openssh_fsync(this.#handle, done));
  }

  /** Has the server copy `length` bytes into `to`; for those that have `copyData`. */
  copyTo(to: RemoteFile, length: number): Promise<void> {
    return this.#ask(
      `copy "${this.path}"`,
      (done) => this.#sftp.ext_copy_data(this.#handle, 0, length, to.#handle, 0, done),
    );
  }

  async close(): Promise<void> {
    await this.#ask<void>(`close "${this.path}"`, (done) => this.#sftp.close(this.#handle, done));
  }

  async #readSome(buffer: Buffer, at: number, length: number, position: number): Promise<number> {
    try {
      return await this.#ask<number>(
        `read "${this.path}"`,
        (done) => this.#sftp.read(this.#handle, buffer, at, length, position, done),
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
  let next = 0;
  const work = async () => {
    while (next < length) {
      const at = next;
      next = Math.min(length, at + most);
      await act(at, next - at);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AHEAD, Math.ceil(length / most)) }, work));
}

/** What the type bits of a mode say. */
const KINDS: Record<number, RemoteStat["kind"]> = { 0o10: "file", 0o4: "directory", 0o12: "symlink" };

function statOf({ mode = 0, size = 0, mtime = 0 }: Attributes): RemoteStat {
  return { kind: KINDS[mode >> 12] ?? "other", size, mtime, mode: mode & 0o7777 };
}

/** The protocol sets both times or none. */
function toAttributes({ mode, mtime }: RemoteChange): Attributes {
  return { ...(mode === undefined ? {} : { mode }), ...(mtime === undefined ? {} : { mtime, atime: mtime }) };
}

function failureOf(operation: string, error: SftpError): FilesyncError {
  const { code, message } = error;
  if (code === undefined || typeof code !== "number") {
    return new FilesyncError({
      code: "unreachable",
      operation,
      reason: "the connection was lost",
      hint: "Nothing: it is made again by itself",
      cause: error,
    });
  }
  const [ours, reason] = STATUS[code] ?? ["io", `the server says: ${message}`];
  return new FilesyncError({ code: ours, operation, reason, cause: error });
}

function connectFailure(
  target: SshTarget,
  error: Error & { level?: string },
  verdict: HostVerdict,
): FilesyncError {
  const { host, port } = target;
  const operation = `connect to ${host}:${port}`;
  const isHostKey = /host (denied|key)|verification failed/i.test(error.message);
  if (isHostKey && verdict !== "known") {
    return new FilesyncError({
      code: "unauthorized",
      operation,
      ...{
        unknown: {
          reason: "its key is not in known_hosts, so that it could be anybody",
          hint:
            `Connect once with ssh -p ${port} ${host} and compare the key, or give --ssh-accept-new to trust the first one`,
        },
        changed: {
          reason:
            "it shows another key than the one in known_hosts: it was installed anew, or it is somebody else",
          hint: `Ask whoever runs it; if all is well, run ssh-keygen -R and connect once with ssh`,
        },
        revoked: { reason: "known_hosts says that its key must not be trusted", hint: "Ask whoever runs it" },
      }[verdict as Exclude<HostVerdict, "known">],
      permanent: true,
      cause: error,
    });
  }
  if (error.level === "client-authentication") return refused(target, "it accepts none of our keys", error);
  return new FilesyncError({
    code: "unreachable",
    operation,
    reason: error.level === "client-timeout" ? "it did not answer in time" : error.message,
    hint: "Check the address, and any firewall between; ssh to the same address tells more",
    cause: error,
  });
}

/** How to try a credential; not at all when it is a key that cannot be read without its passphrase. */
function methodsOf(username: string, credential: Credential, utils: Utils): AuthMethod[] {
  switch (credential.kind) {
    case "agent":
      return [{ type: "agent", username, agent: credential.socket }];
    case "password":
      return [{ type: "password", username, password: credential.password }];
    case "key": {
      const { text: key, passphrase } = credential;
      if (utils.parseKey(key, passphrase) instanceof Error) return [];
      return [{ type: "publickey", username, key, passphrase }];
    }
  }
}

function refused({ host, user }: SshTarget, reason: string, cause?: unknown): FilesyncError {
  return new FilesyncError({
    code: "unauthorized",
    operation: `log in to ${host} as ${user}`,
    reason,
    hint:
      "Start ssh-agent, or name a key with --ssh-key; a passphrase goes into FILESYNC_SSH_PASSPHRASE, a password into FILESYNC_SSH_PASSWORD",
    permanent: true,
    cause,
  });
}
