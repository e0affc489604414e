import { assertEquals, assertMatch } from "@std/assert";
import { guess, Preview } from "./preview.tsx";

const bytes = (text: string) => new TextEncoder().encode(text);
const kindOf = (content: Uint8Array) => guess(content).kind;
const shown = (content: Uint8Array, size = content.length) =>
  String(Preview({ beginning: content, size, picture: "/picture?path=x" }));

Deno.test("guess() takes for a picture only what a browser runs nothing of, whatever its name", () => {
  assertEquals(guess(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10)), {
    kind: "picture",
    type: "image/png",
  });
  assertEquals(guess(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0)), { kind: "picture", type: "image/jpeg" });
  assertEquals(kindOf(bytes("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")), "text");
  assertEquals(kindOf(bytes("<html>GIF89a")), "text");
  assertEquals(kindOf(bytes("%PDF-1.7\n\x00")), "bytes");
});

Deno.test("guess() takes for text what is UTF-8, also when its last character is cut", () => {
  assertEquals(kindOf(bytes("a\tb\r\nü")), "text");
  assertEquals(kindOf(bytes("aü").subarray(0, 2)), "text");
  assertEquals(kindOf(Uint8Array.of(0x61, 0xfc, 0x62)), "bytes");
  assertEquals(kindOf(Uint8Array.of(0)), "bytes");
});

Deno.test("Preview() shows nothing as it is that could mislead, and says how much it shows", () => {
  assertMatch(shown(bytes("<b>\u202e\ttab\nline")), /&lt;b&gt;\\u202e\ttab\nline/);
  assertMatch(shown(bytes("begin"), 10_000), /The first 5 B of 9\.8 KiB/);
  assertMatch(shown(Uint8Array.of(0, 65, 255)), /000000 {2}00 41 ff +\.A\./);
  assertMatch(shown(bytes("")), /It is empty/);
  assertMatch(shown(bytes("GIF89a"), 1e9), /<pre/);
});
