/** Directories on SFTP servers: how they are named, and what is needed to log in there. @module */
import { dirname, join } from "@std/path";
import { osCode, toFilesyncError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { Credential, SshTarget } from "../sftp/ssh_connection.ts";
import type { SftpReceiver } from "../sftp/sftp_receiver.ts";
import { hostConfig, identityPath } from "../sftp/ssh_config.ts";
import type { Context, Flag, Invocation } from "./command.ts";
import { absolute } from "./places.ts";
import { usageError } from "./usage_error.ts";

/** A directory on an SFTP server. */
export interface SftpPlace {
  kind: "sftp";
  host: string;
  /** When it is said. */
  port?: number;
  /** Who logs in, when it is said. */
  user?: string;
  /** Absolute, or in the home directory there when it begins with `~/`. */
  path: string;
}

/** Holds the password for servers that take no keys. */
const PASSWORD_VARIABLE = "FILESYNC_SSH_PASSWORD";
/** Holds the passphrase of keys. */
const PASSPHRASE_VARIABLE = "FILESYNC_SSH_PASSPHRASE";

const DEFAULT_PORT = 22;

/** The keys that are tried when none is named, and there is no agent, or it has none that fits. */
const KEY_NAMES = ["id_ed25519", "id_ecdsa", "id_rsa"];

/** The flags of every command that may connect to an SFTP server. */
export const SSH_FLAGS: readonly Flag[] = [
  {
    name: "ssh-key",
    value: "FILE",
    env: "FILESYNC_SSH_KEY",
    description:
      `Log in to sftp:// with this key, not with those of ~/.ssh/config, ssh-agent and ~/.ssh; ${PASSPHRASE_VARIABLE} holds a passphrase, ${PASSWORD_VARIABLE} a password`,
  },
  {
    name: "ssh-known-hosts",
    value: "FILE",
    env: "FILESYNC_SSH_KNOWN_HOSTS",
    description: "Know sftp:// servers by FILE, not by ~/.ssh/known_hosts",
  },
  {
    name: "ssh-accept-new",
    env: "FILESYNC_SSH_ACCEPT_NEW",
    description: "Trust an sftp:// server that is met for the first time, and remember its key",
  },
];

/**
 * Understands `sftp://user@host:port/path`; `/~/` begins in the home directory.
 *
 * @throws {FilesyncError} `usage`.
 */
export function parseSftp(text: string): SftpPlace {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const refuse = (reason: string, hint: string) =>
    usageError(`reach "${text.replace(/\/\/.*@/, "//…@")}"`, reason, hint);
  const example = "Write sftp://user@host/path, or sftp://user@host/~/path for one in the home directory";
  if (url === undefined || url.hostname === "") throw refuse("it is not a URL", example);
  if (url.password !== "") {
    throw refuse("a URL must not hold a password", `Use a key, or set ${PASSWORD_VARIABLE}`);
  }
  if (url.search !== "" || url.hash !== "") {
    throw refuse("it has a ? or a #", "Write %3F and %23 for those in names");
  }
  const path = decodeURIComponent(url.pathname).replace(/^\/~(?=\/|$)/, "~").replace(/(.)\/+$/, "$1");
  if (path === "" || path === "/" || path === "~") throw refuse("it names no directory", example);
  return {
    kind: "sftp",
    host: url.hostname.toLowerCase().replace(/^\[|\]$/g, ""),
    ...(url.port === "" ? {} : { port: Number(url.port) }),
    ...(url.username === "" ? {} : { user: decodeURIComponent(url.username) }),
    path,
  };
}

/** How a place is shown, and told from others. */
export function sftpName({ user, host, port, path }: SftpPlace): string {
  const name = host.includes(":") ? `[${host}]` : host;
  const who = user === undefined ? "" : `${encodeURIComponent(user)}@`;
  const names = path.split("/").map((segment) => segment === "~" ? segment : encodeURIComponent(segment));
  const slash = path.startsWith("/") ? "" : "/";
  return `sftp://${who}${name}${port === undefined || port === DEFAULT_PORT ? "" : `:${port}`}${slash}${
    names.join("/")
  }`;
}

/**
 * How to log in at a place: by its URL and {@linkcode SSH_FLAGS}, then the user's `~/.ssh/config`, then the environment
 * and `~/.ssh`.
 */
export function sshTarget(place: SftpPlace, invocation: Invocation, context: Context): SshTarget {
  const { environment } = context;
  const home = environment("HOME");
  const own = home === undefined ? undefined : join(home, ".ssh");
  const config = own === undefined ? {} : hostConfig(readOr(join(own, "config"), ""), place.host);
  const localUser = environment("USER") ?? environment("LOGNAME") ?? "root";
  const host = config.hostName ?? place.host;
  const port = place.port ?? config.port ?? DEFAULT_PORT;
  const user = place.user ?? config.user ?? localUser;
  const tokens = { h: host, n: place.host, p: String(port), r: user, u: localUser };
  const keys = config.identityFiles?.map((file) => identityPath(file, home!, tokens));
  const given = invocation.flag("ssh-known-hosts");
  const files = given !== undefined
    ? [absolute(given)]
    : [...own === undefined ? [] : [join(own, "known_hosts")], "/etc/ssh/ssh_known_hosts"];
  return {
    ...{ host, port, user },
    credentials: () => credentials(invocation, context, { own, keys }),
    knownHosts: () => files.map((file) => readOr(file, "")).join("\n"),
    acceptNew: invocation.has("ssh-accept-new"),
    remember: (line) => append(files[0], line),
  };
}

/** Opens the receiver that is a place; its code is loaded only then. */
export async function openSftp(
  place: SftpPlace,
  { state, ...options }: { target: SshTarget; state: string; clock: Clock; fsync?: boolean },
): Promise<SftpReceiver> {
  const { SftpReceiver } = await import("../sftp/sftp_receiver.ts");
  return new SftpReceiver({ ...options, path: place.path, state: join(state, "sftp") });
}

function credentials(
  invocation: Invocation,
  { environment }: Context,
  { own, keys }: { own: string | undefined; /** Those that the file of settings names. */ keys?: string[] },
): Credential[] {
  const passphrase = environment(PASSPHRASE_VARIABLE) || undefined;
  const given = invocation.flag("ssh-key");
  const password = environment(PASSWORD_VARIABLE);
  const key = (path: string, text: string): Credential => ({ kind: "key", name: path, text, passphrase });
  const all: Credential[] = [];
  if (given !== undefined) all.push(key(given, readKey(absolute(given))));
  else {
    const keysIn = (files: readonly string[]) =>
      files.flatMap((file) => {
        const text = readOr(absolute(file), "");
        return text === "" ? [] : [key(file, text)];
      });
    // Servers look at a few keys only: the one that is meant comes first.
    all.push(...keysIn(keys ?? []));
    const socket = environment("SSH_AUTH_SOCK");
    if (socket) all.push({ kind: "agent", socket });
    if (keys === undefined && own !== undefined) {
      all.push(...keysIn(KEY_NAMES.map((name) => join(own, name))));
    }
  }
  if (password) all.push({ kind: "password", password });
  return all;
}

function readKey(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    throw toFilesyncError(`read the key in "${path}"`, error);
  }
}

function readOr(path: string, other: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    // What nobody may read nobody may trust: it is as if it were not there.
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(osCode(error) ?? "")) return other;
    throw toFilesyncError(`read "${path}"`, error);
  }
}

function append(path: string, line: string): void {
  try {
    Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const before = readOr(path, "");
    const gap = before === "" || before.endsWith("\n") ? "" : "\n";
    Deno.writeTextFileSync(path, gap + line, { append: true, mode: 0o600 });
  } catch (error) {
    throw toFilesyncError(`remember a host in "${path}"`, error);
  }
}
