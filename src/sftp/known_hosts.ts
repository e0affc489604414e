/**
 * OpenSSH's `known_hosts`: which key a host showed before. Format: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { fitsHost } from "./host_patterns.ts";

/** A key that a file knows for a host. */
export interface KnownKey {
  /** Such as `ssh-ed25519`. */
  type: string;
  /** Base64. */
  key: string;
  /** Whether it must not be trusted any more. */
  revoked: boolean;
}

/** What is to be thought of the key that a host shows. */
export type HostVerdict = "known" | "unknown" | "changed" | "revoked";

/** How a host is named in the files: with its port when that is not 22. */
export function hostName(host: string, port: number): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
}

/** The keys that `text`, the content of a file, knows for a host; certificates of authorities are passed over. */
export function knownKeys(text: string, host: string, port: number): KnownKey[] {
  const name = hostName(host, port);
  return text.split("\n").flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const mark = words[0]?.startsWith("@") ? words.shift() : undefined;
    const [patterns, type, key] = words;
    if (key === undefined || patterns.startsWith("#") || mark === "@cert-authority") return [];
    // Of the first version of the protocol: a number of bits, an exponent, a modulus.
    if (/^\d+$/.test(type)) return [];
    return isMeant(patterns, name) ? [{ type, key, revoked: mark === "@revoked" }] : [];
  });
}

/** Judges the key, as it came over the wire, of a host for which `known` is known. */
export function judgeKey(known: readonly KnownKey[], key: Uint8Array): HostVerdict {
  const same = known.filter((one) => one.key === toBase64(key));
  if (same.some(({ revoked }) => revoked)) return "revoked";
  if (same.length > 0) return "known";
  return known.some(({ revoked }) => !revoked) ? "changed" : "unknown";
}

/** The line that makes a key known. */
export function knownHostsLine(host: string, port: number, key: Uint8Array): string {
  return `${hostName(host, port)} ${keyType(key)} ${toBase64(key)}\n`;
}

/** The kind of a key as it came over the wire: its first string. */
export function keyType(key: Uint8Array): string {
  const length = new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(0);
  return new TextDecoder().decode(key.subarray(4, 4 + length));
}

/** By what keys of each type are asked for. Of others, such as those of security keys, no signature can be checked here. */
const ALGORITHMS: Record<string, readonly string[]> = {
  "ssh-ed25519": ["ssh-ed25519"],
  "ecdsa-sha2-nistp256": ["ecdsa-sha2-nistp256"],
  "ecdsa-sha2-nistp384": ["ecdsa-sha2-nistp384"],
  "ecdsa-sha2-nistp521": ["ecdsa-sha2-nistp521"],
  "ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
  "ssh-dss": ["ssh-dss"],
};

/** The names under which a server can be asked for keys of these types, to be shown one that is known. */
export function algorithmsFor(types: Iterable<string>): string[] {
  return [...new Set(types)].flatMap((type) => Object.hasOwn(ALGORITHMS, type) ? ALGORITHMS[type] : []);
}

function isMeant(patterns: string, name: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|(.+)$/.exec(patterns) ?? [];
  if (hash !== undefined) {
    return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash;
  }
  return fitsHost(patterns.split(","), name);
}

function toBase64(bytes: Uint8Array): string {
  return new Uint8Array(bytes).toBase64();
}
