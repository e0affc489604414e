/** What filesync uses of ssh2. @module */
import type { Buffer } from "node:buffer";

export interface Attributes {
  mode?: number;
  size?: number;
  mtime?: number;
  atime?: number;
}

export interface SftpError extends Error {
  /** A status of the protocol; absent when the connection broke. */
  code?: number;
}

type Done = (error?: SftpError | null) => void;
type Got<T> = (error: SftpError | undefined, value: T) => void;

export interface ListedName {
  filename: string;
  attrs: Attributes;
}

export interface Sftp {
  on(event: "close" | "end" | "error", listener: (error?: Error) => void): this;
  end(): void;
  lstat(path: string, done: Got<Attributes>): void;
  realpath(path: string, done: Got<string>): void;
  readlink(path: string, done: Got<string>): void;
  opendir(path: string, done: Got<Buffer>): void;
  readdir(handle: Buffer, done: Got<ListedName[]>): void;
  open(path: string, flags: string, attributes: Attributes, done: Got<Buffer>): void;
  close(handle: Buffer, done: Done): void;
  read(handle: Buffer, into: Buffer, offset: number, length: number, at: number, done: Got<number>): void;
  write(handle: Buffer, from: Buffer, offset: number, length: number, at: number, done: Done): void;
  fstat(handle: Buffer, done: Got<Attributes>): void;
  fsetstat(handle: Buffer, attributes: Attributes, done: Done): void;
  setstat(path: string, attributes: Attributes, done: Done): void;
  mkdir(path: string, attributes: Attributes, done: Done): void;
  rmdir(path: string, done: Done): void;
  unlink(path: string, done: Done): void;
  rename(from: string, to: string, done: Done): void;
  symlink(target: string, path: string, done: Done): void;
  ext_openssh_rename(from: string, to: string, done: Done): void;
  ext_openssh_fsync(handle: Buffer, done: Done): void;
  ext_openssh_lsetstat(path: string, attributes: Attributes, done: Done): void;
  ext_openssh_statvfs(path: string, done: Got<{ f_bavail: number; f_frsize: number }>): void;
  ext_copy_data(
    from: Buffer,
    offset: number,
    length: number,
    to: Buffer,
    at: number,
    done: Done,
  ): void;
  /** By name, the extensions of the server. */
  _extensions: Record<string, string>;
  /** Most bytes of one request. */
  _maxReadLen?: number;
  _maxWriteLen?: number;
}

export type AuthMethod =
  | { type: "agent"; username: string; agent: string }
  | { type: "publickey"; username: string; key: string; passphrase?: string }
  | { type: "password"; username: string; password: string }
  | {
    type: "keyboard-interactive";
    username: string;
    prompt(
      name: string,
      instructions: string,
      language: string,
      questions: { prompt: string; echo?: boolean }[],
      finish: (answers: string[]) => void,
    ): void;
  };

export interface ConnectOptions {
  host: string;
  port: number;
  username: string;
  authHandler: AuthMethod[];
  hostVerifier(key: Buffer): boolean;
  algorithms?: { serverHostKey?: string[] };
  readyTimeout?: number;
  keepaliveInterval?: number;
  keepaliveCountMax?: number;
}

export class Client {
  on(event: "ready" | "close" | "end", listener: () => void): this;
  on(event: "error", listener: (error: Error & { level?: string; code?: string }) => void): this;
  off(event: "close", listener: () => void): this;
  connect(options: ConnectOptions): this;
  sftp(done: Got<Sftp>): this;
  setNoDelay(on: boolean): this;
  end(): this;
  destroy(): this;
}

export interface Utils {
  parseKey(data: string, passphrase?: string): { type: string } | { type: string }[] | Error;
}

declare const ssh2: { Client: typeof Client; utils: Utils };
export default ssh2;
