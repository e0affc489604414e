import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { FakeClock } from "../../tests/support/fake_clock.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { FilesyncError } from "../core/errors.ts";
import { readOrMakeCertificate } from "./certificate.ts";

const DAY = 24 * 3_600_000;
const HOSTS = ["localhost", "backup.lan", "127.0.0.1", "::1", "2001:db8::17", "10.1.2.3"];

/** What OpenSSL reads in a certificate; `undefined` where there is no OpenSSL. */
async function openssl(...args: string[]): Promise<string | undefined> {
  try {
    const { success, stdout, stderr } = await new Deno.Command("openssl", { args }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert(success, text);
    return text;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

Deno.test("readOrMakeCertificate() makes a certificate that OpenSSL reads and verifies", async () => {
  using temp = new TempDirectory();
  const clock = new FakeClock(Date.parse("2026-03-01T00:00:00Z"));
  const { cert, key } = await readOrMakeCertificate(temp.path, HOSTS, clock);
  const path = `${temp.path}/tls-cert.pem`;
  assertEquals(Deno.readTextFileSync(path), cert);
  assertEquals(Deno.readTextFileSync(`${temp.path}/tls-key.pem`), key);
  if (Deno.build.os !== "windows") {
    assertEquals(Deno.statSync(`${temp.path}/tls-key.pem`).mode! & 0o777, 0o600);
  }

  const known = new X509Certificate(cert);
  assert(known.verify(known.publicKey));
  assertEquals(known.ca, false);
  assertEquals([known.checkHost("backup.lan"), known.checkHost("other.lan")], ["backup.lan", undefined]);
  assertEquals([known.checkIP("10.1.2.3"), known.checkIP("10.1.2.4")], ["10.1.2.3", undefined]);

  const text = await openssl("x509", "-in", path, "-noout", "-text");
  if (text === undefined) return;
  assertMatch(text, /Version: 3 \(0x2\)/);
  assertMatch(text, /Signature Algorithm: ecdsa-with-SHA256/);
  assertMatch(text, /Issuer: CN ?= ?filesync/);
  assertMatch(text, /Not Before: Feb 27 .* 2026 GMT/);
  assertMatch(text, /ASN1 OID: prime256v1/);
  assertMatch(text, /Basic Constraints: critical\s+CA:FALSE/);
  assertMatch(text, /Key Usage: critical\s+Digital Signature\n/);
  assertMatch(text, /TLS Web Server Authentication/);
  assertMatch(
    text,
    /DNS:localhost, DNS:backup\.lan, IP Address:127\.0\.0\.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:0:0:17, IP Address:10\.1\.2\.3/,
  );
  assertMatch((await openssl("verify", "-CAfile", path, "-attime", `${clock.now() / 1_000}`, path))!, /: OK/);
});

Deno.test("readOrMakeCertificate() keeps the key for ever, and the certificate while it fits", async () => {
  using temp = new TempDirectory();
  const clock = new FakeClock(Date.parse("2026-03-01T00:00:00Z"));
  const make = (hosts: string[]) => readOrMakeCertificate(temp.path, hosts, clock);
  const first = await make(["a.lan"]);
  assertEquals(await make(["a.lan"]), first);
  const wider = await make(["a.lan", "b.lan"]);
  assertEquals(wider.key, first.key);
  assertNotEquals(wider.cert, first.cert);
  assertEquals(await make(["b.lan"]), wider, "one that names more than is needed fits");
  await clock.advance(3_600 * DAY);
  const renewed = await make(["b.lan"]);
  assertEquals(renewed.key, first.key);
  assertNotEquals(renewed.cert, wider.cert);
  Deno.writeTextFileSync(`${temp.path}/tls-cert.pem`, "damaged");
  assertEquals((await make(["b.lan"])).key, first.key);
  const spki = (pem: string) => new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" });
  assertEquals(spki(renewed.cert), spki(first.cert));
});

Deno.test("readOrMakeCertificate() refuses a key that is damaged or not private", async () => {
  using temp = new TempDirectory();
  const clock = new FakeClock();
  const path = `${temp.path}/tls-key.pem`;
  Deno.writeTextFileSync(path, "nonsense", { mode: 0o600 });
  const damaged = await assertRejects(() => readOrMakeCertificate(temp.path, ["a"], clock), FilesyncError);
  assertMatch(damaged.message, /^Cannot use the key in ".*": it is not a P-256 key/);
  if (Deno.build.os === "windows") return;
  Deno.chmodSync(path, 0o644);
  const open = await assertRejects(() => readOrMakeCertificate(temp.path, ["a"], clock), FilesyncError);
  assertEquals([open.code, open.hint], ["permission", `Run: chmod 600 "${path}"`]);
});

Deno.test("readOrMakeCertificate() writes times beyond 2049 as RFC 5280 wants them", async () => {
  using temp = new TempDirectory();
  const { cert } = await readOrMakeCertificate(
    temp.path,
    ["a"],
    new FakeClock(Date.parse("2045-01-01T00:00:00Z")),
  );
  assertEquals(new Date(new X509Certificate(cert).validTo).getUTCFullYear(), 2054);
});
