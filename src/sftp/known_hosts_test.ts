import { assertEquals } from "@std/assert";
import { algorithmsFor, hostName, judgeKey, keyType, knownHostsLine, knownKeys } from "./known_hosts.ts";

/** A key as it comes over the wire: its type, then something. */
function keyOf(type: string, rest: number): Uint8Array {
  return new Uint8Array([0, 0, 0, type.length, ...new TextEncoder().encode(type), rest]);
}

const ed = keyOf("ssh-ed25519", 1);
const rsa = keyOf("ssh-rsa", 2);
const base64 = (key: Uint8Array) => new Uint8Array(key).toBase64();
const typesOf = (text: string, host: string, port = 22) =>
  knownKeys(text, host, port).map(({ type }) => type);

Deno.test("knownKeys() finds a host by name, list, wildcard and port", () => {
  const text = `# a comment
backup.lan,192.0.2.7 ssh-ed25519 ${base64(ed)} somebody
*.example,!bad.example ssh-rsa ${base64(rsa)}
[backup.lan]:2222 ssh-rsa ${base64(rsa)}
nonsense
@cert-authority backup.lan ssh-rsa ${base64(rsa)}
`;
  assertEquals(typesOf(text, "backup.lan"), ["ssh-ed25519"]);
  assertEquals(typesOf(text, "BACKUP.lan"), ["ssh-ed25519"]);
  assertEquals(typesOf(text, "192.0.2.7"), ["ssh-ed25519"]);
  assertEquals(typesOf(text, "backup.lan", 2222), ["ssh-rsa"]);
  assertEquals(typesOf(text, "a.example"), ["ssh-rsa"]);
  assertEquals(typesOf(text, "bad.example"), []);
  assertEquals(typesOf(text, "backupxlan"), []);
});

Deno.test("knownKeys() finds a host whose name is hashed", () => {
  // As OpenSSH writes 192.168.1.61.
  const salt = "F1E1KeoE/eEWhi10WpGv4OdiO6Y=";
  const hash = "3988QV0VE8wmZL7suNrYQLITLCg=";
  const line = `|1|${salt}|${hash} ssh-rsa ${base64(rsa)}\n`;
  assertEquals(typesOf(line, "192.168.1.61"), ["ssh-rsa"]);
  assertEquals(typesOf(line, "192.168.1.62"), []);
});

Deno.test("knownKeys() passes over lines that are damaged, and keys of the first protocol", () => {
  const text = `|1|!!!|abc ssh-rsa ${base64(rsa)}\n|1|abc\n@revoked\nh 1024 35 123456\nh ssh-ed25519 ${
    base64(ed)
  }\n`;
  assertEquals(typesOf(text, "h"), ["ssh-ed25519"]);
});

Deno.test("judgeKey() trusts only the key that is known, and no revoked one", () => {
  const known = knownKeys(knownHostsLine("h", 22, ed), "h", 22);
  assertEquals(judgeKey(known, ed), "known");
  assertEquals(judgeKey(known, rsa), "changed");
  assertEquals(judgeKey([], ed), "unknown");
  const revoked = knownKeys(`@revoked h ssh-rsa ${base64(rsa)}\n${knownHostsLine("h", 22, rsa)}`, "h", 22);
  assertEquals(judgeKey(revoked, rsa), "revoked");
  assertEquals(judgeKey(revoked.slice(0, 1), ed), "unknown");
});

Deno.test("knownHostsLine() makes what knownKeys() finds", () => {
  for (const port of [22, 2022]) {
    const line = knownHostsLine("Host.example", port, ed);
    assertEquals(knownKeys(line, "host.example", port), [
      { type: "ssh-ed25519", key: base64(ed), revoked: false },
    ]);
  }
  assertEquals([hostName("H", 22), hostName("::1", 23), keyType(rsa)], ["h", "[::1]:23", "ssh-rsa"]);
});

Deno.test("algorithmsFor() asks for signatures that servers still make with RSA keys", () => {
  assertEquals(algorithmsFor(["ssh-rsa", "ssh-ed25519", "ssh-rsa"]), [
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
    "ssh-ed25519",
  ]);
});

Deno.test("algorithmsFor() asks for nothing that we could not check", () => {
  const sk = "sk-ssh-ed25519@openssh.com";
  assertEquals(algorithmsFor([sk, "ssh-ed25519"]), ["ssh-ed25519"]);
  // Whatever else the host shows is not the key that is known.
  assertEquals(algorithmsFor([sk]), []);
  assertEquals(judgeKey(knownKeys(`h ${sk} ${base64(keyOf(sk, 1))}`, "h", 22), ed), "changed");
});
