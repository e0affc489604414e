/** Numbers of open files, and when they stop meaning what they did. @module */
import type { Libc } from "./libc.ts";

/** The number of a closed descriptor may soon mean another file; this one never does. */
const CLOSED = -1;

/** A descriptor that is closed once, and not while another thread is at work with it. */
export class Descriptor implements Disposable {
  readonly #libc: Libc;
  readonly #number: number;
  #isOpen = true;
  #busy = 0;

  constructor(libc: Libc, number: number) {
    this.#libc = libc;
    this.#number = number;
  }

  /** The number; one that means nothing when it is closed. */
  get number(): number {
    return this.#isOpen ? this.#number : CLOSED;
  }

  /** Has another thread do something with it, which goes on to the end even when it is closed meanwhile. */
  async lend(work: (number: number) => Promise<void>): Promise<void> {
    this.#busy++;
    try {
      await work(this.number);
    } finally {
      this.#busy--;
      if (!this.#isOpen) this.#closeUnlessBusy();
    }
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#closeUnlessBusy();
  }

  #closeUnlessBusy(): void {
    if (this.#busy === 0) this.#libc.close(this.#number);
  }
}
