/**
 * Content-defined cuts that SIMD finds, and the digests of what is cut, from one WebAssembly module
 * (`assembly/vgear.ts`). Cutting costs a sixth of what the digests do.
 *
 * The cuts, in words. Every byte has a *gear*, a number of eight bits. A byte is a candidate when the
 * gears of the last eight bytes, each doubled for every byte after it, add up to 0 modulo 256: about
 * one byte in 256 is. Sixteen bytes are tested at once, in three steps of doubling. Only at a candidate
 * the last 32 bytes are mixed into a hash, and below a threshold the chunk ends with the candidate. As in
 * FastCDC (W. Xia et al., IEEE TPDS 31(9), 2020) the threshold is four times lower than the average asks for
 * up to the average length and four times higher after it. A chunk that would be longer than the most ends with
 * the candidate of the lowest hash beyond the average, when there is one.
 *
 * - No gear is 0, so a run of equal bytes has no candidates: zeros are passed over at full speed.
 * - A place depends on the 32 bytes before it and on where the chunk began, on nothing after it.
 * - The thresholds of a bigger average are lower: where it can cut, a smaller one can.
 *
 * What is cut is remembered by both sides: a change that moves a cut needs a new name in
 * `chunker.ts`. The tests pin the cuts.
 *
 * @module
 */
import { PACKED_CHUNK_BYTES } from "../core/chunk.ts";
import { DIGEST_BYTES } from "../core/digest.ts";
import type { ChunkKernel } from "./chunker.ts";
import type { ChunkSizes } from "./sizes.ts";
import { VGEAR_WASM } from "./vgear_wasm.ts";

interface VgearExports {
  memory: WebAssembly.Memory;
  chunks(
    start: number,
    end: number,
    keep: number,
    least: number,
    average: number,
    most: number,
    rows: number,
    scratch: number,
  ): number;
}

const PAGE_BYTES = 64 << 10;

/** Room for content, unless chunks are so long that they need more. */
const USUAL_CAPACITY = 2 << 20;

/** A leaf of BLAKE3, and what the module needs of scratch for each. */
const LEAF_BYTES = 1024;
const LEAF_SCRATCH_BYTES = 2 * DIGEST_BYTES;

/** The shortest minimum that there is room for. What a cut depends on would fit into 32 bytes. */
const LEAST_MIN_BYTES = 1024;

let compiled: WebAssembly.Module | undefined;

/** Memory that nobody uses at the moment. */
const spare: Vgear[] = [];

/**
 * Memory to cut content in by `sizes`. It is used again when it is disposed of.
 *
 * @throws {RangeError} When chunks could be shorter than 1 KiB.
 */
export function openVgear(sizes: ChunkSizes): ChunkKernel {
  if (sizes.min < LEAST_MIN_BYTES) throw new RangeError(`Chunks of ${sizes.min} bytes are too short`);
  const capacity = Math.max(USUAL_CAPACITY, 2 * sizes.max);
  const at = spare.findIndex((vgear) => vgear.buffer.length === capacity);
  const vgear = at < 0 ? new Vgear(capacity) : spare.splice(at, 1)[0];
  return {
    buffer: vgear.buffer,
    chunks: (start, end, more) => vgear.chunks(start, end, sizes, more),
    [Symbol.dispose]: () => void spare.push(vgear),
  };
}

/** An instance of the module, and where in its memory things are. */
class Vgear {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly #exports: VgearExports;
  readonly #rows: number;
  readonly #scratch: number;

  constructor(capacity: number) {
    compiled ??= new WebAssembly.Module(Uint8Array.fromBase64(VGEAR_WASM));
    this.#exports = new WebAssembly.Instance(compiled).exports as unknown as VgearExports;
    const { memory } = this.#exports;
    const mostRows = Math.ceil(capacity / LEAST_MIN_BYTES);
    // Each chunk but the last is longer than the minimum; each has one leaf that is not full.
    const scratchBytes = (capacity / LEAF_BYTES + mostRows) * LEAF_SCRATCH_BYTES;
    const bytes = capacity + mostRows * PACKED_CHUNK_BYTES + scratchBytes;
    // The first page is the module's own. A step may read a little beyond the content.
    const input = PAGE_BYTES * memory.grow(Math.ceil(bytes / PAGE_BYTES));
    this.buffer = new Uint8Array(memory.buffer, input, capacity) as Uint8Array<ArrayBuffer>;
    this.#rows = input + capacity;
    this.#scratch = this.#rows + mostRows * PACKED_CHUNK_BYTES;
  }

  chunks(start: number, end: number, { min, average, max }: ChunkSizes, more: boolean): Uint8Array {
    const { buffer, byteOffset } = this.buffer;
    const count = this.#exports.chunks(
      byteOffset + start,
      byteOffset + end,
      more ? max : 1,
      min,
      average,
      max,
      this.#rows,
      this.#scratch,
    );
    return new Uint8Array(buffer, this.#rows, count * PACKED_CHUNK_BYTES);
  }
}
