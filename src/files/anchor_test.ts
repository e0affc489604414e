import { assert, assertEquals, assertLess, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { stub } from "@std/testing/mock";
import { Buffer } from "node:buffer";
import fs, { openSync } from "node:fs";
import { openFilesIn } from "../../tests/support/open_files.ts";
import { type ErrorCode, FilesyncError } from "../core/errors.ts";
import { parsePath, ROOT, type TreePath } from "../core/path.ts";
import type { Stat } from "./stat.ts";
import { type Anchor, TreeRoot } from "./tree_root.ts";

/** A tree, and a directory beside it that nothing may touch. */
interface Fixture {
  root: TreeRoot;
  anchor: Anchor;
  tree: string;
  outside: string;
}

const SECRET = "what stands outside";
const windows = Deno.build.os === "windows";

/** One case of the contract, run for both ways of anchoring. */
function contract(name: string, test: (fixture: Fixture) => void | Promise<void>) {
  for (const anchoring of ["descriptors", "paths"] as const) {
    Deno.test({
      name: `${name}, by ${anchoring}`,
      ignore: anchoring === "descriptors" && Deno.build.os !== "linux",
      fn: () => withTree(anchoring, test),
    });
  }
}

async function withTree(
  anchoring: "descriptors" | "paths",
  test: (fixture: Fixture) => void | Promise<void>,
) {
  const directory = Deno.realPathSync(Deno.makeTempDirSync());
  try {
    const [tree, outside] = [`${directory}/tree`, `${directory}/outside`];
    Deno.mkdirSync(tree);
    Deno.mkdirSync(outside);
    Deno.writeTextFileSync(`${outside}/secret`, SECRET);
    using root = TreeRoot.open(tree, { anchoring });
    using anchor = root.anchor();
    await test({ root, anchor, tree, outside });
    assertEquals([...Deno.readDirSync(outside)].map((e) => e.name), ["secret"], "outside is as it was");
    assertEquals(Deno.readTextFileSync(`${outside}/secret`), SECRET);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const bytes = (text: string) => new TextEncoder().encode(text);
const path = parsePath;

function write(anchor: Anchor, at: TreePath, text: string) {
  const temp = anchor.createTemp(at);
  temp.write(bytes(text));
  temp.close();
  anchor.place(temp, at);
}

function read(anchor: Anchor, at: TreePath): string {
  using file = anchor.openRead(at);
  const into = new Uint8Array(file.stat.size);
  assertEquals(file.read(into, 0), into.length);
  assertEquals(file.read(new Uint8Array(1), into.length), 0, "the end");
  return new TextDecoder().decode(into);
}

function sizeOf(stat: Stat | Error): number | undefined {
  return stat instanceof Error ? undefined : stat.size;
}

function assertFails(act: () => unknown, code: ErrorCode, text?: string) {
  const error = assertThrows(act, FilesyncError);
  assertEquals(error.code, code, error.message);
  if (text !== undefined) assertEquals(error.message, text);
}

contract("place() makes a file that openRead() reads", ({ anchor, tree }) => {
  assertEquals(anchor.makeParents(path("a/b/c")), [path("a"), path("a/b")]);
  assertEquals(anchor.makeParents(path("a/b/c")), []);
  write(anchor, path("a/b/c"), "one");
  assertEquals(read(anchor, path("a/b/c")), "one");
  write(anchor, path("a/b/c"), "three");
  assertEquals(Deno.readTextFileSync(`${tree}/a/b/c`), "three");
  assertEquals([...Deno.readDirSync(`${tree}/.filesync/tmp`)], []);
});

contract("place() replaces a link itself, and no directory", ({ anchor, tree, outside }) => {
  Deno.symlinkSync(`${outside}/secret`, `${tree}/link`);
  write(anchor, path("link"), "new");
  assert(Deno.lstatSync(`${tree}/link`).isFile);
  anchor.makeDirectory(path("directory"), 0o755);
  assertFails(() => write(anchor, path("directory"), "x"), "conflict");
  assertFails(
    () => write(anchor, path("missing/x"), "x"),
    "not-found",
    'Cannot write "missing/x": the directory "missing" does not exist',
  );
});

contract("lstat() is undefined where nothing stands", ({ anchor, tree, root }) => {
  Deno.writeTextFileSync(`${tree}/file`, "12");
  assertEquals(anchor.lstat(path("file"))?.size, 2);
  assertEquals(anchor.lstat(path("missing")), undefined);
  assertEquals(anchor.lstat(path("missing/below")), undefined);
  assertEquals(anchor.lstat(path("file/below")), undefined);
  assertEquals(anchor.lstat(path("file/below/further")), undefined);
  assertEquals(anchor.lstat(ROOT)?.ino, root.ino);
});

contract("list() gives the names of a directory", ({ anchor, tree }) => {
  Deno.mkdirSync(`${tree}/a`);
  Deno.writeTextFileSync(`${tree}/a/1`, "");
  Deno.writeTextFileSync(`${tree}/b`, "");
  assertEquals(anchor.list(ROOT).sort(), ["a", "b"]);
  assertEquals(anchor.list(path("a")), ["1"]);
  assertFails(() => anchor.list(path("b")), "conflict", 'Cannot list "b": "b" is not a directory');
  assertFails(() => anchor.list(path("c")), "not-found");
});

contract("list() and listWithStats() give all of a big directory, each time", ({ anchor, tree }) => {
  const names = Array.from({ length: 2000 }, (_, i) => `${i}-${"long name ".repeat(i % 20)}`);
  for (const name of names) Deno.writeTextFileSync(`${tree}/${name}`, "");
  for (const _ of [1, 2]) {
    assertEquals(anchor.list(ROOT).sort(), names.sort());
    assertEquals(anchor.listWithStats(ROOT).map(({ name }) => name).sort(), names);
  }
});

contract("listWithStats() gives what list() and lstat() give", ({ anchor, tree, outside }) => {
  anchor.makeParents(path("a/directory/x"));
  write(anchor, path("a/file"), "123");
  write(anchor, path("a/\u{feff}with a mark"), "4");
  anchor.makeSymlink(`${outside}/secret`, path("a/link"));
  if (!windows) new Deno.Command("mkfifo", { args: [`${tree}/a/pipe`] }).outputSync();
  const listed = anchor.listWithStats(path("a"));
  assertEquals(listed.map(({ name }) => name).sort(), anchor.list(path("a")).sort());
  assertEquals(listed.length, windows ? 4 : 5);
  for (const { name, stat } of listed) assertEquals(stat, anchor.lstat(path(`a/${name}`)));
  assertEquals(anchor.listWithStats(path("a/directory")), []);
  assertFails(
    () => anchor.listWithStats(path("a/file")),
    "conflict",
    'Cannot list "a/file": "a/file" is not a directory',
  );
  assertFails(() => anchor.listWithStats(path("missing")), "not-found");
});

contract("list() and listWithStats() show what is not Unicode by U+FFFD", ({ anchor, tree }) => {
  if (Deno.build.os !== "linux") return;
  // Every byte but NUL and the slash, each followed by an x.
  const script = 'cd "$0"; i=1; while [ $i -lt 256 ]; do ' +
    '[ $i -eq 47 ] || : > "$(printf "\\\\$(printf %o $i)x")"; i=$((i + 1)); done';
  assert(new Deno.Command("sh", { args: ["-c", script, tree] }).outputSync().success);
  const expected = Array.from({ length: 255 }, (_, i) => i + 1)
    .filter((byte) => byte !== 47)
    .map((byte) => byte < 0x80 ? `${String.fromCharCode(byte)}x` : "\u{fffd}x");
  assertEquals(anchor.list(ROOT).sort(), expected.sort());
  assertEquals(anchor.listWithStats(ROOT).map(({ name }) => name).sort(), expected, "none is left out");
  for (const name of expected.filter((name) => !name.startsWith("\u{fffd}"))) {
    assertEquals(anchor.lstat(path(name))?.size, 0, JSON.stringify(name));
  }
});

contract("makeSymlink() makes and replaces links, which readLink() reads", ({ anchor, tree, outside }) => {
  for (const target of ["../x y", `${outside}/secret`, "nowhere", "a//b/./c/"]) {
    anchor.makeSymlink(target, path("link"));
    assertEquals(anchor.readLink(path("link")), target);
    assertEquals(anchor.lstat(path("link"))?.kind, "symlink");
  }
  Deno.writeTextFileSync(`${tree}/file`, "");
  assertFails(
    () => anchor.readLink(path("file")),
    "conflict",
    'Cannot read the link "file": it is not a symbolic link',
  );
  anchor.makeDirectory(path("directory"), 0o755);
  assertFails(() => anchor.makeSymlink("x", path("directory")), "conflict");
  assertEquals([...Deno.readDirSync(`${tree}/.filesync/tmp`)], [], "no link is left");
});

contract("readLink() refuses a target it could not give back unchanged", ({ anchor, tree }) => {
  if (Deno.build.os !== "linux") return;
  const script = 'ln -s "$(printf "bad\\377")" "$0"';
  assert(new Deno.Command("sh", { args: ["-c", script, `${tree}/link`] }).outputSync().success);
  assertFails(() => anchor.readLink(path("link")), "unsupported");
});

contract("makeDirectory() sets exactly the mode, also of a directory that is there", ({ anchor, tree }) => {
  for (const mode of [0o777, 0o3750, 0o555]) {
    anchor.makeDirectory(path("a"), mode);
    if (!windows) assertEquals(anchor.lstat(path("a"))?.mode, mode);
  }
  Deno.writeTextFileSync(`${tree}/file`, "");
  assertFails(() => anchor.makeDirectory(path("file"), 0o755), "conflict");
  assertFails(() => anchor.makeDirectory(path("missing/a"), 0o755), "not-found");
});

contract("rename() moves files and whole directories", ({ anchor, tree }) => {
  anchor.makeParents(path("a/b/c"));
  write(anchor, path("a/b/c"), "c");
  anchor.rename(path("a"), path("z"));
  assertEquals(anchor.lstat(path("a/b/c")), undefined, "no pinned directory remembers the old path");
  assertEquals(read(anchor, path("z/b/c")), "c");
  Deno.mkdirSync(`${tree}/a/b`, { recursive: true });
  Deno.writeTextFileSync(`${tree}/a/b/c`, "another");
  assertEquals(read(anchor, path("a/b/c")), "another");
  anchor.rename(path("z/b/c"), path("a/b/c"));
  assertEquals(read(anchor, path("a/b/c")), "c");
  assertFails(() => anchor.rename(path("missing"), path("x")), "not-found");
  assertFails(() => anchor.rename(path("z"), path("a")), "conflict");
});

contract(
  "removeFile() and removeDirectory() take what is theirs, or nothing",
  ({ anchor, tree, outside }) => {
    write(anchor, path("file"), "");
    anchor.makeSymlink(outside, path("link"));
    anchor.makeDirectory(path("empty"), 0o755);
    anchor.makeParents(path("full/x/y"));
    assertFails(() => anchor.removeFile(path("empty")), "conflict");
    assertFails(() => anchor.removeDirectory(path("full")), "conflict");
    assertFails(() => anchor.removeDirectory(path("file")), "conflict");
    assertFails(() => anchor.removeDirectory(path("link")), "conflict");
    anchor.list(path("empty"));
    for (const again of [1, 2]) {
      anchor.removeFile(path("link"));
      anchor.removeDirectory(path("empty"));
      if (again === 2) anchor.removeFile(path("file"));
      anchor.removeFile(path("file/below"));
      anchor.removeDirectory(path("missing/below"));
    }
    assertEquals([...Deno.readDirSync(tree)].map((e) => e.name).sort(), [".filesync", "full"]);
    Deno.mkdirSync(`${tree}/empty/new`, { recursive: true });
    assertEquals(anchor.list(path("empty")), ["new"], "the removed directory is not remembered");
  },
);

contract("setAttributes() keeps every millisecond and never follows", ({ anchor, tree, outside }) => {
  write(anchor, path("file"), "");
  anchor.makeDirectory(path("directory"), 0o700);
  anchor.makeSymlink(`${outside}/secret`, path("link"));
  const before = Deno.statSync(`${outside}/secret`);
  // As seconds, one time in two hundred would lose a millisecond.
  for (let mtime = 1; mtime < 2_000_000_000_000; mtime += 1_999_993_777) {
    for (const name of ["file", "directory", "link"].map(path)) {
      anchor.setAttributes(name, { mtime, mode: 0o640 });
      assertEquals(anchor.lstat(name)?.mtime, mtime);
    }
  }
  if (!windows) {
    assertEquals(anchor.lstat(path("file"))?.mode, 0o640);
    anchor.setAttributes(path("file"), { mode: 0o4000 });
    assertEquals(Deno.lstatSync(`${tree}/file`).mode! & 0o7777, 0, "set-user-ID is never set");
    anchor.setAttributes(path("file"), { mode: 0o644 });
    assertEquals(anchor.lstat(path("file"))?.mode, 0o644, "a file nobody may open can be changed");
  }
  anchor.setAttributes(ROOT, { mtime: 5000 });
  assertEquals(anchor.lstat(ROOT)?.mtime, 5000);
  const after = Deno.statSync(`${outside}/secret`);
  assertEquals([after.mode, after.mtime], [before.mode, before.mtime]);
  assertFails(() => anchor.setAttributes(path("missing"), { mtime: 1 }), "not-found");
});

contract("syncDirectory() takes a directory only", ({ anchor, tree, outside }) => {
  Deno.mkdirSync(`${tree}/a`);
  Deno.symlinkSync(outside, `${tree}/link`);
  anchor.syncDirectory(path("a"));
  anchor.syncDirectory(ROOT);
  if (!windows) assertFails(() => anchor.syncDirectory(path("link")), "conflict");
});

contract("createTemp() writes at a position, with attributes, and syncs", async ({ anchor, tree }) => {
  const temp = anchor.createTemp();
  temp.write(bytes("hello"));
  assertEquals(temp.position, 5);
  temp.write(bytes(" there"));
  temp.position = 1;
  temp.write(bytes("E"));
  assertEquals(temp.position, 2);
  const into = new Uint8Array(5);
  assertEquals([temp.read(into, 8), temp.read(into, 1), temp.read(into, 11)], [3, 5, 0]);
  assertEquals([new TextDecoder().decode(into), temp.position], ["Ello ", 2]);
  temp.writeOut();
  temp.writeOut();
  if (!windows) assertEquals(Deno.statSync(temp.nativePath).mode! & 0o777, 0o600);
  temp.setAttributes({ mode: 0o4754, mtime: 1_700_000_000_123 });
  await temp.sync();
  temp.syncNow();
  temp.writeOut();
  temp.close();
  temp.close();
  temp.writeOut();
  anchor.place(temp, path("a"));
  temp.discard();
  assertEquals(Deno.readTextFileSync(`${tree}/a`), "hEllo there");
  const info = Deno.lstatSync(`${tree}/a`);
  assertEquals(info.mtime?.getTime(), 1_700_000_000_123);
  if (!windows) assertEquals(info.mode! & 0o7777, 0o754, "set-user-ID is never set");
});

contract("copyRange() copies parts of a file to a position", ({ anchor, root, tree }) => {
  write(anchor, path("source"), "0123456789");
  const temp = anchor.createTemp();
  using file = anchor.openRead(path("source"));
  temp.write(bytes("abc"));
  assertEquals(temp.copyRange(file, 2, 3), 3);
  assertEquals(temp.position, 6);
  assertEquals(temp.copyRange(file, 8, 100), 2, "the end");
  assertEquals(temp.copyRange(file, 100, 1), 0);
  assertEquals(temp.copyRange(file, 0, 0), 0);
  temp.position = 1;
  assertEquals(temp.copyRange(file, 9, 1), 1);
  using other = TreeRoot.open(tree, { anchoring: root.anchoring === "paths" ? undefined : "paths" });
  using elsewhere = other.anchor();
  using foreign = elsewhere.openRead(path("source"));
  temp.position = 8;
  assertEquals(temp.copyRange(foreign, 0, 2), 2, "of a file opened in another way");
  temp.close();
  anchor.place(temp, path("a"));
  assertEquals(read(anchor, path("a")), "a9c2348901");
  const closed = anchor.openRead(path("source"));
  closed[Symbol.dispose]();
  const target = anchor.createTemp();
  assertFails(() => target.copyRange(closed, 0, 1), "io", 'Cannot read "source": it is closed already');
  target.discard();
  assertFails(() => temp.copyRange(file, 0, 1), "io");
});

contract("write() and copySparsely() leave long runs of zeros out", ({ anchor, root, tree }) => {
  const content = new Uint8Array(8 << 20);
  content.set(bytes("begin"), 100_001);
  content.set(bytes("middle"), 5_000_003);
  const [written, overwritten, copied] = [anchor.createTemp(), anchor.createTemp(), anchor.createTemp()];
  written.write(content);
  overwritten.write(new Uint8Array(content.length + 10).fill(7));
  overwritten.position = 10;
  overwritten.write(content);
  for (const [temp, at] of [[written, "written"], [overwritten, "overwritten"]] as const) {
    assertEquals(temp.position, temp === written ? content.length : content.length + 10);
    temp.close();
    anchor.place(temp, path(at));
  }
  using file = anchor.openRead(path("written"));
  copied.write(bytes("at no boundary"));
  // Across a hole, from within one into another, and to the end, which is a hole as well.
  for (const [start, end] of [[0, 2_000_001], [2_000_001, 5_000_005], [5_000_005, content.length]]) {
    assertEquals(copied.copySparsely(file, start, end - start), end - start);
  }
  assertEquals(copied.copySparsely(file, content.length, 10), 0);
  copied.close();
  anchor.place(copied, path("copied"));
  assert(Buffer.from(content).equals(Deno.readFileSync(`${tree}/written`)));
  assert(Buffer.from(content).equals(Deno.readFileSync(`${tree}/overwritten`).subarray(10)));
  assert(Buffer.from(content).equals(Deno.readFileSync(`${tree}/copied`).subarray(14)));
  if (root.anchoring !== "descriptors") return;
  for (const name of ["written", "overwritten", "copied"]) {
    assertLess(Deno.statSync(`${tree}/${name}`).blocks! * 512, 1 << 20, name);
  }
});

contract(
  "openRead() of a temporary file gives what is written, also when that is closed",
  ({ anchor, tree }) => {
    const [from, to] = [anchor.createTemp(), anchor.createTemp()];
    const content = crypto.getRandomValues(new Uint8Array(50_000));
    from.write(content);
    from.close();
    {
      using source = from.openRead();
      assertEquals(source.stat.size, content.length);
      assertEquals(to.copyRange(source, 0, 60_000), content.length);
    }
    to.close();
    anchor.place(to, path("a"));
    assertEquals(Deno.readFileSync(`${tree}/a`), content);
    from.discard();
    assertFails(() => from.openRead(), "not-found");
  },
);

Deno.test({
  name: "copyRange() reads and writes where the kernel does not copy",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withTree("descriptors", ({ anchor }) => {
      // The kernel copies nothing out of /proc, whose files pretend to be empty.
      using version = Deno.openSync("/proc/version");
      const read = (into: Uint8Array, position: number) => {
        version.seekSync(position, Deno.SeekMode.Start);
        return version.readSync(into) ?? 0;
      };
      const text = Deno.readTextFileSync("/proc/version");
      const file = { nativePath: "/proc/version", read, [Symbol.dispose]() {} };
      const temp = anchor.createTemp();
      assertEquals(temp.copyRange({ ...file, stat: anchor.lstat(ROOT)! }, 0, 1 << 20), text.length);
      temp.close();
      anchor.place(temp, path("version"));
      assertEquals(anchor.lstat(path("version"))?.size, text.length);
    }),
});

contract("syncFile() saves a file, and nothing else", async ({ anchor, tree }) => {
  Deno.writeTextFileSync(`${tree}/file`, "x");
  Deno.symlinkSync("file", `${tree}/link`);
  await anchor.syncFile(path("file"));
  for (const [name, code] of [["link", "conflict"], ["missing", "not-found"], ["no/where", "not-found"]]) {
    assertEquals((await assertRejects(() => anchor.syncFile(path(name)), FilesyncError)).code, code);
  }
});

contract("write() and sync() fail on a closed file", async ({ anchor }) => {
  const temp = anchor.createTemp(path("a"));
  const syncing = temp.sync();
  temp.close();
  await syncing;
  assertFails(() => temp.write(bytes("x")), "io");
  assertEquals((await assertRejects(() => temp.sync(), FilesyncError)).code, "io");
  temp.discard();
});

contract("createTemp() makes files that can be discarded at any time", ({ anchor, tree }) => {
  const [open, closed, gone] = [anchor.createTemp(), anchor.createTemp(), anchor.createTemp()];
  closed.close();
  Deno.removeSync(gone.nativePath);
  for (const temp of [open, closed, gone, open]) temp.discard();
  assertEquals([...Deno.readDirSync(`${tree}/.filesync/tmp`)], []);
});

contract("createTemp() makes its directory again after somebody removed it", ({ anchor, tree }) => {
  write(anchor, path("a"), "1");
  Deno.removeSync(`${tree}/.filesync`, { recursive: true });
  write(anchor, path("a"), "2");
  assertEquals(read(anchor, path("a")), "2");
});

contract("openRead() can be opened once more by its native path", ({ anchor }) => {
  write(anchor, path("a"), "content");
  const file = anchor.openRead(path("a"));
  assertEquals(Deno.readTextFileSync(file.nativePath), "content");
  file[Symbol.dispose]();
  file[Symbol.dispose]();
  assertFails(() => file.read(new Uint8Array(1), 0), "io");
});

contract(
  "openRead() refuses anything but a regular file, and waits for nobody",
  ({ anchor, tree, outside }) => {
    Deno.mkdirSync(`${tree}/directory`);
    Deno.symlinkSync(`${outside}/secret`, `${tree}/link`);
    assertFails(() => anchor.openRead(path("directory")), "conflict");
    assertFails(() => anchor.openRead(ROOT), "conflict", 'Cannot read ".": it is a directory');
    assertFails(
      () => anchor.openRead(path("link")),
      "conflict",
      'Cannot read "link": it is a symbolic link',
    );
    assertFails(
      () => anchor.openRead(path("missing")),
      "not-found",
      'Cannot read "missing": it does not exist',
    );
    if (windows) return;
    assert(new Deno.Command("mkfifo", { args: [`${tree}/pipe`] }).outputSync().success);
    assertEquals(anchor.lstat(path("pipe"))?.kind, "other");
    assertFails(
      () => anchor.openRead(path("pipe")),
      "conflict",
      'Cannot read "pipe": it is a socket, a pipe or a device',
    );
    anchor.setAttributes(path("pipe"), { mtime: 1000 });
    anchor.removeFile(path("pipe"));
    assertEquals(anchor.lstat(path("pipe")), undefined);
  },
);

contract("openRead() reports a directory without permission", ({ root, anchor, tree }) => {
  if (windows) return;
  anchor.makeParents(path("closed/a"));
  write(anchor, path("closed/a"), "x");
  anchor.makeDirectory(path("closed"), 0o000);
  using fresh = root.anchor();
  if (Deno.uid() === 0) {
    assertEquals(read(fresh, path("closed/a")), "x", "the superuser may");
  } else {
    assertFails(() => fresh.openRead(path("closed/a")), "permission");
    assertFails(() => fresh.list(path("closed")), "permission");
    assertFails(() => fresh.lstat(path("closed/a")), "permission");
    assertFails(() => fresh.removeFile(path("closed/a")), "permission");
  }
  fresh.setAttributes(path("closed"), { mode: 0o755 });
  assertEquals(read(fresh, path("closed/a")), "x");
  Deno.chmodSync(`${tree}/closed`, 0o755);
});

contract("names of every kind stay what they are", ({ anchor }) => {
  const composed = "\u00e9", decomposed = "e\u0301";
  const names = [
    "line\nbreak",
    "\"quotes\" and 'more'",
    "🦕 emoji",
    "back\\slash",
    " spaces ",
    "-rf",
    "*?[x]",
    composed,
  ];
  const distinct = Deno.build.os === "linux" ? [...names, decomposed] : names;
  if (windows) return;
  for (const name of distinct) {
    const at = path(`${name}/${name}`);
    anchor.makeParents(at);
    write(anchor, at, name);
  }
  for (const name of distinct) {
    assertEquals(read(anchor, path(`${name}/${name}`)), name);
    assertEquals(anchor.list(path(name)).map((n) => n.normalize()), [name.normalize()]);
  }
  const listed = anchor.list(ROOT).filter((name) => name !== ".filesync");
  assertEquals(listed.length, distinct.length);
});

contract("a link among the parents is refused by everything", ({ anchor, tree, outside }) => {
  Deno.symlinkSync(outside, `${tree}/link`);
  Deno.mkdirSync(`${tree}/a`);
  Deno.symlinkSync("../../outside", `${tree}/a/link`);
  write(anchor, path("file"), "mine");
  for (const link of ["link", "a/link"]) {
    const inside = path(`${link}/secret`);
    const planted = path(`${link}/planted`);
    const refused = `"${link}" is a symbolic link, and links are never followed`;
    assertEquals(anchor.lstat(inside), undefined);
    assertFails(() => anchor.list(path(link)), "conflict", `Cannot list "${link}": ${refused}`);
    assertFails(() => anchor.listWithStats(path(link)), "conflict", `Cannot list "${link}": ${refused}`);
    assertFails(() => anchor.openRead(inside), "conflict", `Cannot read "${inside}": ${refused}`);
    assertFails(() => anchor.readLink(inside), "conflict");
    assertFails(() => anchor.makeParents(path(`${link}/planted/x`)), "conflict");
    assertFails(() => anchor.makeDirectory(planted, 0o755), "conflict");
    assertFails(() => anchor.makeDirectory(path(link), 0o755), "conflict");
    assertFails(() => write(anchor, planted, "x"), "conflict");
    assertFails(() => anchor.makeSymlink("x", planted), "conflict");
    assertFails(() => anchor.rename(path("file"), planted), "conflict");
    assertFails(() => anchor.rename(inside, path("stolen")), "conflict");
    assertFails(() => anchor.setAttributes(inside, { mtime: 1, mode: 0 }), "conflict");
    anchor.removeFile(inside);
    anchor.removeDirectory(inside);
  }
  assertEquals(read(anchor, path("file")), "mine");
});

contract("a parent swapped for a link between two steps leads nowhere", ({ anchor, tree, outside }) => {
  const swap = () => {
    Deno.renameSync(`${tree}/a/b`, `${tree}/a/moved`);
    Deno.symlinkSync(outside, `${tree}/a/b`);
  };
  const swapBack = () => {
    Deno.removeSync(`${tree}/a/b`);
    Deno.renameSync(`${tree}/a/moved`, `${tree}/a/b`);
  };
  const inside = path("a/b/secret");
  anchor.makeParents(inside);
  Deno.writeTextFileSync(`${tree}/a/b/secret`, "public");
  const temp = anchor.createTemp();
  temp.write(bytes("mine"));
  temp.close();
  const attempts: (() => void)[] = [
    () => assertEquals(read(anchor, inside), "public"),
    () => assertNotEquals(anchor.lstat(inside)?.size, SECRET.length),
    () => assertNotEquals(anchor.list(path("a/b")), undefined),
    () => assert(anchor.listWithStats(path("a/b")).every(({ stat }) => sizeOf(stat) !== SECRET.length)),
    () => anchor.setAttributes(inside, { mode: 0o600, mtime: 1 }),
    () => anchor.makeParents(path("a/b/planted/x")),
    () => anchor.makeSymlink("x", path("a/b/planted-link")),
    () => anchor.place(temp, inside),
    () => anchor.rename(inside, path("a/b/other")),
    () => anchor.removeFile(path("a/b/other")),
  ];
  const before = Deno.statSync(`${outside}/secret`);
  for (const attempt of attempts) {
    swap();
    try {
      attempt();
    } catch (error) {
      // Refusing is as good as acting on the directory that was meant.
      if (!(error instanceof FilesyncError)) throw error;
      assertEquals(error.code, "conflict");
    }
    swapBack();
  }
  const after = Deno.statSync(`${outside}/secret`);
  assertEquals([after.mode, after.mtime], [before.mode, before.mtime]);
});

Deno.test("openRead() and list() look again at what was swapped meanwhile, by paths", () =>
  withTree("paths", ({ anchor, tree, outside }) => {
    const swap = () => {
      Deno.renameSync(`${tree}/a`, `${tree}/moved`);
      Deno.symlinkSync(outside, `${tree}/a`);
    };
    const swapBack = () => {
      Deno.removeSync(`${tree}/a`);
      Deno.renameSync(`${tree}/moved`, `${tree}/a`);
    };
    anchor.makeParents(path("a/secret"));
    Deno.writeTextFileSync(`${tree}/a/secret`, "public");
    const { lstatSync, readDirSync } = Deno;
    for (const back of [swapBack, () => {}]) {
      // Swapped after the file was looked at; when it is opened, it is the one outside.
      using _look = stub(Deno, "lstatSync", (at: string | URL) => {
        const info = lstatSync(at);
        if (String(at).endsWith("a/secret")) swap();
        return info;
      });
      using _open = stub(fs, "openSync", (at: string, flags: number) => {
        const descriptor = openSync(at, flags);
        back();
        return descriptor;
      });
      assertFails(() => anchor.openRead(path("a/secret")), "conflict");
      if (back !== swapBack) swapBack();
    }
    using _list = stub(Deno, "readDirSync", (at: string | URL) => {
      swap();
      return readDirSync(at);
    });
    assertFails(() => anchor.list(path("a")), "conflict");
  }));

Deno.test({
  name: "place() stays inside while another thread keeps swapping a parent for a link",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withTree("descriptors", async ({ root, tree, outside }) => {
      Deno.mkdirSync(`${tree}/a`);
      const stop = new Int32Array(new SharedArrayBuffer(4));
      const attacker = `
        const [tree, outside] = ${JSON.stringify([tree, outside])};
        onmessage = ({ data: stop }) => {
          Deno.symlinkSync(outside, tree + "/link");
          postMessage("begins");
          while (Atomics.load(stop, 0) === 0) {
            Deno.renameSync(tree + "/a", tree + "/aside");
            Deno.renameSync(tree + "/link", tree + "/a");
            Deno.renameSync(tree + "/a", tree + "/link");
            Deno.renameSync(tree + "/aside", tree + "/a");
          }
          postMessage("stands still");
        };`;
      const worker = new Worker(`data:text/javascript,${encodeURIComponent(attacker)}`, { type: "module" });
      const word = () => new Promise((resolve) => worker.onmessage = resolve);
      const begins = word();
      worker.postMessage(stop);
      await begins;
      let placed = 0;
      for (let i = 0; i < 1000; i++) {
        using anchor = root.anchor();
        try {
          write(anchor, path("a/planted"), "x");
          placed++;
        } catch (error) {
          if (!(error instanceof FilesyncError)) throw error;
        }
        assertNotEquals(anchor.lstat(path("a/secret"))?.size, SECRET.length);
      }
      const stands = word();
      Atomics.store(stop, 0, 1);
      await stands;
      worker.terminate();
      assert(placed > 0, "the directory was there now and then");
    }),
});

Deno.test({
  name: "paths longer than any system call takes work, by descriptors",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withTree("descriptors", ({ root, anchor, tree }) => {
      const deep = (letter: string) =>
        path(Array.from({ length: 300 }, (_, i) => letter + String(i).padStart(39, "x")).join("/"));
      const [a, b] = [deep("a"), deep("b")];
      assert(a.length > 4096 * 2);
      const open = () => openFilesIn(tree);
      const before = open();
      for (const at of [a, b]) {
        assertEquals(anchor.makeParents(at).length, 299);
        write(anchor, at, at[0]);
      }
      anchor.syncDirectory(a.slice(0, a.lastIndexOf("/")) as TreePath);
      // Each of the two parents is deeper than the number of directories that stay open.
      anchor.rename(a, path(`${b}-moved`));
      assertEquals(read(anchor, path(`${b}-moved`)), "a");
      assertEquals(read(anchor, b), "b");
      anchor.setAttributes(b, { mode: 0o600, mtime: 1000 });
      assertEquals(anchor.lstat(b)?.mtime, 1000);
      assert(open() - before < 100, "only a bounded number of directories is held open");

      using cleaner = root.anchor();
      cleaner.removeFile(b);
      cleaner.removeFile(path(`${b}-moved`));
      for (const at of [a, b]) {
        for (let end = at.lastIndexOf("/"); end > 0; end = at.lastIndexOf("/", end - 1)) {
          cleaner.removeDirectory(path(at.slice(0, end)));
        }
      }
      assertEquals([...Deno.readDirSync(tree)].map((e) => e.name), [".filesync"]);
    }),
});

Deno.test({
  name: "an anchor closes what it opened",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withTree("descriptors", ({ root, tree }) => {
      const open = () => openFilesIn(tree);
      const before = open();
      {
        using anchor = root.anchor();
        anchor.makeParents(path("a/b/c/d"));
        anchor.lstat(path("a/b/c/d"));
        assertEquals(open(), before + 3);
      }
      assertEquals(open(), before);
    }),
});

Deno.test({
  name: "an anchor closes what it opened also when that fails",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withTree("descriptors", async ({ root, anchor, tree, outside }) => {
      Deno.mkdirSync(`${tree}/full/x`, { recursive: true });
      Deno.symlinkSync(outside, `${tree}/link`);
      write(anchor, path("file"), "1");
      // Other tests of this process have files open elsewhere.
      const home = tree.slice(0, tree.lastIndexOf("/"));
      const before = openFilesIn(home);
      const attempts: (() => unknown)[] = [
        () => anchor.openRead(path("full")),
        () => anchor.openRead(path("link")),
        () => anchor.openRead(path("missing")),
        () => anchor.list(path("file")),
        () => anchor.listWithStats(path("link")),
        () => anchor.lstat(path("link/secret")),
        () => anchor.makeDirectory(path("file"), 0o755),
        () => anchor.setAttributes(path("link"), { mode: 0o600, mtime: 1 }),
        () => anchor.setAttributes(path("missing"), { mode: 0o600 }),
        () => write(anchor, path("full"), "x"),
        () => anchor.makeSymlink("x", path("full")),
        () => anchor.syncDirectory(path("file")),
        () => anchor.removeDirectory(path("full")),
      ];
      for (const attempt of attempts) {
        try {
          attempt();
        } catch (error) {
          assert(error instanceof FilesyncError, String(error));
        }
      }
      for (const text of ["", "x"]) {
        const temp = anchor.createTemp();
        temp.write(bytes(text));
        using again = temp.openRead();
        assertEquals(again.stat.size, text.length);
        await Promise.all([temp.sync(), temp.sync()]);
        temp.discard();
      }
      await root.syncFileSystem();
      assertEquals(openFilesIn(home), before);
    }),
});
