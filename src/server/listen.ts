/** A server on a socket, from the first request to an orderly end. @module */
import type { Hono } from "hono";
import type { Clock } from "../core/clock.ts";
import { FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";
import { problemResponse } from "./problem_document.ts";

/** Settings of {@linkcode listen}. */
export interface ListenOptions {
  hostname: string;
  /** 0 takes any free port. */
  port: number;
  clock: Clock;
  /** Certificate chain and private key in PEM, for HTTPS. */
  tls?: { cert: string; key: string };
}

/** A server that answers. */
export interface Listener {
  /** Where it listens, such as `http://127.0.0.1:7433`. */
  url: string;
  /** Lets requests under way finish, refuses new ones, then closes the socket. */
  close(): Promise<void>;
}

/** Longest time that requests under way are waited for, milliseconds. */
const DRAIN_MS = 10_000;

/** Longest time that answers may still be read after it, milliseconds. */
const LINGER_MS = 500;

/**
 * Serves `app`.
 *
 * @throws {FilesyncError} When the port is in use or may not be taken, or the host is not of this machine.
 */
export function listen(app: Hono, { hostname, port, clock, tls }: ListenOptions): Listener {
  let draining = false;
  let underWay = 0;
  let unsent = 0;
  // Shutting the server down would break bodies that are still arriving, so new requests are turned away first.
  const handler = async (request: Request, { completed }: Deno.ServeHandlerInfo): Promise<Response> => {
    if (draining) {
      return problemResponse(
        new FilesyncError({
          code: "indexing",
          operation: "answer the request",
          reason: "the server is being stopped",
          hint: "It will be tried again",
          retryAfter: 1_000,
        }),
      );
    }
    underWay++;
    unsent++;
    completed.catch(() => {}).then(() => unsent--);
    try {
      return await app.fetch(request);
    } finally {
      underWay--;
    }
  };
  const cut = new AbortController();
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({ hostname, port, ...tls, signal: cut.signal, onListen() {} }, handler);
  } catch (error) {
    throw listenError(hostname, port, error);
  }
  const { port: actual } = server.addr;
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${tls === undefined ? "http" : "https"}://${host}:${actual}`,
    async close() {
      draining = true;
      const start = clock.now();
      while (underWay > 0 && clock.now() < start + DRAIN_MS) await clock.sleep(20);
      const drained = clock.now();
      while (unsent > 0 && clock.now() < drained + LINGER_MS) await clock.sleep(20);
      // A graceful shutdown waits for what is under way, however long, and cannot be cut any more.
      if (unsent > 0) cut.abort();
      else await server.shutdown();
      await server.finished;
    },
  };
}

function listenError(hostname: string, port: number, error: unknown): FilesyncError {
  const operation = `listen on ${hostname}:${port}`;
  const code = osCode(error);
  if (error instanceof Deno.errors.AddrInUse || code === "EADDRINUSE") {
    return new FilesyncError({
      code: "locked",
      operation,
      reason: "the port is in use",
      hint: `Stop what uses it, or take another one: --listen ${hostname}:${port + 1}`,
      permanent: true,
      cause: error,
    });
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return new FilesyncError({
      code: "usage",
      operation,
      reason: "this machine does not have that address",
      hint: "Use 127.0.0.1 for this machine only, or 0.0.0.0 for every network",
      permanent: true,
      cause: error,
    });
  }
  return toFilesyncError(operation, error);
}
