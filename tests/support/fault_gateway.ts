/**
 * An HTTP proxy that, when told to, does what proxies, caches and networks do at their worst: loses requests
 * and answers, cuts them, makes requests twice, answers by itself, and mixes answers up.
 *
 * It takes one request of a connection, which it ends after the answer, and reads both whole.
 *
 * @module
 */
import { systemClock } from "../../src/core/clock.ts";

/** What can happen to a request. */
export const MISDEEDS = [
  /** It does not arrive. */
  "lost",
  /** It arrives, and the answer does not. */
  "answer lost",
  /** A part of it arrives. */
  "cut",
  /** A part of the answer arrives. */
  "answer cut",
  /** It takes a while. */
  "late",
  /** It arrives twice at the same time. */
  "twice",
  /** It arrives once more, when its answer has long been read. */
  "again later",
  /** The server is told that nothing more comes before it can answer. */
  "half closed",
  /** It gets the answer to another request that is under way, which gets this one's. */
  "swapped",
  "answered 429",
  "answered 500",
  "answered 502",
  "answered 503",
] as const;
export type Misdeed = (typeof MISDEEDS)[number];

/** Settings of {@linkcode FaultGateway}. */
export interface FaultGatewayOptions {
  /** A number in [0, 1). */
  random: () => number;
  /** Decides what happens to a request, by its method and path. @default {nothing does} */
  plan?: (request: string) => Misdeed | undefined;
  /** `Retry-After` of its own answers. @default {none} */
  retryAfter?: () => string | undefined;
}

/** Longest that an answer waits for another to be swapped with, milliseconds. */
const SWAP_MS = 400;

/** An answer that waits for another. */
interface Waiting {
  answer: Uint8Array;
  give: (answer: Uint8Array) => void;
}

/** See the module's comment. */
export class FaultGateway implements AsyncDisposable {
  /** Where requests go; may be changed when the server comes back on another port. */
  target: string;
  plan: (request: string) => Misdeed | undefined;
  retryAfter: () => string | undefined;
  /** What was done so far. */
  readonly counts = Object.fromEntries(MISDEEDS.map((misdeed) => [misdeed, 0])) as Record<Misdeed, number>;
  /** The requests that were read. */
  requests = 0;

  readonly #random: () => number;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #running = new Set<Promise<void>>();
  readonly #open = new Set<Deno.TcpConn>();
  readonly #closing = new AbortController();
  #waiting: Waiting | undefined;

  /** @param target An `http://host:port` URL. */
  constructor(
    target: string,
    { random, plan = () => undefined, retryAfter = () => undefined }: FaultGatewayOptions,
  ) {
    this.target = target;
    this.plan = plan;
    this.retryAfter = retryAfter;
    this.#random = random;
    this.#run(this.#accept());
  }

  /** What clients are to be given in place of the target's URL. */
  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** How often anything was done to a request. */
  get misdeeds(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#listener.close();
    for (const connection of this.#open) close(connection);
    await Promise.all(this.#running);
  }

  #run(work: Promise<void>): void {
    const running = work.catch(() => {}).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.#open.add(connection);
      this.#run(
        this.#handle(connection).finally(() => {
          this.#open.delete(connection);
          close(connection);
        }),
      );
    }
  }

  async #handle(client: Deno.TcpConn): Promise<void> {
    const request = await readRequest(client);
    if (request === undefined) return;
    this.requests++;
    const misdeed = this.plan(request.line);
    if (misdeed !== undefined) this.counts[misdeed]++;
    const answer = await this.#answerTo(request.bytes, misdeed);
    if (answer !== undefined) await writeAll(client, answer);
  }

  /** What the client gets; `undefined` ends its connection. */
  async #answerTo(request: Uint8Array, misdeed: Misdeed | undefined): Promise<Uint8Array | undefined> {
    const part = (bytes: Uint8Array) =>
      bytes.subarray(0, 1 + Math.floor(this.#random() * (bytes.length - 1)));
    const wait = (ms: number) => systemClock.sleep(ms * this.#random(), this.#closing.signal);
    switch (misdeed) {
      case "lost":
        return undefined;
      case "answer lost":
        await this.#forward(request);
        return undefined;
      case "cut":
        await this.#forward(part(request), true);
        return undefined;
      case "answer cut":
        return part(await this.#forward(request));
      case "late":
        await wait(800);
        return await this.#forward(request);
      case "twice": {
        const [answer, other] = await Promise.all([this.#forward(request), this.#forward(request)]);
        return this.#random() < 0.5 ? answer : other;
      }
      case "again later": {
        const answer = await this.#forward(request);
        this.#run(wait(4_000).then(() => this.#forward(request)).then(() => {}));
        return answer;
      }
      case "half closed":
        return await this.#forward(request, true);
      case "swapped":
        return await this.#swap(await this.#forward(request));
      case undefined: {
        const answer = await this.#forward(request);
        return this.#waiting === undefined ? answer : await this.#swap(answer);
      }
      default:
        return this.#ownAnswer(Number(misdeed.slice(-3)));
    }
  }

  #ownAnswer(status: number): Uint8Array {
    const retryAfter = this.retryAfter();
    const header = retryAfter === undefined ? "" : `Retry-After: ${retryAfter}\r\n`;
    const body = "<h1>Sorry</h1>\n";
    return new TextEncoder().encode(
      `HTTP/1.1 ${status} Sorry\r\nContent-Type: text/html\r\nDate: ${
        new Date().toUTCString()
      }\r\n${header}` +
        `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
  }

  /** Gives an answer that waits, and lets this one go there; or waits for one itself. */
  async #swap(answer: Uint8Array): Promise<Uint8Array> {
    const other = this.#waiting;
    if (other !== undefined) {
      this.#waiting = undefined;
      other.give(answer);
      return other.answer;
    }
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    const waiting = { answer, give: resolve };
    this.#waiting = waiting;
    const given = await Promise.race([promise, systemClock.sleep(SWAP_MS, this.#closing.signal)]);
    if (given !== undefined) return given;
    if (this.#waiting === waiting) this.#waiting = undefined;
    // Nobody came; or somebody did in the last moment.
    return await Promise.race([promise, Promise.resolve(answer)]);
  }

  /**
   * Makes a request, or a part of one.
   *
   * @param ends Whether to end our side of the connection after it.
   */
  async #forward(request: Uint8Array, ends = false): Promise<Uint8Array> {
    const { hostname, port } = new URL(this.target);
    const server = await Deno.connect({ hostname, port: Number(port) });
    this.#open.add(server);
    try {
      await writeAll(server, request);
      if (ends) await server.closeWrite();
      return await readToEnd(server);
    } finally {
      this.#open.delete(server);
      close(server);
    }
  }
}

/** Reads one request, which ends after the length that it gives, and asks the server to end the connection after it. */
async function readRequest(
  connection: Deno.TcpConn,
): Promise<{ line: string; bytes: Uint8Array } | undefined> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  let needed = Infinity;
  let lineEnd = 0;
  const into = new Uint8Array(1 << 16);
  while (length < needed) {
    const read = await connection.read(into);
    if (read === null) return undefined;
    pieces.push(into.slice(0, read));
    length += read;
    if (needed < Infinity) continue;
    const soFar = concat(pieces);
    // Latin-1: a character is a byte.
    const head = new TextDecoder("latin1").decode(soFar).split("\r\n\r\n", 1)[0];
    const headEnd = head.length;
    if (headEnd === soFar.length) continue;
    lineEnd = head.indexOf("\r\n");
    needed = headEnd + 4 + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  }
  const whole = concat(pieces);
  const line = whole.subarray(0, lineEnd);
  const close = new TextEncoder().encode("\r\nConnection: close");
  return {
    line: new TextDecoder().decode(line),
    bytes: concat([line, close, whole.subarray(lineEnd)]),
  };
}

async function readToEnd(connection: Deno.TcpConn): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  const into = new Uint8Array(1 << 16);
  for (let read; (read = await connection.read(into)) !== null;) pieces.push(into.slice(0, read));
  return concat(pieces);
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}

function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
