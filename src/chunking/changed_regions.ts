/**
 * Where two contents differ, told from their chunks alone: which runs of the new one's chunks are the
 * old one's, and which regions between them are to be looked into more closely.
 *
 * @module
 */
import type { Outline } from "./outline.ts";
import type { ByteRange } from "./byte_range.ts";

/** A part of the new content, told by the old one. */
export type Segment =
  /** `length` bytes that the old content has from `start`, as far as prefixes can tell. */
  | { type: "same"; start: number; length: number }
  /** Something new, which may have a likeness in the old content. */
  | ChangedRegion;

/** A part of the new content that has no chunk in common with the old. */
export interface ChangedRegion {
  type: "changed";
  /** Where it is in the new content. */
  start: number;
  end: number;
  /** Where in the old content something like it may be: one range, two, or none. */
  old: ByteRange[];
}

/**
 * The new content in segments, from its first byte to its last.
 *
 * Chunks that were moved or doubled are found wherever they are; of several that are alike, the one
 * that goes on from the last is taken, or else the next after it. For a changed region, what the old
 * content has between the neighbours of the region is looked into; of that no more than some twice
 * the region's bytes, half from either end, so that something big that was removed is not signed in vain.
 */
export function changedRegions(before: Outline, now: Outline): Segment[] {
  const places = placesOf(before);
  const starts = startsOf(before);
  const margin = now.reduce((most, { length }) => Math.max(most, length), 0);
  const segments: Segment[] = [];
  /** The old chunk after the last that was found. */
  let next = 0;
  let at = 0;
  let changedSince: number | undefined;

  /** Ends the changed region before `at`, which the old chunk `following` comes after. */
  const closeRegion = (following: number) => {
    if (changedSince === undefined) return;
    const reach = at - changedSince + margin;
    // What comes from farther back says nothing of what stood here.
    const old = following >= next
      ? ends({ start: starts[next], end: starts[following] }, reach)
      : ends({ start: starts[next], end: Math.min(starts[next] + reach, starts[before.length]) }, reach);
    segments.push({ type: "changed", start: changedSince, end: at, old });
    changedSince = undefined;
  };

  for (const { prefix, length } of now) {
    const found = pick(places.get(prefix), next, (index) => before[index].length === length);
    if (found === undefined) {
      changedSince ??= at;
    } else {
      closeRegion(found);
      const last = segments.at(-1);
      if (last?.type === "same" && last.start + last.length === starts[found]) last.length += length;
      else segments.push({ type: "same", start: starts[found], length });
      next = found + 1;
    }
    at += length;
  }
  closeRegion(before.length);
  return segments;
}

/** The one segment of a new content of which nothing is known but its size and that of the old one. */
export function wholeRegion(oldSize: number, newSize: number): Segment[] {
  if (newSize === 0) return [];
  return [{
    type: "changed",
    start: 0,
    end: newSize,
    old: oldSize === 0 ? [] : [{ start: 0, end: oldSize }],
  }];
}

/** By prefix, the positions in the outline, rising. */
function placesOf(outline: Outline): Map<string, number[]> {
  const places = new Map<string, number[]>();
  outline.forEach(({ prefix }, i) => {
    const known = places.get(prefix);
    if (known === undefined) places.set(prefix, [i]);
    else known.push(i);
  });
  return places;
}

/** The first of rising `places` that is not before `next`, or else the very first. */
function pick(
  places: number[] | undefined,
  next: number,
  fits: (index: number) => boolean,
): number | undefined {
  if (places === undefined) return undefined;
  let low = 0;
  // Zeros can be thousands of chunks that are alike.
  for (let high = places.length; low < high;) {
    const middle = (low + high) >>> 1;
    if (places[middle] < next) low = middle + 1;
    else high = middle;
  }
  const found = places[low] ?? places[0];
  return fits(found) ? found : undefined;
}

function startsOf(outline: Outline): number[] {
  const starts = [0];
  for (const { length } of outline) starts.push(starts.at(-1)! + length);
  return starts;
}

/** No more of `range` than `reach` bytes from either end. */
function ends({ start, end }: ByteRange, reach: number): ByteRange[] {
  if (start >= end) return [];
  if (end - start <= 2 * reach) return [{ start, end }];
  return [{ start, end: start + reach }, { start: end - reach, end }];
}
