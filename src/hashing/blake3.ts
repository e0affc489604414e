/**
 * BLAKE3, at once and as a stream, by a WebAssembly module of four-lane SIMD (`assembly/blake3.ts`):
 * about 1.7 GB/s on a core. Every system that Deno runs on has that SIMD.
 *
 * @module
 */
import { type Digest, DIGEST_BYTES, digestFromBytes } from "../core/digest.ts";
import { BLAKE3_WASM } from "./blake3_wasm.ts";

interface Blake3Exports {
  memory: WebAssembly.Memory;
  digestRows(at: number, rows: number, count: number, counter: bigint, root: number, scratch: number): void;
  joinPair(pair: number, root: number, out: number): void;
}

const LEAF_BYTES = 1024;
const PAGE_BYTES = 64 << 10;

/** Bytes hashed in one call. A power of two of leaves, so that a block is a whole subtree. */
const BLOCK_BYTES = 256 << 10;
const BLOCK_LEAVES = BigInt(BLOCK_BYTES / LEAF_BYTES);

/** The flag of the last compression of a digest. */
const ROOT = 8;

/** The BLAKE3 digest of `data`. */
export function blake3(data: Uint8Array): Digest {
  return data.length <= BLOCK_BYTES
    ? digestFromBytes(kernel().hash(data, 0n, ROOT))
    : new Blake3().update(data).digest();
}

/** The BLAKE3 digest of content that comes in pieces. */
export class Blake3 {
  /** What was not hashed yet: whether it is the last block shows only when more comes. */
  readonly #rest = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #blocks = 0n;
  /** The chaining values of whole subtrees, biggest first: one for each bit that is set in `#blocks`. */
  readonly #subtrees: Uint8Array[] = [];

  /** Takes the next piece, which may be reused afterwards. */
  update(data: Uint8Array): this {
    for (let at = 0; at < data.length;) {
      if (this.#filled === BLOCK_BYTES) {
        this.#absorb(this.#rest);
        this.#filled = 0;
      }
      if (this.#filled === 0 && data.length - at > BLOCK_BYTES) {
        this.#absorb(data.subarray(at, at += BLOCK_BYTES));
      } else {
        const part = data.subarray(at, at + BLOCK_BYTES - this.#filled);
        this.#rest.set(part, this.#filled);
        this.#filled += part.length;
        at += part.length;
      }
    }
    return this;
  }

  /** The digest of all pieces so far. */
  digest(): Digest {
    const rest = this.#rest.subarray(0, this.#filled);
    let root = this.#subtrees.length === 0 ? ROOT : 0;
    let value = kernel().hash(rest, this.#blocks * BLOCK_LEAVES, root);
    for (let i = this.#subtrees.length - 1; i >= 0; i--) {
      root = i === 0 ? ROOT : 0;
      value = kernel().join(this.#subtrees[i], value, root);
    }
    return digestFromBytes(value);
  }

  /** Hashes a block after which more comes. */
  #absorb(block: Uint8Array): void {
    let value = kernel().hash(block, this.#blocks * BLOCK_LEAVES, 0);
    this.#blocks++;
    for (let pairs = this.#blocks; (pairs & 1n) === 0n; pairs >>= 1n) {
      value = kernel().join(this.#subtrees.pop()!, value, 0);
    }
    this.#subtrees.push(value);
  }
}

/** An instance of the module, and where in its memory things are. */
class Kernel {
  readonly #exports: Blake3Exports;
  readonly #input: number;
  readonly #row: number;
  readonly #scratch: number;
  readonly #memory: Uint8Array;
  readonly #view: DataView;

  constructor() {
    const module = new WebAssembly.Module(Uint8Array.fromBase64(BLAKE3_WASM));
    this.#exports = new WebAssembly.Instance(module).exports as unknown as Blake3Exports;
    const { memory } = this.#exports;
    const scratchBytes = 2 * DIGEST_BYTES * BLOCK_BYTES / LEAF_BYTES;
    // The first page is the module's own.
    this.#input = PAGE_BYTES * memory.grow(1 + Math.ceil((BLOCK_BYTES + scratchBytes) / PAGE_BYTES));
    this.#scratch = this.#input + BLOCK_BYTES;
    this.#row = this.#scratch + scratchBytes;
    this.#memory = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
  }

  /**
   * Hashes `data`, of at most a block.
   *
   * @param counter Leaves before it.
   */
  hash(data: Uint8Array, counter: bigint, root: number): Uint8Array {
    this.#memory.set(data, this.#input);
    this.#view.setUint32(this.#row + DIGEST_BYTES, data.length, true);
    this.#exports.digestRows(this.#input, this.#row, 1, counter, root, this.#scratch);
    return this.#memory.slice(this.#row, this.#row + DIGEST_BYTES);
  }

  /** The chaining value or, with `root`, the digest of two subtrees. */
  join(left: Uint8Array, right: Uint8Array, root: number): Uint8Array {
    this.#memory.set(left, this.#input);
    this.#memory.set(right, this.#input + DIGEST_BYTES);
    this.#exports.joinPair(this.#input, root, this.#row);
    return this.#memory.slice(this.#row, this.#row + DIGEST_BYTES);
  }
}

let onlyKernel: Kernel | undefined;

/** Made at the first use, so that a program that hashes nothing does not wait for it. */
function kernel(): Kernel {
  return onlyKernel ??= new Kernel();
}
