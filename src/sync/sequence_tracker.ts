/**
 * Knows whether a receiver has changed by other hands than ours. Every batch
 * moves its sequence from one number to another; as long as our own batches join without
 * a gap, nobody else was there. Answers may come in any order.
 *
 * @module
 */

/** See the module's comment. */
export class SequenceTracker {
  #known: number;
  /** Spans that do not join yet: where each begins, and where it ends. */
  readonly #ahead = new Map<number, number>();

  /** @param known The sequence at which the receiver was known to be equal. */
  constructor(known: number) {
    this.#known = known;
  }

  /** The sequence up to which every change was ours. */
  get known(): number {
    return this.#known;
  }

  /** Whether spans are left that do not join: with no answer outstanding, a change by others. */
  get hasGap(): boolean {
    return this.#ahead.size > 0;
  }

  /** Takes one of our batches. */
  add(before: number, after: number): void {
    if (before === after || after <= this.#known) return;
    this.#ahead.set(before, after);
    for (let next = this.#ahead.get(this.#known); next !== undefined; next = this.#ahead.get(this.#known)) {
      this.#ahead.delete(this.#known);
      this.#known = next;
    }
  }
}
