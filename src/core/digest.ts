/** Digests as they are written everywhere: 64 lower-case hexadecimal digits. @module */
import { FilesyncError } from "./errors.ts";

declare const checked: unique symbol;

/**
 * A digest, 64 lower-case hexadecimal digits: of a content SHA-256, what `sha256sum` prints; of a chunk
 * mostly BLAKE3 (`chunk.ts`).
 */
export type Digest = string & { readonly [checked]: true };

/** Bytes in a digest. */
export const DIGEST_BYTES = 32;

const PATTERN = /^[0-9a-f]{64}$/;

/** Whether `text` is a digest. */
export function isDigest(text: unknown): text is Digest {
  return typeof text === "string" && PATTERN.test(text);
}

/**
 * Checks a digest that comes from outside.
 *
 * @throws {FilesyncError} `bad-request` when it is not 64 lower-case hexadecimal digits.
 */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new FilesyncError({
    code: "bad-request",
    operation: `read the digest ${JSON.stringify(text.slice(0, 80))}`,
    reason: "it is not 64 lower-case hexadecimal digits",
    permanent: true,
  });
}

/** The digest in `bytes`, which must be {@linkcode DIGEST_BYTES} long. */
export function digestFromBytes(bytes: Uint8Array): Digest {
  if (bytes.length !== DIGEST_BYTES) throw new RangeError(`A digest has ${DIGEST_BYTES} bytes`);
  return bytes.toHex() as Digest;
}

/** The {@linkcode DIGEST_BYTES} bytes of `digest`. */
export function digestToBytes(digest: Digest): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(digest);
}
