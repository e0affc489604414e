/**
 * Memory for the bodies of requests and what goes into them, used again: what is new must be cleared by the
 * system page by page, and stays until the garbage collector comes.
 *
 * @module
 */

/** Most buffers that are kept for later: as many as one client has requests under way, and some. */
const MOST_SPARE = 8;

/** Smaller bodies are not worth it, bytes. */
const LEAST_BYTES = 64 << 10;

/** Memory that is lent until it is disposed of. */
export interface LentMemory extends Disposable {
  /** Gives so many bytes, with anything in them; to be called once. */
  take(length: number): Uint8Array<ArrayBuffer>;
}

/** See the module's comment. */
export class SpareMemory {
  readonly #spare: ArrayBuffer[] = [];

  /** Begins to lend some memory. */
  lend(): LentMemory {
    let lent: ArrayBuffer | undefined;
    return {
      take: (length) => {
        if (length < LEAST_BYTES) return new Uint8Array(length);
        const at = this.#spare.findIndex(({ byteLength }) => byteLength >= length);
        // A power of two, so that the next one, which may be a little longer, fits as well.
        lent = at < 0 ? new ArrayBuffer(2 ** Math.ceil(Math.log2(length))) : this.#spare.splice(at, 1)[0];
        return new Uint8Array(lent, 0, length);
      },
      [Symbol.dispose]: () => {
        if (lent !== undefined && this.#spare.length < MOST_SPARE) this.#spare.push(lent);
        lent = undefined;
      },
    };
  }
}
