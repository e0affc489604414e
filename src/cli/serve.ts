/** `filesync serve`: take changes into a directory. @module */
import { EXIT, type FilesyncError, toFilesyncError } from "../core/errors.ts";
import { STATE_DIRECTORY } from "../core/path.ts";
import type { Clock } from "../core/clock.ts";
import { outcomesOf } from "../server/activity.ts";
import { createApp } from "../server/app.ts";
import type { TokenSource } from "../server/gate.ts";
import { readOrMakeCertificate } from "../server/certificate.ts";
import { listen } from "../server/listen.ts";
import { followToken, readOrMakeToken } from "../server/token_file.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import { pinOf } from "../transport/pinned_fetch.ts";
import { type CommandBody, type Context, type Invocation, LOG_FLAGS } from "./command.ts";
import { DEFAULT_PORT, isLoopback, NO_FSYNC_FLAG } from "./destination.ts";
import { freeBytes } from "./doctor_check.ts";
import { aborted, parseListen, reachable, readTls, tokenFor } from "./listening.ts";
import { openPrinter } from "./printer.ts";
import { onReload } from "./reload.ts";
import type { Printer } from "./report.ts";
import { givenRetention, RETENTION_FLAGS } from "./retention_flags.ts";
import { TOKEN_VARIABLE } from "./token.ts";

export const serveCommand: CommandBody = {
  description:
    "Serves <dir> to `filesync watch`. A file in <dir> is always the old one or the new one, whole; what was acknowledged survives a power cut, unless --no-fsync says otherwise. The directory may be used and changed by others: at every start its files are compared with the index kept in <dir>/.filesync.\n\n" +
    "With --keep, whatever a change replaces or removes is kept in <dir>/.filesync/versions first. What others do in the directory themselves is not.\n\n" +
    "At the first start a token is made and printed with the command to paste on the other machine. From this machine itself no token is needed, as long as the server listens on the loopback address only.",
  arguments: [{ name: "dir", description: "The directory to serve" }],
  flags: [
    {
      name: "listen",
      short: "l",
      value: "ADDRESS",
      env: "FILESYNC_LISTEN",
      default: `127.0.0.1:${DEFAULT_PORT}`,
      description: "Listen on host:port; 0.0.0.0 takes every network, port 0 any free port",
    },
    {
      name: "token-file",
      value: "FILE",
      env: "FILESYNC_TOKEN_FILE",
      description:
        `Keep the token in FILE, not in <dir>/.filesync/token; ${TOKEN_VARIABLE} can hold the token itself`,
    },
    {
      name: "read-token-file",
      value: "FILE",
      env: "FILESYNC_READ_TOKEN_FILE",
      description: "Also let in who has the token in FILE, for reading only; it is made when it is missing",
    },
    {
      name: "read-only",
      env: "FILESYNC_READ_ONLY",
      description: "Let nobody change anything, whatever token they have",
    },
    {
      name: "tls",
      env: "FILESYNC_TLS",
      description:
        "Serve HTTPS; without --tls-cert with a certificate made here, which clients trust by its pin",
    },
    {
      name: "tls-cert",
      value: "FILE",
      env: "FILESYNC_TLS_CERT",
      description: "Serve HTTPS with the certificate chain in FILE (PEM)",
    },
    {
      name: "tls-key",
      value: "FILE",
      env: "FILESYNC_TLS_KEY",
      description: "The private key of the certificate (PEM)",
    },
    {
      name: "dashboard",
      negatable: true,
      default: "true",
      env: "FILESYNC_DASHBOARD",
      description: "Show what arrives, who pushes, the history and versions to browsers, at /",
    },
    ...RETENTION_FLAGS,
    { ...NO_FSYNC_FLAG, env: "FILESYNC_NO_FSYNC" },
    ...LOG_FLAGS,
  ],
  examples: [
    { command: "filesync serve /srv/photos", does: "Take changes from this machine only" },
    { command: "filesync serve /srv/photos --listen 0.0.0.0:7433", does: "Take changes from every network" },
    {
      command: "filesync serve /srv/photos --tls -l 0.0.0.0:7433",
      does: "The same over HTTPS, with a certificate of its own",
    },
    {
      command: "filesync serve /srv/photos --keep staggered --keep-for 30d",
      does: "Keep what is replaced or removed, for filesync versions and filesync restore",
    },
    { command: "filesync serve . --tls-cert cert.pem --tls-key key.pem -l 0.0.0.0:443", does: "Over HTTPS" },
  ],
  run: serve,
};

async function serve(invocation: Invocation, context: Context): Promise<number> {
  const { clock, version, signal } = context;
  const { hostname, port } = parseListen(invocation.flag("listen")!);
  const givenTls = readTls(invocation);
  using printer = openPrinter(invocation, context);
  const warn = (error: unknown, verb: string) => {
    const { message, hint } = toFilesyncError(verb, error);
    printer.report({ type: "notice", level: "warning", message, hint });
  };
  const retention = givenRetention(invocation);
  await using receiver = new LocalReceiver(invocation.arguments[0], {
    clock,
    fsync: !invocation.has("no-fsync"),
    keep: retention && { retention, onProblem: (error) => warn(error, "keep versions") },
  });
  const directory = receiver.root.path;
  const hasDashboard = invocation.settings.get("dashboard")?.values[0] !== "false";
  const state = `${directory}/${STATE_DIRECTORY}`;
  let tls = givenTls ??
    (invocation.has("tls") ? await readOrMakeCertificate(state, namesOf(hostname), clock) : undefined);
  const tokenPath = `${state}/token`;
  let token = tokenFor(invocation, context, tokenPath);
  const app = createApp(receiver, {
    clock,
    version,
    place: directory,
    guard: {
      token: () => token.now(),
      readToken: readTokenFor(invocation, clock),
      readOnly: invocation.has("read-only"),
      open: isLoopback(hostname),
    },
    dashboard: hasDashboard ? { name: directory, tree: receiver } : undefined,
    gauges() {
      const { entries, bytes } = receiver.index.count();
      return [
        ["filesync_index_entries", "Entries of the tree that are known.", entries],
        ["filesync_index_bytes", "Size of the files that are known.", bytes],
        ["filesync_free_bytes", "Space left for the tree.", freeBytes(directory)],
        ["filesync_sequence", "Changes of the tree so far.", receiver.index.sequence],
      ];
    },
    onBatch(batch, result, session) {
      for (const outcome of outcomesOf(batch, result, clock.now())) {
        printer.report(
          "problem" in outcome
            ? { type: "problem", ...outcome }
            : { type: "received", ...outcome, client: session?.client },
        );
      }
    },
    onFailure: (error) => warn(error, "answer a request"),
  });
  const options = {
    hostname,
    clock,
    onTrouble: ({ message, hint }: FilesyncError) =>
      printer.report({ type: "notice", level: "warning", message, hint }),
  };
  let listener = listen(app, { ...options, port, tls });
  const pin = tls && pinOf(tls.cert);
  const usedPort = Number(new URL(listener.url).port) || port;
  const listening = {
    type: "listening",
    url: listener.url,
    directory,
    ...(hasDashboard ? { dashboard: `${reachable(listener.url)}/` } : {}),
    ...(pin === undefined ? {} : { pin }),
    ...(token.isNew
      ? {
        token: token.value,
        watchCommand: watchCommandFor(listener.url, hostname, token.value, givenTls ? undefined : pin),
      }
      : {}),
  } as const;
  using _reload = onReload(context, printer, async () => {
    token = tokenFor(invocation, context, tokenPath);
    const changed = readTls(invocation);
    if (changed === undefined || (changed.cert === tls?.cert && changed.key === tls.key)) return;
    // A certificate that cannot be used must be found out while there still is a server.
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...changed }).close();
    await listener.close();
    tls = changed;
    listener = listen(app, { ...options, port: usedPort, tls });
  });
  try {
    printer.report(listening);
    await untilReady(receiver, printer, signal);
    await aborted(signal);
  } finally {
    await listener.close();
  }
  return EXIT.interrupted;
}

/** Tells what the first look at the tree found. */
async function untilReady(receiver: LocalReceiver, printer: Printer, signal: AbortSignal): Promise<void> {
  try {
    const { problems } = await receiver.ready;
    for (const problem of problems) printer.report({ type: "problem", problem });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function readTokenFor(invocation: Invocation, clock: Clock): TokenSource | undefined {
  const path = invocation.flag("read-token-file");
  if (path === undefined) return undefined;
  readOrMakeToken(path);
  return followToken(path, clock);
}

/** By what this machine may be reached from outside, when it listens on `hostname`. */
function namesOf(hostname: string): string[] {
  const addresses = Deno.networkInterfaces()
    .map(({ address }) => address.split("%")[0])
    .filter((address) => !/^fe80:/i.test(address));
  return [...new Set(["localhost", Deno.hostname(), ...addresses, hostname])]
    .filter((name) => name !== "0.0.0.0" && name !== "::" && name !== "");
}

/** What to type on the other machine. */
function watchCommandFor(url: string, hostname: string, token: string, pin: string | undefined): string {
  const address = reachable(url);
  const plain = address.startsWith("http:") && !isLoopback(hostname) ? " --allow-plain-http" : "";
  const trust = pin === undefined ? "" : ` --tls-pin ${pin}`;
  return `FILESYNC_TOKEN=${token} filesync watch <dir> --to ${address}${plain}${trust}`;
}
