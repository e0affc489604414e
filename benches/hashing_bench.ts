/** SHA-256 and BLAKE3 of a chunk, of a small file, and of a stream. @module */
import { Blake3, blake3 } from "../src/hashing/blake3.ts";
import { Sha256, sha256 } from "../src/hashing/sha256.ts";
import { randomBytes } from "../tests/support/bytes.ts";

const MIB = 1 << 20;
const data = randomBytes(1, 64 * MIB);
const chunk = data.subarray(0, 16 << 10);
const tiny = data.subarray(0, 100);

Deno.bench("sha256(): 100 bytes", () => {
  sha256(tiny);
});

Deno.bench("blake3(): 100 bytes", () => {
  blake3(tiny);
});

Deno.bench("sha256(): 16 KiB", () => {
  sha256(chunk);
});

Deno.bench("blake3(): 16 KiB", () => {
  blake3(chunk);
});

for (const [name, Hash] of [["Sha256", Sha256], ["Blake3", Blake3]] as const) {
  Deno.bench(`${name}: 64 MiB in blocks of 1 MiB`, () => {
    const stream = new Hash();
    for (let at = 0; at < data.length; at += MIB) stream.update(data.subarray(at, at + MIB));
    stream.digest();
  });
}
