/** Who talks to the server, and since when. @module */
import type { Clock } from "../core/clock.ts";
import { type ClientStatus, STATUS_EVERY_MS } from "../core/client_status.ts";
import { FilesyncError } from "../core/errors.ts";
import { visible } from "../core/visible.ts";

/** A client that said hello. */
export interface Session {
  id: string;
  /** How it names itself; may be empty. */
  client: string;
  version: string;
  /** Milliseconds since the epoch. */
  since: number;
  lastSeen: number;
  /** Bytes of the bodies it sent, and of the files that were put by them. */
  receivedBytes: number;
  storedBytes: number;
  /** What it last told of itself. */
  told?: ToldStatus;
}

/** What a client told of itself, and when, milliseconds since the epoch. */
export interface ToldStatus extends ClientStatus {
  at: number;
}

/** A session ends when nothing was heard for this many milliseconds: an hour. */
const IDLE_MS = 3_600_000;

/** Most sessions at once; of more, the one that was not heard of for longest is forgotten: it loses no more than its name. */
const MOST = 10_000;

/** Most sessions of which it is remembered what they told; of more, those that told it longest ago are forgotten. */
const MOST_TOLD = 256;

/** The sessions of a server. */
export class Sessions {
  readonly #clock: Clock;
  readonly #byId = new Map<string, Session>();
  /** Those that told how they are, least recent first. */
  readonly #told = new Set<Session>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Begins a session. */
  begin(client: string, version: string): Session {
    const now = this.#clock.now();
    let quietest: Session | undefined;
    for (const session of this.#byId.values()) {
      if (now - session.lastSeen > IDLE_MS) this.#forget(session);
      else if (session.lastSeen < (quietest?.lastSeen ?? Infinity)) quietest = session;
    }
    if (this.#byId.size >= MOST && quietest !== undefined) this.#forget(quietest);
    const session = {
      id: crypto.randomUUID(),
      client,
      version,
      since: now,
      lastSeen: now,
      receivedBytes: 0,
      storedBytes: 0,
    };
    this.#byId.set(session.id, session);
    return session;
  }

  /** Notes that a client was heard of. An unknown id is no error: the server may have been restarted. */
  heard(id: string | undefined): Session | undefined {
    const session = id === undefined ? undefined : this.#byId.get(id);
    if (session !== undefined) session.lastSeen = this.#clock.now();
    return session;
  }

  /**
   * Takes what a client tells of itself. Of texts only what can be shown is kept.
   *
   * @returns Whether the session is known.
   * @throws {FilesyncError} `too-many` when it told something just now.
   */
  tell(id: string | undefined, status: ClientStatus): boolean {
    const session = this.heard(id);
    if (session === undefined) return false;
    const at = this.#clock.now();
    const since = at - (session.told?.at ?? -Infinity);
    if (since >= 0 && since < STATUS_EVERY_MS) {
      throw new FilesyncError({
        code: "too-many",
        operation: "take a status",
        reason: "the last one has just come",
        hint: "Send fewer",
        retryAfter: STATUS_EVERY_MS - since,
      });
    }
    session.told = { ...shown(status), at };
    this.#told.delete(session);
    this.#told.add(session);
    for (const oldest of this.#told) {
      if (this.#told.size <= MOST_TOLD) break;
      delete oldest.told;
      this.#told.delete(oldest);
    }
    return true;
  }

  /** The sessions that are alive. */
  list(): Session[] {
    const now = this.#clock.now();
    return [...this.#byId.values()].filter(({ lastSeen }) => now - lastSeen <= IDLE_MS);
  }

  /** How many clients were heard of lately. */
  count(): number {
    return this.list().length;
  }

  #forget(session: Session): void {
    this.#byId.delete(session.id);
    this.#told.delete(session);
  }
}

function shown({ problems, progress, brake, ...status }: ClientStatus): ClientStatus {
  return {
    ...status,
    problems: problems.map(({ path, hint, message, ...problem }) => ({
      ...problem,
      message: visible(message),
      ...(path === undefined ? {} : { path: visible(path) }),
      ...(hint === undefined ? {} : { hint: visible(hint) }),
    })),
    ...(progress === undefined ? {} : {
      progress: {
        ...progress,
        ...(progress.current === undefined ? {} : { current: visible(progress.current) }),
      },
    }),
    ...(brake === undefined ? {} : { brake: visible(brake) }),
  };
}
