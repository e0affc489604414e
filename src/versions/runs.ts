/**
 * The chunks of a content, as runs of their numbers. Chunks are numbered as they are written, so a new content
 * is one run, and its next version with a small change in it three: a few bytes, however big the file is.
 *
 * Packed, a run is the distance of its first number from the end of the run before (signed) and its length,
 * both as in `varint.ts`.
 *
 * @module
 */
import { ByteReader, ByteWriter } from "../chunking/varint.ts";

/** The numbers from `first` to before `first + count`. */
export interface Run {
  first: number;
  count: number;
}

/** Adds the next number. */
export function addToRuns(runs: Run[], number: number): void {
  const last = runs.at(-1);
  if (last !== undefined && last.first + last.count === number) last.count++;
  else runs.push({ first: number, count: 1 });
}

/** The packed form, as stored. */
export function packRuns(runs: readonly Run[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(16);
  let end = 0;
  for (const { first, count } of runs) {
    writer.signed(first - end);
    writer.varint(count);
    end = first + count;
  }
  return writer.bytes.slice();
}

/**
 * The runs in `packed`.
 *
 * @throws {FilesyncError} `bad-request` when they are malformed.
 */
export function unpackRuns(packed: Uint8Array): Run[] {
  const reader = new ByteReader(packed, "the chunks of a kept content");
  const runs: Run[] = [];
  let end = 0;
  while (reader.left > 0) {
    const first = end + reader.signed();
    const count = reader.varint();
    runs.push({ first, count });
    end = first + count;
  }
  return runs;
}

/** The runs of numbers below `end`, and from 1, that are in none of `runs`, which may overlap in any order. */
export function gapsBetween(runs: Run[], end: number): Run[] {
  const gaps: Run[] = [];
  let next = 1;
  for (const { first, count } of runs.toSorted((a, b) => a.first - b.first)) {
    const stop = Math.min(first, end);
    if (stop > next) gaps.push({ first: next, count: stop - next });
    next = Math.max(next, first + count);
  }
  if (end > next) gaps.push({ first: next, count: end - next });
  return gaps;
}
