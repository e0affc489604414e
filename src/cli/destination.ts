/** What `--to` names: a server, or a directory of this machine. @module */
import { join, resolve } from "@std/path";
import type { Clock } from "../core/clock.ts";
import { PathError } from "../core/errors.ts";
import { parsePath, type TreePath } from "../core/path.ts";
import { HttpReceiver, type HttpReceiverOptions } from "../transport/http_receiver.ts";
import { isPin, type Pin, pinnedFetch } from "../transport/pinned_fetch.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import type { Receiver } from "../transport/receiver.ts";
import { subtreeReceiver } from "../transport/subtree_receiver.ts";
import type { Context, Flag, Invocation } from "./command.ts";
import { parseSftp, sftpName, type SftpPlace } from "./ssh.ts";
import { usageError } from "./usage_error.ts";

/** The port of a server that names none. */
export const DEFAULT_PORT = 7433;

/** Whether a directory of this machine is written without waiting for the disk. */
export const NO_FSYNC_FLAG: Flag = {
  name: "no-fsync",
  description:
    "Do not wait for the disk of a directory, here or on sftp://: faster, but a power cut may lose what was acknowledged",
};

/** Whether a server's tree is shared with others. */
export const INTO_FLAG: Flag = {
  name: "into",
  value: "PATH",
  env: "FILESYNC_INTO",
  description:
    "Put everything into this sub-directory of what the server serves, and leave alone what is beside it",
};

/** Where changes go. */
export type Destination = OwnDestination | SftpPlace;

/** Where another filesync, or this one, takes changes. */
export type OwnDestination =
  | {
    kind: "server";
    url: URL;
    /** The part of the tree that is meant. @default {the whole} */
    into?: TreePath;
  }
  | { kind: "directory"; path: string };

/**
 * Understands `text`: an `http(s)` or `sftp` URL, `host` or `host:port`, or a directory. A name that could be
 * both is a directory when there is one of that name. What an `http(s)` URL has after `#` is a sub-directory.
 *
 * @param into The sub-directory that `--into` names.
 * @throws {FilesyncError} `usage` when it is none of them.
 */
export function parseDestination(text: string, cwd: string, into?: string): Destination {
  const destination = parseAddress(text, cwd);
  if (into === undefined) return destination;
  if (destination.kind === "server") return { ...destination, into: subdirectory(into) };
  if (destination.kind === "sftp") {
    const reason = "--into is for a filesync that serves, and SFTP knows none";
    throw usageError(`push into "${into}"`, reason, "Write the sub-directory at the end of the address");
  }
  throw usageError(
    `push into "${into}"`,
    "--into is for a server, and this is a directory",
    `Name the directory itself: ${join(destination.path, into)}`,
  );
}

function parseAddress(text: string, cwd: string): Destination {
  if (/^https?:\/\//i.test(text)) {
    if (!URL.canParse(text)) throw badDestination(text, "it is not a URL");
    const url = new URL(text);
    if (url.username !== "" || url.password !== "") {
      throw badDestination(
        text.replace(/\/\/.*@/, "//…@"),
        "a URL must not hold a password",
        "Use FILESYNC_TOKEN or --token-file",
      );
    }
    if (url.hash === "") return { kind: "server", url };
    const into = subdirectory(decoded(url.hash.slice(1)));
    url.hash = "";
    return { kind: "server", url, into };
  }
  if (/^sftp:\/\//i.test(text)) return parseSftp(text);
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw badDestination(text, "only http://, https:// and sftp:// are known");
  }
  const path = resolve(cwd, text);
  if (/^[./~\\]|^[a-z]:[\\/]|\/$/i.test(text) || (text !== "" && isDirectory(path))) {
    return { kind: "directory", path };
  }
  const match = /^(\[[0-9a-f:.]+\]|[^\s:/?#@\\]+)(?::(\d{1,5}))?$/i.exec(text);
  if (match === null || !URL.canParse(`http://${match[1]}`)) {
    throw badDestination(text, "it is neither a host nor a directory");
  }
  const [, host, port = DEFAULT_PORT] = match;
  if (Number(port) < 1 || Number(port) > 65_535) throw badDestination(text, "ports go from 1 to 65535");
  return { kind: "server", url: new URL(`http://${host}:${port}`) };
}

/** @throws {FilesyncError} `usage` when it is no path inside a tree. */
function subdirectory(text: string): TreePath {
  try {
    return parsePath(text.replace(/\/+$/, ""));
  } catch (error) {
    if (!(error instanceof PathError)) throw error;
    throw usageError(
      `push into "${text}"`,
      error.reason,
      "Name a directory by its path below what is served",
    );
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The flags of every command that may talk to a server, beside that for the token. */
export const SERVER_FLAGS: readonly Flag[] = [
  {
    name: "tls-pin",
    value: "PIN",
    env: "FILESYNC_TLS_PIN",
    description: "Trust the server's certificate by the pin that `filesync serve --tls` printed: sha256:…",
  },
  {
    name: "allow-plain-http",
    env: "FILESYNC_ALLOW_PLAIN_HTTP",
    description: "Send the token over plain HTTP to another machine",
  },
];

/** What {@linkcode SERVER_FLAGS} say. */
export interface ServerTrust {
  allowPlainHttp: boolean;
  pin?: Pin;
}

/** @throws {FilesyncError} `usage` when the pin is none. */
export function serverTrust(invocation: Invocation): ServerTrust {
  const pin = invocation.flag("tls-pin");
  const allowPlainHttp = invocation.has("allow-plain-http");
  if (pin === undefined) return { allowPlainHttp };
  if (isPin(pin)) return { allowPlainHttp, pin };
  throw usageError(
    `trust the certificate "${pin.slice(0, 100)}"`,
    "it is not sha256: and 64 hexadecimal digits",
    "Copy what `filesync serve --tls` printed after --tls-pin",
  );
}

/** What {@linkcode openDestination} needs. */
export interface DestinationOptions extends ServerTrust {
  clock: Clock;
  /** Whether to wait for the disk of a directory; a server knows for itself. @default {true} */
  fsync?: boolean;
  token?: HttpReceiverOptions["token"];
  client: string;
  version: string;
  signal: AbortSignal;
}

/**
 * Opens a destination.
 *
 * @throws {FilesyncError} `usage` when a token would go over plain HTTP to another machine, or a pin is
 * given for a server without a certificate; for a directory, when it is missing or in use.
 */
export function openDestination(destination: OwnDestination, options: DestinationOptions): Receiver {
  const { token, client, version, signal, clock, fsync, pin } = options;
  if (destination.kind === "directory") return new LocalReceiver(destination.path, { clock, fsync });
  const { url, into } = destination;
  refusePlainHttp(url, token, options.allowPlainHttp);
  const receiver = new HttpReceiver(url, { token, client, version, signal, fetch: fetchFor(url, pin) });
  return into === undefined ? receiver : subtreeReceiver(receiver, into);
}

/** @throws {FilesyncError} `usage` when a token would go over plain HTTP to another machine. */
export function refusePlainHttp(url: URL, token: unknown, allowPlainHttp: boolean): void {
  if (token === undefined || url.protocol !== "http:" || isLoopback(url.hostname) || allowPlainHttp) return;
  throw usageError(
    `send the token to ${url.host}`,
    "plain HTTP would show it to everybody on the way",
    "Use https://, a tunnel or a private network; in the latter two cases add --allow-plain-http",
  );
}

/**
 * How requests are made to a server: with a pin only to the one that it belongs to, and always by HTTP/1.1,
 * because Deno uploads several times as fast by it as by HTTP/2, which it would choose over TLS.
 *
 * @throws {FilesyncError} `usage` when a pin is given for a server without a certificate.
 */
export function fetchFor(
  url: URL,
  pin: Pin | undefined,
): ((request: Request) => Promise<Response>) | undefined {
  if (url.protocol === "https:") {
    if (pin !== undefined) return pinnedFetch(pin);
    const client = Deno.createHttpClient({ http2: false });
    return (request) => fetch(request, { client });
  }
  if (pin === undefined) return undefined;
  throw usageError(
    `trust ${url.host}`,
    "a pin is that of a certificate, and plain HTTP has none",
    `Use https://${url.host}, and start the server with --tls`,
  );
}

/** Whether a host name means this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || hostname === "::1" ||
    /^127(\.\d{1,3}){3}$/.test(hostname);
}

/** How a server is told who pushes. */
export function clientName(source: string, context: Context): string {
  return `${context.environment("USER") ?? ""}@${Deno.hostname()}:${source}`;
}

/** How a destination is shown, and told from others; {@linkcode parseDestination} understands it. */
export function destinationName(destination: Destination): string {
  switch (destination.kind) {
    case "directory":
      return destination.path;
    case "server": {
      const { url, into } = destination;
      return url.href.replace(/\/$/, "") +
        (into === undefined ? "" : `#${into.split("/").map(encodeURIComponent).join("/")}`);
    }
    case "sftp":
      return sftpName(destination);
  }
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function badDestination(
  text: string,
  reason: string,
  hint = /^[^:\s]+\/[^:]*$/.test(text)
    ? `Write ./${text} for a directory of this machine, or https://${text} for a server`
    : "Use host:port, a URL such as https://host, or a directory such as ./copy",
) {
  return usageError(`reach "${text}"`, reason, hint);
}
