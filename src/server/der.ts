/**
 * DER, the encoding of certificates and keys: ITU-T X.690. Only writing, and only what
 * `certificate.ts` needs.
 *
 * @module
 */

/** A value with its tag and length before it. */
export type Der = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

/** A value of any tag. */
export function der(tag: number, ...contents: Uint8Array[]): Der {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  const head = [tag, ...lengthOf(length)];
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  let at = head.length;
  for (const content of contents) {
    bytes.set(content, at);
    at += content.length;
  }
  return bytes;
}

export const sequence = (...contents: Uint8Array[]): Der => der(0x30, ...contents);
export const set = (...contents: Uint8Array[]): Der => der(0x31, ...contents);
export const octetString = (content: Uint8Array): Der => der(0x04, content);
export const utf8String = (text: string): Der => der(0x0c, encoder.encode(text));
export const boolean = (value: boolean): Der => der(0x01, Uint8Array.of(value ? 0xff : 0));

/** Whole bytes as a bit string. */
export function bitString(content: Uint8Array): Der {
  return der(0x03, Uint8Array.of(0), content);
}

/** A number that is not negative, big-endian. */
export function unsigned(bytes: Uint8Array): Der {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const shortest = bytes.subarray(start);
  // A first bit that is set would make it negative.
  return shortest[0] >= 0x80 ? der(0x02, Uint8Array.of(0), shortest) : der(0x02, shortest);
}

/** An object identifier, such as `1.2.840.10045.2.1`. */
export function objectId(dotted: string): Der {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  return der(0x06, Uint8Array.from([40 * first + second, ...rest].flatMap(base128)));
}

/** A time, to the second: UTCTime until 2049, then GeneralizedTime, as RFC 5280 demands. */
export function time(milliseconds: number): Der {
  const text = new Date(milliseconds).toISOString().replace(/\.\d+|[-:T]/g, "");
  return Number(text.slice(0, 4)) < 2050
    ? der(0x17, encoder.encode(text.slice(2)))
    : der(0x18, encoder.encode(text));
}

/** `label` and the bytes, as text (RFC 7468). */
export function pem(label: string, bytes: Uint8Array): string {
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `-----BEGIN ${label}-----\n${base64.match(/.{1,64}/g)!.join("\n")}\n-----END ${label}-----\n`;
}

/** The bytes in the first block of `text` with this label, or `undefined`. */
export function fromPem(label: string, text: string): Uint8Array<ArrayBuffer> | undefined {
  const [, base64] = text.match(new RegExp(`-----BEGIN ${label}-----([^-]*)-----END ${label}-----`)) ?? [];
  if (base64 === undefined) return undefined;
  return Uint8Array.from(atob(base64.replace(/\s/g, "")), (character) => character.charCodeAt(0));
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

function base128(number: number): number[] {
  const bytes = [number & 0x7f];
  for (let rest = number >>> 7; rest > 0; rest >>>= 7) bytes.unshift(0x80 | (rest & 0x7f));
  return bytes;
}
