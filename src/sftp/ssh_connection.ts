/**
 * Logs in at an SSH server and opens its SFTP subsystem. The library is loaded when the first connection is made.
 *
 * @module
 */
// @ts-types="../../types/ssh2.d.ts"
import type { AuthMethod, Client, Sftp, Utils } from "ssh2";
import { FilesyncError } from "../core/errors.ts";
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
  /** How long its SFTP may take to answer once we are let in, milliseconds. @default {20_000} */
  patience?: number;
}

/** How long connecting may take, milliseconds. */
const READY_MS = 20_000;
/** A server that answers to none of so many questions, so many milliseconds apart, is gone. */
const ALIVE = { keepaliveInterval: 15_000, keepaliveCountMax: 3 };

/**
 * Connects.
 *
 * @throws {FilesyncError} `unauthorized` (permanent) when the host is not the one that is known, or does not let us
 * in; `unreachable` when it does not answer.
 */
export async function connectSsh(target: SshTarget): Promise<{ client: Client; sftp: Sftp }> {
  const { default: ssh2 } = await import("ssh2");
  const { host, port, user } = target;
  const known = knownKeys(target.knownHosts(), host, port);
  const credentials = target.credentials();
  const methods = credentials.flatMap((credential) => methodsOf(user, credential, ssh2.utils));
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
      const serverHostKey = algorithmsFor(known.filter(({ revoked }) => !revoked).map(({ type }) => type));
      client.connect({
        ...{ host, port, username: user, authHandler: methods },
        ...{ readyTimeout: READY_MS, ...ALIVE },
        hostVerifier(key) {
          verdict = judgeKey(known, key);
          if (verdict === "unknown" && target.acceptNew) accepted = knownHostsLine(host, port, key);
          return verdict === "known" || (verdict === "unknown" && target.acceptNew);
        },
        ...(serverHostKey.length === 0 ? {} : { algorithms: { serverHostKey } }),
      });
    });
    const sftp = await openSubsystem(client, target.patience);
    client.setNoDelay(true);
    if (accepted !== undefined) target.remember(accepted);
    return { client, sftp };
  } catch (error) {
    client.on("error", () => {}).destroy();
    throw connectFailure(target, error as Error & { level?: string }, verdict, credentials);
  }
}

/** Opens the SFTP subsystem of a connection, once more perhaps. What a server runs in its place may never say a word. */
export async function openSubsystem(client: Client, patience: number = READY_MS): Promise<Sftp> {
  const { promise, resolve, reject } = Promise.withResolvers<Sftp>();
  const closed = () => reject(new Error("the connection was closed"));
  const late = setTimeout(() => reject(new Error("it lets us in, but its SFTP does not answer")), patience);
  client.on("close", closed);
  client.sftp((error, sftp) => error ? reject(error) : resolve(sftp));
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    client.off("close", closed);
  }
}

function connectFailure(
  target: SshTarget,
  error: Error & { level?: string },
  verdict: HostVerdict,
  credentials: readonly Credential[],
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
  if (/too many authentication failures/i.test(error.message)) {
    const reason = "it had seen as many keys as it looks at before the right one";
    return refused(target, reason, error, "Name the right key with --ssh-key");
  }
  if (error.level === "client-authentication") {
    const isPassword = credentials.map(({ kind }) => kind === "password");
    const reason = isPassword.every(Boolean)
      ? "it does not accept the password"
      : `it accepts none of our keys${isPassword.includes(true) ? ", nor the password" : ""}`;
    return refused(target, reason, error);
  }
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
    case "password": {
      const { password } = credential;
      return [{ type: "password", username, password }, askedFor(username, password)];
    }
    case "key": {
      const { text: key, passphrase } = credential;
      if (utils.parseKey(key, passphrase) instanceof Error) return [];
      return [{ type: "publickey", username, key, passphrase }];
    }
  }
}

/** Many servers ask for a password as one of any questions (RFC 4256). It is the answer to one that hides it, and once. */
function askedFor(username: string, password: string): AuthMethod {
  let isGiven = false;
  return {
    type: "keyboard-interactive",
    username,
    prompt(_name, _instructions, _language, questions, finish) {
      const isAsked = !isGiven && questions.length === 1 && questions[0].echo !== true;
      isGiven ||= isAsked;
      finish(isAsked ? [password] : questions.map(() => ""));
    },
  };
}

function refused(
  { host, user }: SshTarget,
  reason: string,
  cause?: unknown,
  hint =
    "Start ssh-agent, or name a key with --ssh-key; a passphrase goes into FILESYNC_SSH_PASSPHRASE, a password into FILESYNC_SSH_PASSWORD",
): FilesyncError {
  return new FilesyncError({
    code: "unauthorized",
    operation: `log in to ${host} as ${user}`,
    reason,
    hint,
    permanent: true,
    cause,
  });
}
