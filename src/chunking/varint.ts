/**
 * Whole numbers in as few bytes as they need, for packed binary forms: seven bits a byte, the lowest
 * first, the high bit set on all bytes but the last (LEB128). Numbers with a sign go zigzag: 0, -1,
 * 1, -2, … become 0, 1, 2, 3, …
 *
 * @module
 */
import { FilesyncError } from "../core/errors.ts";

/** Bytes of the longest number, `Number.MAX_SAFE_INTEGER`. */
export const MAX_VARINT_BYTES = 8;

/** Collects bytes. */
export class ByteWriter {
  #buffer: Uint8Array<ArrayBuffer>;
  #length = 0;

  /** @param capacity Bytes that there is room for at first. @default {256} */
  constructor(capacity = 256) {
    this.#buffer = new Uint8Array(capacity);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written so far; a view, void after the next write. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Writes bytes as they are. */
  write(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /**
   * Writes a whole number that is not negative.
   *
   * @throws {RangeError} When it is anything else, or not a safe integer.
   */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`Cannot write ${value} as a varint`);
    this.#reserve(MAX_VARINT_BYTES);
    // Bit operations would cut it off at 32 bits.
    for (; value >= 0x80; value = Math.floor(value / 0x80)) {
      this.#buffer[this.#length++] = value % 0x80 | 0x80;
    }
    this.#buffer[this.#length++] = value;
  }

  /**
   * Writes a whole number with a sign.
   *
   * @throws {RangeError} When it is not within 2^52 of zero.
   */
  signed(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#length + bytes, this.#buffer.length * 2));
    grown.set(this.bytes);
    this.#buffer = grown;
  }
}

/** Takes apart what a {@linkcode ByteWriter} wrote; every method throws `bad-request` when it is malformed. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #at = 0;

  /** @param what What the bytes are, for the texts of errors: `the delta`. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** Where the next read starts. Settable. */
  get position(): number {
    return this.#at;
  }

  set position(position: number) {
    this.#at = position;
  }

  /** Bytes that were not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next `length` bytes, as a view. */
  read(length: number): Uint8Array {
    if (length > this.left) throw this.fault("it ends too early");
    return this.#bytes.subarray(this.#at, this.#at += length);
  }

  /** The next number that is not negative. */
  varint(): number {
    let value = 0;
    for (let unit = 1, digits = 1; digits <= MAX_VARINT_BYTES; unit *= 0x80, digits++) {
      if (this.left === 0) throw this.fault("it ends inside a number");
      const byte = this.#bytes[this.#at++];
      value += byte % 0x80 * unit;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        // One spelling for each number: what is stored can be compared by its bytes.
        if (byte === 0 && digits > 1) throw this.fault("a number is spelled longer than it is");
        return value;
      }
    }
    throw this.fault("a number is too great");
  }

  /** The next number with a sign. */
  signed(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** The error to throw when the bytes do not make sense. */
  fault(reason: string): FilesyncError {
    return new FilesyncError({
      code: "bad-request",
      operation: `read ${this.#what}`,
      reason,
      permanent: true,
    });
  }
}
