/** Answers that hold until something changes. @module */

/** Most answers that are remembered; of more, the one that was asked for least recently is forgotten. */
const MOST = 200;

/** Remembers answers as long as what they rest on has the same version. */
export class Remembered {
  readonly #version: () => Promise<number>;
  readonly #answers = new Map<string, { version: number; answer: Promise<unknown> }>();

  /** @param version Gives the version of what the answers rest on. */
  constructor(version: () => Promise<number>) {
    this.#version = version;
  }

  /** The answer to the question `key`, made by `make` unless it is known. A failure is not remembered. */
  async get<T>(key: string, make: () => Promise<T>): Promise<T> {
    const version = await this.#version();
    const known = this.#answers.get(key);
    this.#answers.delete(key);
    const one = known?.version === version ? known : { version, answer: make() };
    this.#answers.set(key, one);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= MOST) break;
      this.#answers.delete(oldest);
    }
    try {
      return await one.answer as T;
    } catch (error) {
      if (this.#answers.get(key) === one) this.#answers.delete(key);
      throw error;
    }
  }
}
