import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { Home, jsonLines } from "../../tests/support/run_command.ts";
import { sha256 } from "../hashing/sha256.ts";

function makeTree(directory: string): void {
  Deno.mkdirSync(`${directory}/docs/empty`, { recursive: true });
  Deno.writeTextFileSync(`${directory}/docs/read me.txt`, "hello\n");
  Deno.writeTextFileSync(`${directory}/docs.txt`, "");
  Deno.writeTextFileSync(`${directory}/line\nfeed`, "x");
  Deno.symlinkSync("docs/nowhere", `${directory}/link`);
}

Deno.test("digest is the same for equal trees, and the SHA-256 of its own listing", async () => {
  using home = new Home();
  const [a, b] = [home.directory("a"), home.directory("b")];
  makeTree(a);
  makeTree(b);
  Deno.mkdirSync(`${b}/.filesync`);
  const [first, second] = [await home.run("digest", a), await home.run("digest", b)];
  assertEquals(first.code, 0);
  assertMatch(first.out, /^[0-9a-f]{64} {2}/);
  assertEquals(first.out.slice(0, 64), second.out.slice(0, 64));
  const listing = await home.run("digest", "--list", a);
  assertEquals(sha256(new TextEncoder().encode(listing.out)), first.out.slice(0, 64));
  assertEquals(listing.out.split("\n").map((line) => line.replace(/ [0-9a-f]{64} /, " - ")), [
    "d - docs",
    "f - docs.txt",
    "d - docs/empty",
    "f - docs/read me.txt",
    "f - line\\nfeed",
    "l - link",
    "",
  ]);
});

Deno.test("digest changes with content, and leaves out what is ignored", async () => {
  using home = new Home();
  const a = home.directory("a");
  makeTree(a);
  const before = await home.run("digest", a);
  Deno.writeTextFileSync(`${a}/more.tmp`, "more");
  assertNotEquals((await home.run("digest", a)).out, before.out);
  assertEquals((await home.run("digest", a, "-i", "*.tmp")).out, before.out);
});

Deno.test("digest --json counts, and ends with 1 when a name cannot be taken", async () => {
  using home = new Home();
  const a = home.directory("a");
  makeTree(a);
  const { code, out } = await home.run("digest", a, "--json");
  assertEquals(code, 0);
  const [{ files, directories, links, bytes }] = jsonLines(out);
  assertEquals({ files, directories, links, bytes }, { files: 3, directories: 2, links: 1, bytes: 7 });
  const missing = await home.run("digest", `${a}/none`);
  assertEquals(missing.code, 1);
  assertStringIncludes(missing.err, "Create it, or correct the path");
});
