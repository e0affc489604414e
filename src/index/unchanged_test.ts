import { assertEquals } from "@std/assert";
import { parsePath } from "../core/path.ts";
import type { Stat } from "../files/stat.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { IndexedEntry } from "./tree_index.ts";
import { isUnchanged } from "./unchanged.ts";

const MTIME = 1_700_000_000_123;
const look = { ctime: MTIME + 1, dev: 1, ino: 2, lookedAt: MTIME + 10_000 };
const path = parsePath("a");
const stat: Stat = { kind: "file", size: 3, mtime: MTIME, ctime: MTIME + 1, mode: 0o644, dev: 1, ino: 2 };
const fileEntry: IndexedEntry = {
  kind: "file",
  path,
  size: 3,
  mtime: MTIME,
  mode: 0o644,
  digest: sha256(new Uint8Array()),
  ...look,
};

Deno.test("isUnchanged() trusts a file that looks as it did", () => {
  assertEquals(isUnchanged(fileEntry, stat), true);
});

Deno.test("isUnchanged() sees a file's size, times, mode, inode and kind", () => {
  const changes: Partial<Stat>[] = [
    { size: 4 },
    { mtime: MTIME + 1 },
    { mtime: MTIME - 1 },
    { ctime: MTIME + 1_001 },
    { mode: 0o600 },
    { ino: 3 },
    { kind: "symlink" },
    { kind: "directory" },
    { kind: "other" },
  ];
  for (const change of changes) {
    assertEquals(isUnchanged(fileEntry, { ...stat, ...change }), false, JSON.stringify(change));
  }
});

Deno.test("isUnchanged() does not trust a file that was looked at right after it was written", () => {
  assertEquals(isUnchanged({ ...fileEntry, lookedAt: MTIME + 10 }, stat), false);
  const link: IndexedEntry = { kind: "symlink", path, mtime: MTIME, target: "x", ...look };
  const linkStat: Stat = { ...stat, kind: "symlink" };
  assertEquals(isUnchanged(link, linkStat), true);
  assertEquals(isUnchanged({ ...link, lookedAt: MTIME }, linkStat), false);
  assertEquals(isUnchanged(link, { ...linkStat, ctime: 0 }), false);
});

Deno.test("isUnchanged() sees a directory's time and mode, and not its change time", () => {
  const directory: IndexedEntry = { kind: "directory", path, mtime: MTIME, mode: 0o755, ...look };
  const directoryStat: Stat = { ...stat, kind: "directory", mode: 0o755 };
  assertEquals(isUnchanged(directory, { ...directoryStat, ctime: 0, size: 4_096 }), true);
  assertEquals(isUnchanged(directory, { ...directoryStat, mode: 0o700 }), false);
  assertEquals(isUnchanged(directory, { ...directoryStat, mtime: MTIME + 1 }), false);
});
