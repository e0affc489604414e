/** What of a content need not take room on the disk. @module */
import { Buffer } from "node:buffer";

/** Fewer zeros than these, bytes, are written like anything else: a hole must be worth its place in the file's map. */
export const HOLE_BYTES = 64 << 10;

const ZEROS = Buffer.alloc(HOLE_BYTES);

/** A part of `data` that either holds nothing but zeros or is to be written. */
export interface Stretch {
  bytes: Uint8Array;
  isZero: boolean;
}

/** Splits `data` at its long runs of zeros; into one part when it is shorter than {@linkcode HOLE_BYTES}. */
export function stretchesOf(data: Uint8Array): Stretch[] {
  const stretches: Stretch[] = [];
  let start = 0;
  let isZero = false;
  const end = (at: number) => {
    if (at > start) stretches.push({ bytes: data.subarray(start, at), isZero });
    start = at;
  };
  for (let at = 0; at < data.length; at += HOLE_BYTES) {
    const block = data.subarray(at, at + HOLE_BYTES);
    if (isZeros(block) === isZero) continue;
    end(at);
    isZero = !isZero;
  }
  end(data.length);
  return stretches;
}

/** Whether `block` is {@linkcode HOLE_BYTES} of zeros: compared at the speed of memory. */
function isZeros(block: Uint8Array): boolean {
  return block.length === HOLE_BYTES && block[0] === 0 && ZEROS.equals(block);
}
