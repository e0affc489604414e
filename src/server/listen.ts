/** A server on a socket, from the first request to an orderly end. @module */
import type { Hono } from "hono";
import { type Clock, steadyClock } from "../core/clock.ts";
import { FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";
import { ConnectionGuard, type ConnectionGuardOptions, systemConnections } from "./connections.ts";
import { problemResponse } from "./problem_document.ts";
import { nameAnswer } from "./repeat_request_name.ts";

/** Settings of {@linkcode listen}. */
export interface ListenOptions {
  hostname: string;
  /** 0 takes any free port. */
  port: number;
  clock: Clock;
  /** Certificate chain and private key in PEM, for HTTPS. */
  tls?: { cert: string; key: string };
  /** How long connections may be held for nothing, and how many there may be. */
  connections?: ConnectionGuardOptions;
  /** Told when the server had to be started again, and why. */
  onTrouble?: (error: FilesyncError) => void;
}

/** A server that answers. */
export interface Listener {
  /** Where it listens, such as `http://127.0.0.1:7433`. */
  url: string;
  /** Lets requests under way finish, refuses new ones, then closes the socket. Called again, it waits for the same. */
  close(): Promise<void>;
}

/** Longest time that requests under way are waited for, milliseconds. */
const DRAIN_MS = 10_000;

/** Longest time that answers may still be read after it, and that the server may take to end, milliseconds. */
const LINGER_MS = 500;

/** Time between two looks at the connections, milliseconds. */
const SWEEP_MS = 2_000;

/** Time until a server that broke down is started again, milliseconds. */
const RESTART_MS = 500;

/**
 * Serves `app`, which finds the client's address as `remoteAddress` in its environment.
 *
 * @throws {FilesyncError} When the port is in use or may not be taken, or the host is not of this machine.
 */
export function listen(
  app: Hono,
  { hostname, port, clock, tls, connections, onTrouble }: ListenOptions,
): Listener {
  let draining = false;
  let underWay = 0;
  let unsent = 0;
  const system = systemConnections();
  const guard = system && new ConnectionGuard(clock, system, connections);
  // Shutting the server down would break bodies that are still arriving, so new requests are turned away first.
  const handler = async (
    request: Request,
    { completed, remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Promise<Response> => {
    if (draining) return turnedAway(request, stopping());
    if (!URL.canParse(request.url)) return turnedAway(request, misaddressed());
    underWay++;
    unsent++;
    const answered = guard?.begin(remoteAddr.hostname, remoteAddr.port);
    completed.catch(() => {}).then(() => {
      unsent--;
      answered?.();
    });
    try {
      return await app.fetch(request, { remoteAddress: remoteAddr.hostname });
    } finally {
      underWay--;
    }
  };
  const cut = new AbortController();
  const start = (port: number) => {
    try {
      return Deno.serve({ hostname, port, ...tls, signal: cut.signal, onListen() {} }, handler);
    } catch (error) {
      throw listenError(shownHost(hostname), port, tls !== undefined, error);
    }
  };
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = start(port);
  } catch (error) {
    system?.[Symbol.dispose]();
    throw error;
  }
  const { port: actual } = server.addr;
  const host = shownHost(hostname);

  const ended = new AbortController();
  /** Keeps the server going: it breaks down when no file can be opened any more. */
  const finished = (async function keepUp() {
    for (;;) {
      try {
        return await server.finished;
      } catch (error) {
        if (draining) return;
        onTrouble?.(breakdown(host, actual, error));
        server = await restarted();
      }
    }
  })();
  async function restarted(): Promise<Deno.HttpServer<Deno.NetAddr>> {
    for (;;) {
      await clock.sleep(RESTART_MS, ended.signal);
      guard?.sweep(actual, 0);
      try {
        return start(actual);
      } catch {
        // The next try may find room.
      }
    }
  }
  const swept = (async function sweep() {
    while (guard !== undefined) {
      await clock.sleep(SWEEP_MS, ended.signal);
      guard.sweep(actual);
    }
  })();
  for (const background of [finished, swept]) background.catch(() => {});
  async function isOverSoon(): Promise<boolean> {
    const over = new AbortController();
    const late = clock.sleep(LINGER_MS, over.signal).then(() => false, () => true);
    const ended = finished.then(() => true, () => true);
    return await Promise.race([ended, late]).finally(() => over.abort());
  }
  let closing: Promise<void> | undefined;
  async function end(): Promise<void> {
    draining = true;
    ended.abort();
    const steady = steadyClock(clock);
    const start = steady.now();
    while (underWay > 0 && steady.now() < start + DRAIN_MS) await clock.sleep(20);
    const drained = steady.now();
    while (unsent > 0 && steady.now() < drained + LINGER_MS) await clock.sleep(20);
    // A graceful shutdown waits for what is under way, however long, and cannot be cut any more.
    if (unsent > 0) cut.abort();
    else server.shutdown().catch(() => {});
    // It waits as long for a body that was refused, and still comes: its connection is ended.
    if (!await isOverSoon()) {
      guard?.sweep(actual, 0);
      await isOverSoon();
    }
    system?.[Symbol.dispose]();
  }
  return {
    url: `${tls === undefined ? "http" : "https"}://${host}:${actual}`,
    close: () => closing ??= end(),
  };
}

function turnedAway(request: Request, error: FilesyncError): Response {
  const response = problemResponse(error);
  nameAnswer(response, request);
  return response;
}

function stopping(): FilesyncError {
  return new FilesyncError({
    code: "indexing",
    operation: "answer the request",
    reason: "the server is being stopped",
    hint: "It will be tried again",
    retryAfter: 1_000,
  });
}

/** Deno makes the address of a request from whatever its `Host` says. */
function misaddressed(): FilesyncError {
  return new FilesyncError({
    code: "bad-request",
    operation: "answer the request",
    reason: "its Host and path make no address",
    permanent: true,
  });
}

function breakdown(host: string, port: number, error: unknown): FilesyncError {
  const { message } = toFilesyncError("", error);
  const isFull = /too many open files/i.test(message);
  return new FilesyncError({
    code: "io",
    operation: `take connections on ${host}:${port}`,
    reason: isFull ? "too many files and connections are open" : message,
    hint: isFull
      ? "It goes on as soon as it can; raise the limit with ulimit -n, or keep strangers off the port"
      : "It goes on as soon as it can",
    cause: error,
  });
}

/** A host as it stands before a port. */
function shownHost(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

function listenError(host: string, port: number, isSecure: boolean, error: unknown): FilesyncError {
  const operation = `listen on ${host}:${port}`;
  const code = osCode(error);
  const { message } = toFilesyncError("", error);
  if (error instanceof Deno.errors.AddrInUse || code === "EADDRINUSE") {
    return new FilesyncError({
      code: "locked",
      operation,
      reason: "the port is in use",
      hint: `Stop what uses it, or take another one: --listen ${host}:${
        port === 65_535 ? port - 1 : port + 1
      }`,
      permanent: true,
      cause: error,
    });
  }
  const isUnknown = /lookup address/i.test(message);
  if (isUnknown || error instanceof Deno.errors.AddrNotAvailable) {
    return new FilesyncError({
      code: "usage",
      operation,
      reason: isUnknown ? "the host name is not known" : "this machine does not have that address",
      hint: "Use 127.0.0.1 for this machine only, or 0.0.0.0 for every network",
      permanent: true,
      cause: error,
    });
  }
  // Of Deno's faults only those of the system have a code.
  if (isSecure && code === undefined) {
    return new FilesyncError({
      code: "usage",
      operation,
      reason: `the certificate or its key cannot be used (${message})`,
      hint: "Give the certificate chain and the private key that belongs to it, both as PEM",
      permanent: true,
      cause: error,
    });
  }
  return toFilesyncError(operation, error);
}
