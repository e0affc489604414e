/**
 * Deltas, version 1: a new content told by an old one, the base. Encoded, all numbers as varints:
 *
 *     1 byte    the version
 *     32 bytes  the base's SHA-256
 *     bytes of the new content
 *     number of operations
 *     for each  bytes of literals that go before it
 *               start of the copy in the base, from the end of the last copy, with a sign
 *               bytes of the copy, at least one
 *     all the literals; what is left of them after the last copy ends the new content
 *
 * The literals lie together, because so they compress best.
 *
 * @module
 */
import { type Digest, DIGEST_BYTES, digestFromBytes, digestToBytes } from "../core/digest.ts";
import { ByteReader, ByteWriter, MAX_VARINT_BYTES } from "./varint.ts";

const VERSION = 1;

/** Most bytes of all that is not operations and literals, and of one operation. */
const MAX_HEADER_BYTES = 1 + DIGEST_BYTES + 2 * MAX_VARINT_BYTES;
const MAX_OPERATION_BYTES = 3 * MAX_VARINT_BYTES;

/** A part of the new content: bytes that are in the base, or that come along. */
export type DeltaOperation =
  | { type: "copy"; start: number; length: number }
  | { type: "literal"; bytes: Uint8Array };

/** A delta that was decoded, and found to make sense in itself. */
export interface Delta {
  /** What the copies are from. */
  base: Digest;
  /** Bytes of the new content. */
  size: number;
  /** Bytes that the base must have: the end of the farthest copy. */
  baseSize: number;
  /** What the new content is made of, in order. */
  operations(): Generator<DeltaOperation>;
}

/** Puts a delta together, from the first byte of the new content to its last. */
export class DeltaBuilder {
  readonly #operations = new ByteWriter();
  readonly #literals = new ByteWriter();
  #count = 0;
  #copied = 0;
  #lastEnd = 0;
  /** The operation that may still grow. */
  #literalLength = 0;
  #copyStart = 0;
  #copyLength = 0;

  /** Bytes of the new content so far. */
  get size(): number {
    return this.#copied + this.#literals.length;
  }

  /** Bytes of it that go along. */
  get literalBytes(): number {
    return this.#literals.length;
  }

  /** What is copied from the base so far. */
  get copiedBytes(): number {
    return this.#copied;
  }

  /** What {@linkcode encode} would give now has no more bytes than this, and hardly fewer. */
  get encodedBytes(): number {
    return MAX_HEADER_BYTES + this.#operations.length + MAX_OPERATION_BYTES + this.#literals.length;
  }

  /** Goes on with `length` bytes of the base from `start`. */
  copy(start: number, length: number): void {
    if (length === 0) return;
    this.#copied += length;
    if (this.#copyLength > 0 && start === this.#copyStart + this.#copyLength) {
      this.#copyLength += length;
      return;
    }
    this.#flush();
    this.#copyStart = start;
    this.#copyLength = length;
  }

  /** Goes on with `bytes`, which may be reused afterwards. */
  literal(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#flush();
    this.#literals.write(bytes);
    this.#literalLength += bytes.length;
  }

  /**
   * The encoded delta.
   *
   * @param base What the copies are from.
   */
  encode(base: Digest): Uint8Array<ArrayBuffer> {
    this.#flush();
    const delta = new ByteWriter(this.encodedBytes);
    delta.write(new Uint8Array([VERSION]));
    delta.write(digestToBytes(base));
    delta.varint(this.size);
    delta.varint(this.#count);
    delta.write(this.#operations.bytes);
    delta.write(this.#literals.bytes);
    return delta.bytes;
  }

  #flush(): void {
    if (this.#copyLength === 0) return;
    this.#operations.varint(this.#literalLength);
    this.#operations.signed(this.#copyStart - this.#lastEnd);
    this.#operations.varint(this.#copyLength);
    this.#count++;
    this.#lastEnd = this.#copyStart + this.#copyLength;
    this.#literalLength = 0;
    this.#copyLength = 0;
  }
}

/**
 * Checks an encoded delta as a whole, without unfolding it.
 *
 * @throws {FilesyncError} `bad-request` when it is malformed.
 */
export function decodeDelta(encoded: Uint8Array): Delta {
  const reader = new ByteReader(encoded, "the delta");
  const [version] = reader.read(1);
  if (version !== VERSION) throw reader.fault(`it is of version ${version}, and only ${VERSION} is known`);
  const base = digestFromBytes(reader.read(DIGEST_BYTES));
  const size = reader.varint();
  const count = reader.varint();
  const start = reader.position;
  let literals = 0;
  let copied = 0;
  let baseSize = 0;
  for (const { literal, copyEnd, copyLength } of records(reader, count)) {
    literals += literal;
    copied += copyLength;
    baseSize = Math.max(baseSize, copyEnd);
    if (copied > size || literals > encoded.length) throw reader.fault("it makes more than its size");
  }
  const literalsStart = reader.position;
  if (reader.left < literals) throw reader.fault("it ends inside its literals");
  if (copied + reader.left !== size) throw reader.fault("it does not add up to its size");
  return {
    base,
    size,
    baseSize,
    *operations() {
      const again = new ByteReader(encoded, "the delta");
      again.position = start;
      let at = literalsStart;
      for (const { literal, copyEnd, copyLength } of records(again, count)) {
        if (literal > 0) yield { type: "literal", bytes: encoded.subarray(at, at += literal) };
        yield { type: "copy", start: copyEnd - copyLength, length: copyLength };
      }
      if (at < encoded.length) yield { type: "literal", bytes: encoded.subarray(at) };
    },
  };
}

/** The operations as they are written. Throws when a copy makes no sense. */
function* records(reader: ByteReader, count: number) {
  for (let copyEnd = 0; count > 0; count--) {
    const literal = reader.varint();
    const copyStart = copyEnd + reader.signed();
    const copyLength = reader.varint();
    if (copyStart < 0) throw reader.fault("a copy starts before the base");
    if (copyLength === 0) throw reader.fault("a copy is empty");
    copyEnd = copyStart + copyLength;
    if (!Number.isSafeInteger(copyEnd)) throw reader.fault("a copy ends too far away");
    yield { literal, copyEnd, copyLength };
  }
}
