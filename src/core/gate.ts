/** Some at a time, first come first served. @module */

/** Runs pieces of asynchronous work, never more than so many at once. */
export class Gate {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  /** @param most Most pieces of work at once. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Runs `work` when there is room and all that came before it has begun, and gives its result. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    // Who leaves hands the place on, so that nobody who comes just then slips in.
    if (this.#inside < this.#most) this.#inside++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#inside--;
      else next();
    }
  }
}
