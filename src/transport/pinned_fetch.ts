/**
 * Requests to a server whose certificate nobody vouches for but its pin: the SHA-256 of its public
 * key. It is compared on every connection before a single byte of a request goes out, so neither
 * another certificate, whoever signed it, nor another name for the server matters.
 *
 * Deno's own `fetch` cannot do that: authorities that it is given come on top of those it trusts.
 *
 * @module
 */
import { timingSafeEqual } from "@std/crypto/timing-safe-equal";
import { X509Certificate } from "node:crypto";
import https from "node:https";
import { type Duplex, Readable } from "node:stream";
import tls from "node:tls";
import { digestToBytes, isDigest, parseDigest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { sha256 } from "../hashing/sha256.ts";

/** The pin of a certificate, such as `sha256:0f3a…`: 64 hexadecimal digits. */
export type Pin = `sha256:${string}`;

/** Connections that are kept for later requests. */
const KEPT = 16;

/** How long such a connection is kept, milliseconds: less than servers do. */
const KEEP_MS = 60_000;

/** A connection that has not proved whose it is by then never will, milliseconds. */
const PROOF_MS = 30_000;

/** Whether `text` is a pin. Colons between digits, as other programs print them, are not taken. */
export function isPin(text: string): text is Pin {
  return text.startsWith("sha256:") && isDigest(text.slice("sha256:".length));
}

/** The pin of a certificate in PEM or DER. */
export function pinOf(certificate: string | Uint8Array): Pin {
  // The program's own types of bytes and node's differ in name only.
  const { publicKey } = new X509Certificate(certificate as string);
  return `sha256:${sha256(new Uint8Array(publicKey.export({ type: "spki", format: "der" })))}`;
}

/** A `fetch` for `https:` that talks to no server but the one with this pin. Rejects with `unreachable` otherwise. */
export function pinnedFetch(pin: Pin): ((request: Request) => Promise<Response>) & Disposable {
  const agent = new PinnedAgent(pin);
  const fetch = async (request: Request): Promise<Response> => {
    const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer());
    return await send(agent, request, body);
  };
  return Object.assign(fetch, { [Symbol.dispose]: () => agent.destroy() });
}

class PinnedAgent extends https.Agent {
  readonly #pin: Pin;
  /** Those that have not proved whose they are: nobody else knows of them yet. */
  readonly #unproven = new Set<tls.TLSSocket>();

  constructor(pin: Pin) {
    super({ keepAlive: true, maxFreeSockets: KEPT, timeout: KEEP_MS });
    this.#pin = pin;
  }

  /** Hands out a connection once it has proved whose it is. */
  override createConnection(...[options, handOut]: Parameters<https.Agent["createConnection"]>): Duplex {
    // Node takes the connection from whichever comes first, the callback or what is given back.
    const done = handOut as (error: Error | null, socket?: Duplex) => void;
    const socket = tls.connect({ ...options as tls.ConnectionOptions, rejectUnauthorized: false });
    this.#unproven.add(socket);
    const settle = () => {
      clearTimeout(late);
      this.#unproven.delete(socket);
    };
    const fail = (error: Error) => {
      settle();
      socket.destroy();
      done(error);
    };
    const late = setTimeout(() => fail(new DOMException("no proof", "TimeoutError")), PROOF_MS);
    socket.once("error", fail);
    socket.once("close", settle);
    socket.once("secureConnect", () => {
      try {
        requirePin(socket.getPeerCertificate(true).raw, this.#pin, options.host ?? "the server");
      } catch (error) {
        return fail(error as Error);
      }
      socket.off("error", fail);
      settle();
      done(null, socket);
    });
    return undefined!;
  }

  override destroy(): void {
    for (const socket of this.#unproven) socket.destroy();
    super.destroy();
  }
}

/** @throws {FilesyncError} `unauthorized`, unless the certificate has the pin. */
function requirePin(certificate: Uint8Array | undefined, pin: Pin, host: string): void {
  const actual = certificate === undefined ? undefined : pinOf(certificate);
  const bytes = (pin: Pin) => digestToBytes(parseDigest(pin.slice("sha256:".length)));
  if (actual !== undefined && timingSafeEqual(bytes(actual), bytes(pin))) return;
  throw new FilesyncError({
    code: "unauthorized",
    operation: `trust ${host}`,
    reason: `its certificate has the pin ${actual ?? "of none"}, not the one that was given`,
    hint: "If the server was set up anew, take the --tls-pin that it prints; else somebody may be in between",
    permanent: true,
  });
}

function send(agent: https.Agent, request: Request, body: Uint8Array | undefined): Promise<Response> {
  const { url, method, headers, signal } = request;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const outgoing = https.request(url, {
      agent,
      method,
      headers: {
        ...Object.fromEntries(headers),
        ...(body === undefined ? {} : { "content-length": body.length }),
      },
    });
    const abort = () => {
      // Before there is a connection, it would not tell of its end.
      reject(signal.reason);
      outgoing.destroy(asError(signal.reason));
    };
    signal.addEventListener("abort", abort, { once: true });
    outgoing.once("close", () => signal.removeEventListener("abort", abort));
    outgoing.once("error", (error) => reject(signal.aborted ? signal.reason : error));
    outgoing.once("response", (incoming) => {
      const { statusCode = 502, statusMessage, headers } = incoming;
      const isEmpty = method === "HEAD" || statusCode === 204 || statusCode === 304;
      if (isEmpty) incoming.resume();
      resolve(
        new Response(isEmpty ? null : Readable.toWeb(incoming) as ReadableStream<Uint8Array<ArrayBuffer>>, {
          status: statusCode,
          statusText: statusMessage,
          headers: Object.entries(headers).flatMap(([name, values]): [string, string][] =>
            [values ?? []].flat().map((value) => [name, value])
          ),
        }),
      );
    });
    outgoing.end(body);
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
