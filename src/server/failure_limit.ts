/** Slows down who guesses tokens. @module */
import type { Clock } from "../core/clock.ts";

/** Settings of {@linkcode FailureLimit}. */
export interface FailureLimitOptions {
  /** Failures in a row that cost nothing. @default {10} */
  burst?: number;
  /** Milliseconds after which one more is allowed. @default {6_000} */
  recovery?: number;
  /** Most networks that are remembered; of more, those not heard of for longest are forgotten. @default {4_096} */
  most?: number;
}

/** Counts the failures of each network as a leaking bucket does, in a constant amount of memory. */
export class FailureLimit {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #recovery: number;
  readonly #most: number;
  /** When each network's failures will all be forgiven, milliseconds since the epoch; least recent first. */
  readonly #forgivenAt = new Map<string, number>();

  constructor(clock: Clock, { burst = 10, recovery = 6_000, most = 4_096 }: FailureLimitOptions = {}) {
    this.#clock = clock;
    this.#burst = burst;
    this.#recovery = recovery;
    this.#most = most;
  }

  /** Networks remembered. */
  get size(): number {
    return this.#forgivenAt.size;
  }

  /** Milliseconds until `address` may try again; 0 when it may now. */
  wait(address: string): number {
    const owed = (this.#forgivenAt.get(networkOf(address)) ?? 0) - this.#clock.now();
    // A clock that was set back must not lock anybody out for as long.
    const counted = Math.min(owed, this.#burst * this.#recovery);
    return Math.max(0, counted - (this.#burst - 1) * this.#recovery);
  }

  /** Notes a failure of `address`. */
  note(address: string): void {
    const network = networkOf(address);
    const now = this.#clock.now();
    const owed = Math.min((this.#forgivenAt.get(network) ?? now) - now, (this.#burst - 1) * this.#recovery);
    this.#forgivenAt.delete(network);
    if (this.#forgivenAt.size >= this.#most) {
      for (const oldest of this.#forgivenAt.keys()) {
        this.#forgivenAt.delete(oldest);
        break;
      }
    }
    this.#forgivenAt.set(network, now + Math.max(0, owed) + this.#recovery);
  }
}

/** What one client has of addresses: an IPv4 address, or the first 64 bits of an IPv6 address (RFC 6177). */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1];
  if (!address.includes(":")) return address;
  const [head, tail = ""] = address.split("%")[0].split("::");
  const groups = head.split(":").filter((group) => group !== "");
  if (address.includes("::")) {
    const last = tail.split(":").filter((group) => group !== "");
    while (groups.length + last.length < 8) groups.push("0");
    groups.push(...last);
  }
  return groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16)).join(":");
}
