import { assertEquals } from "@std/assert";
import type { Digest } from "./digest.ts";
import { type Entry, permissionBits, sameContent, sameEntry } from "./entry.ts";
import { parsePath } from "./path.ts";

const path = parsePath("a");
const file: Entry = { kind: "file", path, size: 1, mtime: 2, mode: 0o644, digest: "a".repeat(64) as Digest };
const directory: Entry = { kind: "directory", path, mtime: 2, mode: 0o755 };
const link: Entry = { kind: "symlink", path, mtime: 2, target: "t" };

Deno.test("permissionBits() drops set-user-ID always, and set-group-ID and sticky of files", () => {
  assertEquals(permissionBits("file", 0o107777), 0o777);
  assertEquals(permissionBits("directory", 0o47777), 0o3777);
  assertEquals(permissionBits("file", 0o100640), 0o640);
});

Deno.test("sameContent() looks at kind and content only", () => {
  for (const entry of [file, directory, link]) {
    for (const other of [file, directory, link]) assertEquals(sameContent(entry, other), entry === other);
    assertEquals(sameContent(entry, { ...entry, mtime: 9, path: parsePath("b") }), true);
  }
  assertEquals(sameContent(file, { ...file, mode: 0 }), true);
  assertEquals(sameContent(file, { ...file, digest: "b".repeat(64) as Digest }), false);
  assertEquals(sameContent(link, { ...link, target: "u" }), false);
});

Deno.test("sameEntry() looks at mode and time too", () => {
  for (const entry of [file, directory, link]) {
    for (const other of [file, directory, link]) assertEquals(sameEntry(entry, other), entry === other);
    assertEquals(sameEntry(entry, { ...entry, mtime: 3 }), false);
    assertEquals(sameEntry(entry, { ...entry }), true);
  }
  assertEquals(sameEntry(file, { ...file, mode: 0o600 }), false);
  assertEquals(sameEntry(directory, { ...directory, mode: 0o700 }), false);
});
