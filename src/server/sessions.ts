/** Who talks to the server, and since when. @module */
import type { Clock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";

/** A client that said hello. */
export interface Session {
  id: string;
  /** How it names itself; may be empty. */
  client: string;
  version: string;
  /** Milliseconds since the epoch. */
  since: number;
  lastSeen: number;
}

/** A session ends when nothing was heard for this many milliseconds: an hour. */
const IDLE_MS = 3_600_000;

/** Most sessions at once. */
const MOST = 10_000;

/** The sessions of a server. */
export class Sessions {
  readonly #clock: Clock;
  readonly #byId = new Map<string, Session>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Begins a session.
   *
   * @throws {FilesyncError} `too-many` when there are too many.
   */
  begin(client: string, version: string): Session {
    const now = this.#clock.now();
    for (const [id, { lastSeen }] of this.#byId) if (now - lastSeen > IDLE_MS) this.#byId.delete(id);
    if (this.#byId.size >= MOST) {
      throw new FilesyncError({
        code: "too-many",
        operation: "begin a session",
        reason: `there are ${MOST} already`,
        hint: "It will be tried again",
        retryAfter: 60_000,
      });
    }
    const session = { id: crypto.randomUUID(), client, version, since: now, lastSeen: now };
    this.#byId.set(session.id, session);
    return session;
  }

  /** Notes that a client was heard of. An unknown id is no error: the server may have been restarted. */
  heard(id: string | undefined): Session | undefined {
    const session = id === undefined ? undefined : this.#byId.get(id);
    if (session !== undefined) session.lastSeen = this.#clock.now();
    return session;
  }

  /** The sessions that are alive. */
  list(): Session[] {
    return [...this.#byId.values()];
  }

  /** How many clients were heard of lately. */
  count(): number {
    const now = this.#clock.now();
    return this.list().filter(({ lastSeen }) => now - lastSeen <= IDLE_MS).length;
  }
}
