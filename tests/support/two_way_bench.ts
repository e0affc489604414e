/** Two-way syncs between trees in memory. @module */
import { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../src/core/clock.ts";
import type { Digest } from "../../src/core/digest.ts";
import { syncTwoWay, type TwoWayOptions, type TwoWayResult } from "../../src/sync/two_way/sync_two_way.ts";
import { TWO_WAY_MIGRATIONS, TwoWayState } from "../../src/sync/two_way/two_way_state.ts";
import type { Receiver } from "../../src/transport/receiver.ts";

/** Nobody waits. */
const IMPATIENT: Clock = { now: () => 0, sleep: () => Promise.resolve() };

/** A state that is not on disk. */
export function memoryState(): TwoWayState {
  const db = new DatabaseSync(":memory:");
  for (const migration of TWO_WAY_MIGRATIONS) db.exec(migration);
  return new TwoWayState(db);
}

/** Settings of every round of a pair. */
export type TwoWayPairOptions = Partial<TwoWayOptions> & {
  hosts?: [a: string, b: string];
  keepsLosers?: boolean;
};

/** Two receivers that are synced with each other. */
export class TwoWayPair implements Disposable {
  readonly state = memoryState();
  /** Contents that lost a conflict and were left to versions. */
  readonly versions = new Set<Digest>();
  readonly #receivers: [a: Receiver, b: Receiver];
  readonly #options: TwoWayPairOptions;

  constructor(a: Receiver, b: Receiver, options: TwoWayPairOptions = {}) {
    this.#receivers = [a, b];
    this.#options = options;
  }

  /** Does one round, with `wrap` around each receiver. */
  sync(
    options: Partial<TwoWayOptions> = {},
    wrap: (receiver: Receiver) => Receiver = (receiver) => receiver,
  ): Promise<TwoWayResult> {
    const [a, b] = this.#receivers;
    const { hosts = ["laptop", "server"], keepsLosers = false } = this.#options;
    return syncTwoWay({
      a: { receiver: wrap(a), name: "the source", host: hosts[0], keepsLosers },
      b: { receiver: wrap(b), name: "the backup", host: hosts[1], keepsLosers },
      state: this.state,
      conflict: "newer",
      clock: IMPATIENT,
      random: () => 0.5,
      signal: new AbortController().signal,
      onEvent: (event) => {
        if (event.type !== "conflict") return;
        const { copy, loser: { entry } } = event.conflict;
        if (copy === undefined && entry.kind === "file") this.versions.add(entry.digest);
      },
      ...this.#options,
      ...options,
    });
  }

  [Symbol.dispose](): void {
    this.state[Symbol.dispose]();
  }
}
