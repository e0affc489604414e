/** How much came when: sums over equal pieces of time, in a constant amount of memory. @module */

/** What is summed up: bytes that came over the wire, bytes of the files that were put by them, and changes. */
export interface Amounts {
  received: number;
  stored: number;
  changes: number;
}

/** Sums of the last pieces of time, the present one included. */
export class RateSeries {
  /** Milliseconds of a piece. */
  readonly step: number;
  readonly #sums: Amounts[];
  /** The number of the present piece since the epoch. */
  #at = 0;

  /**
   * @param step Milliseconds of a piece.
   * @param length How many pieces are remembered.
   */
  constructor(step: number, length: number) {
    this.step = step;
    this.#sums = Array.from({ length }, none);
  }

  /** Adds what came at `now`, milliseconds since the epoch. After a clock was set back it counts for the last piece. */
  add(now: number, { received = 0, stored = 0, changes = 0 }: Partial<Amounts>): void {
    this.#goOn(now);
    const sum = this.#sums[this.#at % this.#sums.length];
    sum.received += received;
    sum.stored += stored;
    sum.changes += changes;
  }

  /** All pieces up to `now`, oldest first. */
  values(now: number): Amounts[] {
    this.#goOn(now);
    const first = (this.#at + 1) % this.#sums.length;
    return [...this.#sums.slice(first), ...this.#sums.slice(0, first)];
  }

  /** Clears the pieces between the last and the present one. */
  #goOn(now: number): void {
    const at = Math.floor(now / this.step);
    const { length } = this.#sums;
    for (let next = Math.max(this.#at + 1, at - length + 1); next <= at; next++) {
      this.#sums[next % length] = none();
    }
    this.#at = Math.max(this.#at, at);
  }
}

function none(): Amounts {
  return { received: 0, stored: 0, changes: 0 };
}
