/**
 * A certificate that the server makes for itself: X.509 version 3 (RFC 5280), signed by its own key
 * (ECDSA with P-256 and SHA-256). No authority vouches for it; clients know it by its pin, the SHA-256
 * of its public key, which stays the same when the certificate is made anew.
 *
 * @module
 */
import { X509Certificate } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import { FilesyncError, osCode, toFilesyncError } from "../core/errors.ts";
import { replaceFile } from "../files/replace_file.ts";
import {
  bitString,
  boolean,
  der,
  fromPem,
  objectId,
  octetString,
  pem,
  sequence,
  set,
  time,
  unsigned,
  utf8String,
} from "./der.ts";

/** A certificate and its private key, in PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

const DAY_MS = 24 * 3_600_000;
/** A certificate is good for ten years: nobody but its pin vouches for it, and that does not age. */
const VALID_MS = 3_650 * DAY_MS;
/** One that is good for less than this is made anew. */
const LEAST_LEFT_MS = 90 * DAY_MS;
/** A client's clock may be that far behind. */
const BACKDATED_MS = 2 * DAY_MS;

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const ECDSA_WITH_SHA256 = sequence(objectId("1.2.840.10045.4.3.2"));

/**
 * The certificate in `directory` (`tls-cert.pem`, `tls-key.pem`). The key is made once, the certificate
 * when it is missing, does not name all of `hosts`, or is about to expire.
 *
 * @param hosts Names and addresses by which clients may reach the server.
 * @throws {FilesyncError} When the files cannot be read or written, the key is damaged, or others can read it.
 */
export async function readOrMakeCertificate(
  directory: string,
  hosts: readonly string[],
  clock: Clock,
): Promise<Certificate> {
  const keyPath = `${directory}/tls-key.pem`;
  const certPath = `${directory}/tls-cert.pem`;
  const key = readPrivate(keyPath) ?? await makeKey(keyPath);
  const known = readIfThere(certPath);
  if (known !== undefined && await fits(known, key, keyPath, hosts, clock.now())) return { cert: known, key };
  const cert = await makeCertificate(await importKeys(key, keyPath), hosts, clock.now());
  write(certPath, cert);
  return { cert, key };
}

/** A certificate for `hosts`, signed by its own key, in PEM. */
export async function makeCertificate(
  { privateKey, publicKey }: CryptoKeyPair,
  hosts: readonly string[],
  now: number,
): Promise<string> {
  const name = sequence(set(sequence(objectId("2.5.4.3"), utf8String("filesync"))));
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  const toBeSigned = sequence(
    der(0xa0, unsigned(Uint8Array.of(2))),
    unsigned(crypto.getRandomValues(new Uint8Array(16))),
    ECDSA_WITH_SHA256,
    name,
    sequence(time(now - BACKDATED_MS), time(now + VALID_MS)),
    name,
    spki,
    der(
      0xa3,
      sequence(
        // Of no use to sign others with.
        extension("2.5.29.19", sequence(), true),
        // digitalSignature
        extension("2.5.29.15", der(0x03, Uint8Array.of(7, 0x80)), true),
        // serverAuth
        extension("2.5.29.37", sequence(objectId("1.3.6.1.5.5.7.3.1"))),
        extension("2.5.29.17", sequence(...[...new Set(hosts)].map(generalName))),
      ),
    ),
  );
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, toBeSigned);
  const raw = new Uint8Array(signature);
  const signed = sequence(
    toBeSigned,
    ECDSA_WITH_SHA256,
    bitString(sequence(unsigned(raw.subarray(0, 32)), unsigned(raw.subarray(32)))),
  );
  return pem("CERTIFICATE", signed);
}

function extension(id: string, value: Uint8Array, critical = false): Uint8Array {
  return sequence(objectId(id), ...critical ? [boolean(true)] : [], octetString(value));
}

/** An alternative name of the subject: an address (tag 7) or a name (tag 2). */
function generalName(host: string): Uint8Array {
  const address = addressBytes(host);
  return address === undefined ? der(0x82, new TextEncoder().encode(host)) : der(0x87, address);
}

function addressBytes(host: string): Uint8Array | undefined {
  if (/^\d+(\.\d+){3}$/.test(host)) return Uint8Array.from(host.split("."), Number);
  if (!host.includes(":") || !URL.canParse(`http://[${host}]`)) return undefined;
  // The URL's own form has no dots in it.
  const [head, tail] = new URL(`http://[${host}]`).hostname.slice(1, -1).split("::");
  const parse = (text = "") => text === "" ? [] : text.split(":").map((group) => parseInt(group, 16));
  const [first, last] = [parse(head), parse(tail)];
  const groups = [...first, ...Array(8 - first.length - last.length).fill(0), ...last];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** Whether a certificate can go on being used. */
async function fits(
  cert: string,
  key: string,
  keyPath: string,
  hosts: readonly string[],
  now: number,
): Promise<boolean> {
  const { publicKey } = await importKeys(key, keyPath);
  try {
    const known = new X509Certificate(cert);
    const [mine, its] = [
      await crypto.subtle.exportKey("spki", publicKey),
      known.publicKey.export({ type: "spki", format: "der" }),
    ];
    return new Uint8Array(mine).every((byte, i) => byte === its[i]) &&
      Date.parse(known.validFrom) <= now && Date.parse(known.validTo) > now + LEAST_LEFT_MS &&
      hosts.every((host) => names(known, host));
  } catch {
    return false;
  }
}

function names(certificate: X509Certificate, host: string): boolean {
  const found = addressBytes(host) === undefined ? certificate.checkHost(host) : certificate.checkIP(host);
  return found !== undefined;
}

async function makeKey(path: string): Promise<string> {
  const { privateKey } = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const key = pem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey)));
  write(path, key);
  return key;
}

/** Both keys from the private one in PEM. */
async function importKeys(key: string, path: string): Promise<CryptoKeyPair> {
  try {
    const privateKey = await crypto.subtle.importKey("pkcs8", fromPem("PRIVATE KEY", key)!, ALGORITHM, true, [
      "sign",
    ]);
    const { d: _d, key_ops: _ops, ...open } = await crypto.subtle.exportKey("jwk", privateKey);
    return { privateKey, publicKey: await crypto.subtle.importKey("jwk", open, ALGORITHM, true, ["verify"]) };
  } catch (cause) {
    throw new FilesyncError({
      code: "usage",
      operation: `use the key in "${path}"`,
      reason: "it is not a P-256 key as filesync writes it",
      hint: "Remove it, and a new one will be made; clients then need the new --tls-pin",
      permanent: true,
      cause,
    });
  }
}

function readPrivate(path: string): string | undefined {
  const text = readIfThere(path);
  if (text === undefined || Deno.build.os === "windows") return text;
  if ((Deno.statSync(path).mode! & 0o077) === 0) return text;
  throw new FilesyncError({
    code: "permission",
    operation: `use the key in "${path}"`,
    reason: "others can read it",
    hint: `Run: chmod 600 "${path}"`,
    permanent: true,
  });
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (osCode(error) === "ENOENT") return undefined;
    throw toFilesyncError(`read "${path}"`, error);
  }
}

function write(path: string, text: string): void {
  try {
    // Clients have the key's pin: it must not go with the power.
    replaceFile(path, text, 0o600);
  } catch (error) {
    throw toFilesyncError(`write "${path}"`, error);
  }
}
