import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { createHash } from "node:crypto";
import { isDigest } from "../core/digest.ts";
import { Sha256, sha256 } from "./sha256.ts";

// FIPS 180-2, appendix B, and the empty message.
const KNOWN: [string, string][] = [
  ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  ],
  ["a".repeat(1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
];

Deno.test("sha256() and Sha256 give the known vectors", () => {
  for (const [text, expected] of KNOWN) {
    const data = new TextEncoder().encode(text);
    assertEquals<string>(sha256(data), expected);
    assertEquals<string>(new Sha256().update(data).digest(), expected);
    assertEquals(isDigest(sha256(data)), true);
  }
});

Deno.test("Sha256 of any pieces, even parts of one buffer, is sha256() of the whole", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (pieces) => {
    const whole = new Uint8Array(pieces.flatMap((piece) => [...piece]));
    const stream = new Sha256();
    const reused = new Uint8Array(300);
    for (const piece of pieces) {
      reused.set(piece);
      stream.update(reused.subarray(0, piece.length));
    }
    const expected = createHash("sha256").update(whole).digest("hex");
    assertEquals<string>(stream.digest(), expected);
    assertEquals<string>(sha256(whole), expected);
  }));
});

Deno.test("Sha256.digest() answers once", () => {
  const stream = new Sha256();
  stream.digest();
  assertThrows(() => stream.digest());
});
