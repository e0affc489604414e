/** What `--to` names: a server, or a directory of this machine. @module */
import { resolve } from "@std/path";
import type { Clock } from "../core/clock.ts";
import { HttpReceiver, type HttpReceiverOptions } from "../transport/http_receiver.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import type { Receiver } from "../transport/receiver.ts";
import type { Context, Flag } from "./command.ts";
import { usageError } from "./usage_error.ts";

/** The port of a server that names none. */
export const DEFAULT_PORT = 7433;

/** Whether a directory of this machine is written without waiting for the disk. */
export const NO_FSYNC_FLAG: Flag = {
  name: "no-fsync",
  description:
    "Do not wait for the disk of a directory: faster, but a power cut may lose what was acknowledged",
};

/** Where changes go. */
export type Destination = { kind: "server"; url: URL } | { kind: "directory"; path: string };

/**
 * Understands `text`: an `http(s)` URL, `host` or `host:port`, or a directory. A name that could be
 * both is a directory when there is one of that name.
 *
 * @throws {FilesyncError} `usage` when it is none of them.
 */
export function parseDestination(text: string, cwd: string): Destination {
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
    return { kind: "server", url };
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw badDestination(text, "only http:// and https:// are known");
  }
  const path = resolve(cwd, text);
  if (/^[./~\\]|^[a-z]:[\\/]|\/$/i.test(text) || isDirectory(path)) return { kind: "directory", path };
  const match = /^(\[[0-9a-f:.]+\]|[^\s:/?#@\\]+)(?::(\d{1,5}))?$/i.exec(text);
  if (match === null || !URL.canParse(`http://${match[1]}`)) {
    throw badDestination(text, "it is neither a host nor a directory");
  }
  const [, host, port = DEFAULT_PORT] = match;
  if (Number(port) < 1 || Number(port) > 65_535) throw badDestination(text, "ports go from 1 to 65535");
  return { kind: "server", url: new URL(`http://${host}:${port}`) };
}

/** What {@linkcode openDestination} needs. */
export interface DestinationOptions {
  clock: Clock;
  /** Whether to wait for the disk of a directory; a server knows for itself. @default {true} */
  fsync?: boolean;
  token?: HttpReceiverOptions["token"];
  allowPlainHttp: boolean;
  client: string;
  version: string;
  signal: AbortSignal;
}

/**
 * Opens a destination.
 *
 * @throws {FilesyncError} `usage` when a token would go over plain HTTP to another machine; for a
 * directory, when it is missing or in use.
 */
export function openDestination(destination: Destination, options: DestinationOptions): Receiver {
  const { token, client, version, signal, clock, fsync } = options;
  if (destination.kind === "directory") return new LocalReceiver(destination.path, { clock, fsync });
  const { url } = destination;
  if (
    token !== undefined && url.protocol === "http:" && !isLoopback(url.hostname) && !options.allowPlainHttp
  ) {
    throw usageError(
      `send the token to ${url.host}`,
      "plain HTTP would show it to everybody on the way",
      "Use https://, a tunnel or a private network; in the latter two cases add --allow-plain-http",
    );
  }
  return new HttpReceiver(url, { token, client, version, signal });
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

/** How a destination is shown, and told from others. */
export function destinationName(destination: Destination): string {
  return destination.kind === "directory" ? destination.path : destination.url.href.replace(/\/$/, "");
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
  hint = "Use host:port, a URL such as https://host, or a directory such as ./copy",
) {
  return usageError(`push to "${text}"`, reason, hint);
}
