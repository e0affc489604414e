import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SHELLS } from "../src/cli/completions.ts";
import { checkExecutable, checksums, documents, parseBases } from "./release.ts";

/** First bytes of executables, as their formats have them. */
const HEADERS: Record<string, string> = {
  "x86_64-unknown-linux-gnu": "7f454c460201010000000000000000000300" + "3e00",
  "aarch64-unknown-linux-gnu": "7f454c460201010000000000000000000300" + "b700",
  "x86_64-pc-windows-msvc": "4d5a90000300000004000000ffff0000b8000000",
  "x86_64-apple-darwin": "cffaedfe07000001030000000200000012000000",
  "aarch64-apple-darwin": "cffaedfe0c000001000000000200000012000000",
};

Deno.test("checkExecutable() takes what is for the target, and nothing else", () => {
  for (const target of Object.keys(HEADERS)) {
    for (const [made, header] of Object.entries(HEADERS)) {
      const check = () => checkExecutable(Uint8Array.fromHex(header), target);
      if (made === target) check();
      else assertThrows(check, Error, "for another system");
    }
  }
  assertThrows(() => checkExecutable(new Uint8Array(20), "x86_64-pc-windows-msvc"));
});

Deno.test("parseBases() reads TRIPLE=FILE", () => {
  const [[target, file]] = parseBases(["x86_64-pc-windows-msvc=/a/b=c"]);
  assertEquals([target, file], ["x86_64-pc-windows-msvc", "/a/b=c"]);
  for (const wrong of ["/a/b", "vax=/a", "x86_64-pc-windows-msvc="]) assertThrows(() => parseBases([wrong]));
});

Deno.test("checksums() writes what sha256sum writes", () => {
  assertEquals(
    checksums([{ name: "a.tar.gz", data: new TextEncoder().encode("abc") }]),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.tar.gz\n",
  );
});

Deno.test("documents() are the manual page and a script for every shell", async () => {
  const files = await documents("2026-11-21");
  assertEquals(files.length, 1 + SHELLS.length);
  for (const { name, data } of files) {
    assertStringIncludes(new TextDecoder().decode(data), "template", name);
  }
});
