/**
 * Ends connections that are held open for nothing. A server of Deno waits for ever for the end of a
 * request's head, and once its process has as many files open as it may it stops serving for good; so
 * anybody who can connect could stop it, without a token. Deno shows a server neither its connections
 * nor their sockets: the process's own table of open files does, on Linux.
 *
 * @module
 */
import { type Clock, steadyClock } from "../core/clock.ts";
import { type Connection, loadLibc, OPEN } from "../files/libc.ts";

/** The connections of this process, and a way to end them. */
export interface OpenConnections extends Disposable {
  /** Most files and connections that the process may have open. */
  limit: number;
  list(): Connection[];
  end(connection: Connection): void;
}

/** Settings of {@linkcode ConnectionGuard}. */
export interface ConnectionGuardOptions {
  /** Milliseconds that a connection may take until its first request has a whole head. @default {20_000} */
  newcomer?: number;
  /** Milliseconds that a connection may be kept between requests. @default {180_000} */
  idle?: number;
  /**
   * Most connections; of more, those without a request under way are ended, longest idle first.
   *
   * @default {1_000, or half of the process's limit of open files}
   */
  most?: number;
}

/** What is known of a connection. */
interface Guest {
  /** Requests under way. */
  underWay: number;
  /** When the last one ended, or the connection was first seen; milliseconds of a steady clock. */
  since: number;
  /** Whether it ever had a request. */
  hasAsked: boolean;
}

/** Watches over the connections to one port. */
export class ConnectionGuard {
  readonly #clock: Clock;
  readonly #connections: OpenConnections;
  readonly #options: Required<ConnectionGuardOptions>;
  readonly #guests = new Map<string, Guest>();

  constructor(clock: Clock, connections: OpenConnections, options: ConnectionGuardOptions = {}) {
    this.#clock = steadyClock(clock);
    this.#connections = connections;
    this.#options = {
      newcomer: 20_000,
      idle: 180_000,
      most: Math.min(1_000, Math.floor(connections.limit / 2)),
      ...options,
    };
  }

  /** Notes that a request came from there. Call what it returns when it has been answered. */
  begin(address: string, port: number): () => void {
    const key = keyOf(address, port);
    let guest = this.#guests.get(key);
    if (guest === undefined) {
      guest = { underWay: 0, since: 0, hasAsked: true };
      this.#guests.set(key, guest);
    }
    guest.hasAsked = true;
    guest.underWay++;
    return () => {
      guest.underWay--;
      guest.since = this.#clock.now();
    };
  }

  /**
   * Ends what has had its time on `localPort`.
   *
   * @param most Most that may stay.
   * @returns How many connections there were, and how many of them it ended.
   */
  sweep(localPort: number, most = this.#options.most): { open: number; ended: number } {
    const now = this.#clock.now();
    const open = new Map<string, Connection>();
    for (const connection of this.#connections.list()) {
      if (connection.localPort !== localPort) continue;
      const key = keyOf(connection.peer.address, connection.peer.port);
      open.set(key, connection);
      if (!this.#guests.has(key)) this.#guests.set(key, { underWay: 0, since: now, hasAsked: false });
    }
    const idle: { connection: Connection; since: number; isLate: boolean }[] = [];
    for (const [key, guest] of this.#guests) {
      const connection = open.get(key);
      if (connection === undefined) {
        if (guest.underWay === 0) this.#guests.delete(key);
      } else if (guest.underWay === 0) {
        const { since, hasAsked } = guest;
        const patience = hasAsked ? this.#options.idle : this.#options.newcomer;
        idle.push({ connection, since, isLate: now - since >= patience });
      }
    }
    idle.sort((a, b) => a.since - b.since);
    const excess = open.size - most;
    const due = idle.filter(({ isLate }, i) => isLate || i < excess);
    // Should the descriptor mean something else by now, that is another connection, which will be made
    // anew, or no connection at all, to which this does nothing.
    for (const { connection } of due) this.#connections.end(connection);
    return { open: open.size, ended: due.length };
  }
}

/** The connections of this process; `undefined` where they cannot be had. */
export function systemConnections(): OpenConnections | undefined {
  const libc = loadLibc();
  if (libc === undefined) return undefined;
  // Held open, because when it is needed most nothing can be opened any more.
  const table = libc.open(undefined, "/proc/self/fd", OPEN.read | OPEN.directory);
  return {
    limit: Number(
      /^Max open files\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits"))?.[1] ?? Infinity,
    ),
    list() {
      return libc.list(table).flatMap((name) => libc.connectionOf(Number(name)) ?? []);
    },
    [Symbol.dispose]: () => libc.close(table),
    end: ({ descriptor }) => libc.endConnection(descriptor),
  };
}

/** One spelling for each end: an IPv6 address has many. */
function keyOf(address: string, port: number): string {
  const name = address.includes(":") ? new URL(`http://[${address}]`).hostname : address;
  return `${name.replace(/^\[|\]$/g, "")} ${port}`;
}
