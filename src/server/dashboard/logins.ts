/** Who has logged in with a browser: random names in cookies, behind which a token stands. @module */
import { encodeBase64Url } from "@std/encoding";
import type { Clock } from "../../core/clock.ts";
import { type Access, digestOf, type Gate } from "../gate.ts";

/** Bytes of randomness in a name. */
const NAME_BYTES = 32;

/** A login ends when nothing came by it for so long, and so long after it began, milliseconds. */
const IDLE_MS = 12 * 3_600_000;
const LONGEST_MS = 7 * 24 * 3_600_000;

/** Most logins at once; of more, the one that was used least recently ends. */
const MOST = 1_000;

interface Login {
  /** The digest of the token: when that holds no more, nor does the login. */
  token: Uint8Array;
  since: number;
  lastSeen: number;
}

/** The logins of a server. They are forgotten when it stops. */
export class Logins {
  readonly #gate: Gate;
  readonly #clock: Clock;
  /** By the digest of the name: what is had in memory opens nothing. Least recently used first. */
  readonly #byName = new Map<string, Login>();

  constructor(gate: Gate, clock: Clock) {
    this.#gate = gate;
    this.#clock = clock;
  }

  /** How many there are. */
  get size(): number {
    return this.#byName.size;
  }

  /**
   * Begins a login, and gives its name.
   *
   * @throws {FilesyncError} As {@linkcode Gate.admit} does.
   */
  begin(token: string, address: string | undefined): string {
    this.#gate.admit(token, address);
    const name = encodeBase64Url(crypto.getRandomValues(new Uint8Array(NAME_BYTES)));
    const now = this.#clock.now();
    this.#byName.set(keyOf(name), { token: digestOf(token), since: now, lastSeen: now });
    for (const oldest of this.#byName.keys()) {
      if (this.#byName.size <= MOST) break;
      this.#byName.delete(oldest);
    }
    return name;
  }

  /** What a login allows now; `undefined` when there is none of that name (any more). */
  accessOf(name: string): Access | undefined {
    const key = keyOf(name);
    const login = this.#byName.get(key);
    if (login === undefined) return undefined;
    this.#byName.delete(key);
    const now = this.#clock.now();
    if (now - login.lastSeen > IDLE_MS || now - login.since > LONGEST_MS) return undefined;
    const access = this.#gate.accessOf(login.token);
    if (access === undefined) return undefined;
    login.lastSeen = Math.max(now, login.lastSeen);
    this.#byName.set(key, login);
    return access;
  }

  /** Ends a login. */
  end(name: string): void {
    this.#byName.delete(keyOf(name));
  }
}

function keyOf(name: string): string {
  return digestOf(name).toHex();
}
