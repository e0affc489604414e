import { assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { randomBytes } from "../../tests/support/bytes.ts";
import { Blake3, blake3 } from "./blake3.ts";

/** Lengths and digests of the official test vectors, and some around our blocks, by the reference `b3sum`. */
const KNOWN: [number, string][] = [
  [0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"],
  [1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"],
  [2, "7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63"],
  [3, "e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f"],
  [4, "f30f5ab28fe047904037f77b6da4fea1e27241c5d132638d8bedce9d40494f32"],
  [5, "b40b44dfd97e7a84a996a91af8b85188c66c126940ba7aad2e7ae6b385402aa2"],
  [6, "06c4e8ffb6872fad96f9aaca5eee1553eb62aed0ad7198cef42e87f6a616c844"],
  [7, "3f8770f387faad08faa9d8414e9f449ac68e6ff0417f673f602a646a891419fe"],
  [8, "2351207d04fc16ade43ccab08600939c7c1fa70a5c0aaca76063d04c3228eaeb"],
  [63, "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b"],
  [64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"],
  [65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee"],
  [127, "d81293fda863f008c09e92fc382a81f5a0b4a1251cba1634016a0f86a6bd640d"],
  [128, "f17e570564b26578c33bb7f44643f539624b05df1a76c81f30acd548c44b45ef"],
  [129, "683aaae9f3c5ba37eaaf072aed0f9e30bac0865137bae68b1fde4ca2aebdcb12"],
  [1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11"],
  [1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"],
  [1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"],
  [2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"],
  [2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"],
  [3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"],
  [3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3"],
  [4096, "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969"],
  [4097, "9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995"],
  [5120, "9cadc15fed8b5d854562b26a9536d9707cadeda9b143978f319ab34230535833"],
  [5121, "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff"],
  [6144, "3e2e5b74e048f3add6d21faab3f83aa44d3b2278afb83b80b3c35164ebeca205"],
  [6145, "f1323a8631446cc50536a9f705ee5cb619424d46887f3c376c695b70e0f0507f"],
  [7168, "61da957ec2499a95d6b8023e2b0e604ec7f6b50e80a9678b89d2628e99ada77a"],
  [7169, "a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817"],
  [8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63"],
  [8193, "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b"],
  [16384, "f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4"],
  [31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"],
  [102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"],
  [262143, "4fbb10c248894f1b56ec8298555b96e597147150a061b1cf1af19f16dbc0557b"],
  [262144, "d57dc906e20d3fd326ffaa85535500486f46a0979f5a323f028dcabfd381fd4a"],
  [262145, "531c319935cf78f34869faebd865e5748266b1799039103bfb851a680d9ed30c"],
  [524288, "b467afa334cd7dedd76e3a9a4b0e8a5ed278713f2f4e220a682aa30c7fcd140b"],
  [524289, "7978ac1ee80f7f7c115d25551f9c54cb3a2974cfcb8f5ab93de706350d143286"],
  [786432, "acca1229e537587e75108d1a25c3e28d7ce8036556137dc2973d9289187e58d4"],
  [1000000, "5e82c663d164c54e4fcdfcd70e3ca464662228bdbad45cce2e0c2bff999064ef"],
  [4194304, "4e94e6f582581a0f3855f3ce504b153e951e65036fe9e2f010b7e25473c54f98"],
  [4194305, "0460893a0170917e0d568bb27c0287984d4f7e9d59eafb95e6fb3c01ec611eab"],
];

/** The input of the official test vectors. */
function vectorInput(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i % 251);
}

/** Hashes `data` in pieces of the given lengths, taken in turn, all in one buffer that is used again. */
function stream(data: Uint8Array, lengths: number[]): string {
  const hash = new Blake3();
  const buffer = new Uint8Array(Math.max(...lengths));
  for (let at = 0, i = 0; at < data.length; i++) {
    const piece = data.subarray(at, at += lengths[i % lengths.length]);
    buffer.set(piece);
    hash.update(buffer.subarray(0, piece.length));
  }
  return hash.digest();
}

Deno.test("blake3() and Blake3 give the known vectors", () => {
  for (const [length, expected] of KNOWN) {
    const data = vectorInput(length);
    assertEquals<string>(blake3(data), expected, `${length} bytes`);
    assertEquals<string>(new Blake3().update(data).digest(), expected, `${length} bytes, as a stream`);
  }
});

Deno.test("Blake3 of any pieces, even parts of one buffer, is blake3() of the whole", () => {
  const data = randomBytes(1, 2_500_000);
  const length = fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 1_000_000 }));
  fc.assert(
    fc.property(fc.nat(data.length), fc.array(length, { minLength: 1, maxLength: 5 }), (size, lengths) => {
      const content = data.subarray(0, size);
      assertEquals<string>(stream(content, [...lengths, 300_000]), blake3(content));
    }),
    { numRuns: 30 },
  );
});

Deno.test("blake3() depends on every byte, at the edges of leaves and blocks too", () => {
  const data = randomBytes(2, 600_000);
  const before = blake3(data);
  for (const at of [0, 63, 64, 1023, 1024, 262_143, 262_144, 524_288, 599_999]) {
    data[at] ^= 1;
    assertNotEquals(blake3(data), before, `byte ${at}`);
    data[at] ^= 1;
  }
  assertEquals(blake3(data), before);
});

Deno.test("Blake3.digest() is of the pieces so far, and other streams do not disturb it", () => {
  const [a, b] = [randomBytes(3, 700_000), randomBytes(4, 900_000)];
  const [first, second] = [new Blake3(), new Blake3()];
  for (let at = 0; at < 900_000; at += 100_000) {
    first.update(a.subarray(at, at + 100_000));
    second.update(b.subarray(at, at + 100_000));
    assertEquals(first.digest(), blake3(a.subarray(0, at + 100_000)));
    assertEquals(second.digest(), blake3(b.subarray(0, at + 100_000)));
  }
});
