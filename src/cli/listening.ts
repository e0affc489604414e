/** What commands that listen have in common: the address, the token and the certificate they are given. @module */
import { toFilesyncError } from "../core/errors.ts";
import type { Certificate } from "../server/certificate.ts";
import { followToken, readOrMakeToken } from "../server/token_file.ts";
import type { Context, Invocation } from "./command.ts";
import { DEFAULT_PORT } from "./destination.ts";
import { parseCount } from "./sizes.ts";
import { TOKEN_VARIABLE } from "./token.ts";
import { usageError } from "./usage_error.ts";

/** An address that others can use, too, of a server that listens everywhere. */
export function reachable(url: string): string {
  return url.replace(/\/\/(0\.0\.0\.0|\[::\])(?=:)/, `//${Deno.hostname()}`);
}

/**
 * Understands `--listen`.
 *
 * @param defaultPort The port, when it says none. @default {DEFAULT_PORT}
 * @throws {FilesyncError} `usage`.
 */
export function parseListen(text: string, defaultPort = DEFAULT_PORT): { hostname: string; port: number } {
  const match = /^(?:(\[[0-9a-f:.]+\]|[^:\s]+):)?(\d+)$/i.exec(text) ??
    /^(\[[0-9a-f:.]+\]|[^:\s]+)()$/i.exec(text);
  if (match === null) {
    throw usageError(`listen on "${text}"`, "it is not host:port", "Such as 127.0.0.1:7433 or 0.0.0.0:7433");
  }
  const [, host = "127.0.0.1", port] = match;
  return {
    hostname: host.replace(/^\[|\]$/g, ""),
    port: port === "" ? defaultPort : parseCount(port, "the port of --listen", { min: 0, max: 65_535 }),
  };
}

/**
 * The certificate that the flags name.
 *
 * @throws {FilesyncError} When only one half is given, or cannot be read.
 */
export function readTls(invocation: Invocation): Certificate | undefined {
  const cert = invocation.flag("tls-cert");
  const key = invocation.flag("tls-key");
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw usageError("serve HTTPS", "--tls-cert and --tls-key belong together", "Give both");
  }
  const read = (path: string) => {
    try {
      return Deno.readTextFileSync(path);
    } catch (error) {
      throw toFilesyncError(`read "${path}"`, error);
    }
  };
  return { cert: read(cert), key: read(key) };
}

/**
 * The token that the flags name, and what gives the one that holds later.
 *
 * @param path Where it is kept unless they name another place; it is made there when it is missing.
 */
export function tokenFor(invocation: Invocation, context: Context, path: string) {
  const value = context.environment(TOKEN_VARIABLE);
  const named = invocation.flag("token-file");
  if (value && named === undefined) return { value, isNew: false, now: () => value };
  return { ...readOrMakeToken(named ?? path), now: followToken(named ?? path, context.clock) };
}

/** Resolves when `signal` aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
