/** What clients that never came back left at a receiver, which may run for years. @module */
import type { GrowingContents } from "../index/growing_contents.ts";
import type { Staging } from "../index/staging.ts";
import type { TreeIndex } from "../index/tree_index.ts";
import { forgetOldAnswers } from "./batch_answers.ts";

/** How often it is looked for, milliseconds. */
const EVERY_MS = 3600 * 1000;

/** Where it lies. */
export interface LeftoverPlaces {
  index: TreeIndex;
  staging: Staging;
  growing?: GrowingContents;
}

/** Drops answers, chunks and contents in the making that nobody asked for within a week. */
export class Leftovers {
  readonly #places: LeftoverPlaces;
  #last: number;

  /**
   * Drops old answers; `Staging` and `GrowingContents` have seen to theirs when they were opened.
   *
   * @param now Milliseconds since the epoch.
   */
  constructor(places: LeftoverPlaces, now: number) {
    this.#places = places;
    this.#last = now;
    forgetOldAnswers(places.index, now);
  }

  /** Drops what is old by now, when that was not done for an hour: to be called with every batch. */
  drop(now: number): void {
    // A clock may be set back, too.
    if (Math.abs(now - this.#last) < EVERY_MS) return;
    this.#last = now;
    const { index, staging, growing } = this.#places;
    forgetOldAnswers(index, now);
    staging.expire(now);
    growing?.expire();
  }
}
