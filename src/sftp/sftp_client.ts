/**
 * A connection to an SFTP server (version 3 of the protocol, with OpenSSH's extensions where the server has them).
 *
 * @module
 */
import type { Buffer } from "node:buffer";
// @ts-types="../../types/ssh2.d.ts"
import type { Client, ListedName, Sftp, SftpError } from "ssh2";
import { FilesyncError } from "../core/errors.ts";
import {
  type Abilities,
  type Ask,
  END_OF_LIST,
  failureOf,
  type RemoteChange,
  type RemoteStat,
  statOf,
  toAttributes,
} from "./protocol.ts";
import { RemoteFile } from "./remote_file.ts";
import { connectSsh, openSubsystem, type SshTarget } from "./ssh_connection.ts";

/** Processes of the server that write for us at most: each does one thing after the other, and waits for the disk. */
const MOST_LANES = 4;
/** Files open in one of them before another is asked for. */
const FILES_IN_LANE = 2;

/** See the module's comment. Every method fails with `unreachable` when the connection is or gets lost. */
export class SftpClient {
  readonly abilities: Abilities;
  readonly #client: Client;
  readonly #sftp: Sftp;
  /** The SFTP subsystems of the connection that write files, the first one among them, and how many each has open. */
  readonly #lanes = new Map<Sftp, number>();
  #opening: Promise<void> | undefined;
  #mayOpenMore = true;
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
    this.#addLane(sftp);
  }

  /** Connects. @throws {FilesyncError} As {@linkcode connectSsh} does. */
  static async connect(target: SshTarget): Promise<SftpClient> {
    const { client, sftp } = await connectSsh(target);
    return new SftpClient(client, sftp);
  }

  /** Whether the connection stands, as far as is known. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Ends the connection. */
  close(): void {
    this.#isOpen = false;
    this.#client.end();
  }

  /** Ends the connection without waiting for the server: whoever waits for an answer is told that it is lost. */
  break(): void {
    this.#isOpen = false;
    this.#client.destroy();
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
        const some = await this.#ask<ListedName[]>(
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
   * @param beside A file that has to do with this one: what the server copies must be open in one process of it.
   */
  async open(path: string, flags: "r" | "r+" | "wx+", beside?: RemoteFile): Promise<RemoteFile> {
    const lane = beside?.sftp ?? (flags === "r" ? this.#sftp : await this.#freeLane());
    const count = (change: number) => void this.#lanes.set(lane, this.#lanes.get(lane)! + change);
    count(1);
    try {
      return await this.#openIn(lane, path, flags, () => count(-1));
    } catch (error) {
      count(-1);
      throw error;
    }
  }

  async #openIn(
    lane: Sftp,
    path: string,
    flags: "r" | "r+" | "wx+",
    onClosed: () => void,
  ): Promise<RemoteFile> {
    const handle = await this.#ask<Buffer>(
      `open "${path}"`,
      (done) => lane.open(path, flags, flags === "wx+" ? { mode: 0o600 } : {}, done),
    );
    const ask = <T>(operation: string, ask: Ask<T>) => this.#ask(operation, ask);
    return new RemoteFile({ sftp: lane, handle, path, abilities: this.abilities, ask, onClosed });
  }

  /** Sets attributes of what stands at `path`; of a link itself where the server can. */
  async setAttributes(path: string, change: RemoteChange, isLink = false): Promise<void> {
    const operation = `set mode and time of "${path}"`;
    const attributes = toAttributes(change);
    if (this.abilities.lsetstat) {
      try {
        return await this.#ask(operation, (done) => this.#sftp.ext_openssh_lsetstat(path, attributes, done));
      } catch (error) {
        // A C library of before 2020, and any without /proc, as in a jail, sets no mode without following links.
        const isUnable = error instanceof FilesyncError && ["io", "unsupported"].includes(error.code);
        if (isLink || !isUnable) throw error;
      }
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
    const [moved, there] = await Promise.all([this.lstat(from), this.lstat(to)]);
    // As rename(2) does; and nothing is removed for what is not there.
    if (
      there !== undefined &&
      (moved === undefined || (moved.kind === "directory") !== (there.kind === "directory"))
    ) {
      const [code, reason] = moved === undefined
        ? ["not-found", "it does not exist"] as const
        : ["conflict", `a ${there.kind} stands there`] as const;
      throw new FilesyncError({ code, operation, reason });
    }
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

  /** The lane with the fewest files; another one when all have some, as long as the server gives us more. */
  async #freeLane(): Promise<Sftp> {
    const least = () => [...this.#lanes].sort(([, a], [, b]) => a - b)[0];
    if (least()[1] >= FILES_IN_LANE && this.#lanes.size < MOST_LANES && this.#mayOpenMore) {
      await (this.#opening ??= this.#openLane().finally(() => this.#opening = undefined));
    }
    return least()[0];
  }

  async #openLane(): Promise<void> {
    try {
      this.#addLane(await openSubsystem(this.#client));
    } catch {
      this.#mayOpenMore = false;
    }
  }

  #addLane(sftp: Sftp): void {
    // Who asks next connects anew; without an end to it, this connection would stay for as long as both machines.
    const closed = () => this.close();
    sftp.on("close", closed);
    sftp.on("error", closed);
    this.#lanes.set(sftp, 0);
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
