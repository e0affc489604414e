/**
 * A TCP proxy that counts what crosses it and, when told to, is a bad network.
 *
 * `up` is from client to target, `down` the way back. All randomness comes from a seed.
 *
 * @module
 */
import { systemClock } from "../../src/core/clock.ts";
import { integer, seededRandom } from "./bytes.ts";

/** From client to target, or back. */
export type Direction = "up" | "down";

/** Settings of {@linkcode FaultProxy}. */
export interface FaultProxyOptions {
  /** Seed of {@linkcode FaultProxy.flaky}. @default {1} */
  seed?: number;
}

/** What has crossed the proxy. */
export interface Counts {
  /** Bytes handed to the target. */
  up: number;
  /** Bytes handed to clients. */
  down: number;
  /** Connections accepted. */
  connections: number;
}

/** Most bytes taken from one side before the other has them. */
const WINDOW_BYTES = 1 << 22;
const READ_BYTES = 1 << 16;

/** The proxy. It listens from its construction until it is disposed of. */
export class FaultProxy implements Disposable, AsyncDisposable {
  /** Where new connections go; may be changed when the server comes back on another port. */
  target: string;
  /** Milliseconds that every byte takes to cross, in each direction; throughput does not suffer. */
  delay = 0;
  /** Bytes a second in each direction, all connections together. */
  rate = Infinity;

  readonly #port: number;
  readonly #random: () => number;
  readonly #links = new Set<Link>();
  readonly #running = new Set<Promise<void>>();
  readonly #cuts: Record<Direction, Cut[]> = { up: [], down: [] };
  /** When, in `performance.now()`, the line is free again. */
  readonly #busyUntil: Record<Direction, number> = { up: 0, down: 0 };
  #listener: Deno.TcpListener | undefined;
  #counts: Counts = { up: 0, down: 0, connections: 0 };
  #flaky = { fraction: 0, withinBytes: 0 };
  #frozen: PromiseWithResolvers<void> | undefined;

  /** @param target An `http://host:port` URL. */
  constructor(target: string, { seed = 1 }: FaultProxyOptions = {}) {
    this.target = target;
    this.#random = seededRandom(seed);
    this.#listen(0);
    this.#port = this.#listener!.addr.port;
  }

  /** What clients are to be given in place of the target's URL. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Connections open now. */
  get open(): number {
    return [...this.#links].filter(({ signal }) => !signal.aborted).length;
  }

  /** What has crossed since the start or the last {@linkcode resetCounts}. */
  counts(): Counts {
    return { ...this.#counts };
  }

  resetCounts(): void {
    this.#counts = { up: 0, down: 0, connections: 0 };
  }

  /** Waits until `bytes` have crossed in `direction` since the start or the last {@linkcode resetCounts}. */
  async passed(direction: Direction, bytes: number): Promise<void> {
    while (this.#counts[direction] < bytes) await systemClock.sleep(2);
  }

  /** Closes every connection, with whatever is under way in it. */
  drop(): void {
    for (const link of this.#links) link.close();
  }

  /** Drops every connection and refuses new ones until {@linkcode mend}. */
  cut(): void {
    this.#listener?.close();
    this.#listener = undefined;
    this.drop();
  }

  /** Accepts connections again. */
  mend(): void {
    if (this.#listener === undefined) this.#listen(this.#port);
  }

  /** Keeps every connection open but lets nothing through: a cable pulled, with nobody told. */
  freeze(): void {
    this.#frozen ??= Promise.withResolvers();
  }

  /** Ends {@linkcode freeze}; what was held back goes on. */
  thaw(): void {
    this.#frozen?.resolve();
    this.#frozen = undefined;
  }

  /**
   * Lets `bytes` more bytes through in `direction`, of all connections together, then closes both
   * sides of the connection that carried the last of them. Once for each call; calls add up.
   *
   * @returns When it has happened.
   */
  truncate(direction: Direction, bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#cuts[direction].push({ left: bytes, done: resolve });
    return promise;
  }

  /** Ends `direction` of every connection: the receiving side sees the end, the other way goes on. */
  halfClose(direction: Direction): void {
    for (const link of this.#links) link.end(direction);
  }

  /**
   * Drops a random `fraction` of the connections made from now on, each after a random number of
   * bytes below `withinBytes`, both directions together. A fraction of 0 ends it.
   */
  flaky(fraction: number, withinBytes: number): void {
    this.#flaky = { fraction, withinBytes };
  }

  #listen(port: number): void {
    const listener = Deno.listen({ hostname: "127.0.0.1", port });
    this.#listener = listener;
    this.#run(this.#accept(listener));
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    // Closing the listener ends the loop.
    for await (const client of listener) {
      this.#counts.connections++;
      this.#run(this.#connect(client, listener));
    }
  }

  async #connect(client: Deno.TcpConn, listener: Deno.TcpListener): Promise<void> {
    // Drawn before anything is awaited, so that the order of connections decides, not their speed.
    const { fraction, withinBytes } = this.#flaky;
    const lifetime = this.#random() < fraction ? integer(this.#random, withinBytes) : Infinity;
    const { hostname, port } = new URL(this.target);
    const target = await Deno.connect({ hostname, port: Number(port) }).catch(() => undefined);
    if (target === undefined) return client.close();
    const link = new Link(client, target, lifetime);
    this.#links.add(link);
    // The proxy was cut meanwhile.
    if (listener !== this.#listener) link.close();
    await Promise.allSettled([this.#pump(link, "up"), this.#pump(link, "down")]);
    link.close();
    this.#links.delete(link);
  }

  async #pump(link: Link, direction: Direction): Promise<void> {
    const { from } = link.ends(direction);
    try {
      for await (const { data, due } of arrivals(from, () => this.delay)) {
        await this.#wait(due, link);
        await this.#forward(link, direction, data);
      }
      link.end(direction);
    } catch {
      // A side is gone, or the link was closed: both ways end.
      link.close();
    }
  }

  async #forward(link: Link, direction: Direction, data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length && !link.hasEnded(direction);) {
      // In small steps when the rate is limited, so that the flow is even.
      let length = Math.min(data.length - at, Math.max(1, Math.ceil(this.rate / 50)));
      await this.#wait(this.#turn(direction, length), link);
      const cut = this.#cuts[direction][0];
      length = Math.min(length, link.left, cut?.left ?? Infinity);
      link.left -= length;
      // Taken off the list before anything is awaited: another connection must not see it.
      const carriesLast = cut !== undefined && (cut.left -= length) === 0;
      if (carriesLast) this.#cuts[direction].shift();
      try {
        await this.#write(link, direction, data.subarray(at, at + length));
      } finally {
        if (carriesLast || link.left === 0) link.close();
        if (carriesLast) cut.done();
      }
      at += length;
    }
  }

  async #write(link: Link, direction: Direction, data: Uint8Array): Promise<void> {
    const { to } = link.ends(direction);
    for (let done = 0; done < data.length;) {
      const n = await to.write(data.subarray(done));
      this.#counts[direction] += n;
      done += n;
    }
  }

  /** When `length` bytes have crossed a line of limited rate, in `performance.now()`. */
  #turn(direction: Direction, length: number): number {
    const start = Math.max(performance.now(), this.#busyUntil[direction]);
    return this.#busyUntil[direction] = start + 1000 * length / this.rate;
  }

  async #wait(until: number, link: Link): Promise<void> {
    const ms = until - performance.now();
    if (ms > 0) await systemClock.sleep(ms, link.signal);
    while (this.#frozen !== undefined && !link.signal.aborted) {
      await Promise.race([this.#frozen.promise, link.closed]);
    }
    link.signal.throwIfAborted();
  }

  #run(work: Promise<void>): void {
    const running = work.catch(() => {}).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  [Symbol.dispose](): void {
    this.cut();
    this.thaw();
  }

  /** Closes everything and waits until nothing is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    await Promise.all(this.#running);
  }
}

/** An order to cut a connection after so many bytes. */
interface Cut {
  left: number;
  done: () => void;
}

/** A client's connection and its counterpart. */
class Link {
  /** Bytes until the link is dropped. */
  left: number;
  readonly closed: Promise<void>;
  readonly #sides: Record<Direction, Deno.TcpConn>;
  readonly #ended = new Set<Direction>();
  readonly #abort = new AbortController();

  constructor(client: Deno.TcpConn, target: Deno.TcpConn, left: number) {
    this.#sides = { down: client, up: target };
    this.left = left;
    this.closed = new Promise((resolve) => this.signal.addEventListener("abort", () => resolve()));
    client.setNoDelay();
    target.setNoDelay();
  }

  /** Aborts when the link is closed. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  ends(direction: Direction): { from: Deno.TcpConn; to: Deno.TcpConn } {
    return { from: this.#sides[direction === "up" ? "down" : "up"], to: this.#sides[direction] };
  }

  /** Whether the receiving side has been told the end. */
  hasEnded(direction: Direction): boolean {
    return this.#ended.has(direction);
  }

  /** Tells the receiving side that no more comes. What still arrives is dropped. */
  end(direction: Direction): void {
    if (this.#ended.has(direction)) return;
    this.#ended.add(direction);
    this.#sides[direction].closeWrite().catch(() => {});
  }

  close(): void {
    if (this.signal.aborted) return;
    this.#abort.abort(new Deno.errors.ConnectionReset("the proxy closed the connection"));
    for (const side of Object.values(this.#sides)) side.close();
  }
}

/** What arrives at `from`, each piece with the moment at which it may go on. */
function arrivals(
  from: Deno.TcpConn,
  delay: () => number,
): ReadableStream<{ data: Uint8Array; due: number }> {
  return new ReadableStream({
    async pull(controller) {
      const data = new Uint8Array(READ_BYTES);
      const length = await from.read(data);
      if (length === null) return controller.close();
      controller.enqueue({ data: data.subarray(0, length), due: performance.now() + delay() });
    },
  }, { highWaterMark: WINDOW_BYTES, size: ({ data }) => data.length });
}
