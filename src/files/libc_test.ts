import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { osCode, toFilesyncError } from "../core/errors.ts";
import { Descriptor } from "./descriptor.ts";
import { type Libc, loadLibc, OPEN, SystemError } from "./libc.ts";
import { toStat } from "./stat.ts";

const DIRECTORY = OPEN.directory | OPEN.noFollow;

/** One test with an open directory, where the calls can be had. */
function linuxTest(
  name: string,
  test: (libc: Libc, directory: number, path: string) => void | Promise<void>,
) {
  Deno.test({
    name,
    ignore: Deno.build.os !== "linux",
    async fn() {
      const libc = loadLibc();
      assert(libc !== undefined);
      const path = Deno.makeTempDirSync();
      const directory = libc.open(undefined, path, DIRECTORY);
      try {
        await test(libc, directory, path);
      } finally {
        libc.close(directory);
        Deno.removeSync(path, { recursive: true });
      }
    },
  });
}

linuxTest("loadLibc() loads the library once", (libc) => assert(loadLibc() === libc));

linuxTest("Libc throws errors that osCode() names", (libc, directory, path) => {
  Deno.writeTextFileSync(`${path}/file`, "");
  Deno.mkdirSync(`${path}/full/x`, { recursive: true });
  Deno.symlinkSync("file", `${path}/link`);
  const long = "x".repeat(256);
  const isRoot = Deno.uid() === 0;
  using elsewhere = new Descriptor(libc, libc.open(undefined, "/dev", DIRECTORY));
  using device = new Descriptor(libc, libc.open(undefined, "/dev/full", OPEN.readWrite));
  const cases: [code: string, act: () => unknown][] = [
    ["ENOENT", () => libc.open(directory, "missing", OPEN.read)],
    ["ENOENT", () => libc.removeFile(directory, "missing")],
    ["ENOENT", () => libc.rename(directory, "missing", directory, "x")],
    ["ENOTDIR", () => libc.open(directory, "file", DIRECTORY)],
    ["ENOTDIR", () => libc.open(directory, "link", DIRECTORY)],
    ["ELOOP", () => libc.open(directory, "link", OPEN.read | OPEN.noFollow)],
    ["EEXIST", () => libc.open(directory, "link", OPEN.readWrite | OPEN.createNew, 0o600)],
    ["EEXIST", () => libc.makeDirectory(directory, "file", 0o700)],
    ["EEXIST", () => libc.makeSymlink("x", directory, "file")],
    ["EISDIR", () => libc.open(directory, "full", OPEN.readWrite)],
    ["EISDIR", () => libc.removeFile(directory, "full")],
    ["EISDIR", () => libc.rename(directory, "file", directory, "full")],
    ["ENOTDIR", () => libc.rename(directory, "full", directory, "file")],
    ["ENOTEMPTY", () => libc.removeDirectory(directory, "full")],
    ["ENOTDIR", () => libc.removeDirectory(directory, "file")],
    ["ENAMETOOLONG", () => libc.stat(directory, long)],
    ["ENAMETOOLONG", () => libc.makeDirectory(directory, long, 0o700)],
    ["EINVAL", () => libc.readLink(directory, "file")],
    ["EINVAL", () => libc.rename(directory, "full", directory, "full/x/y")],
    ["EINVAL", () => libc.makeDirectory(directory, "a\0b", 0o700)],
    ["EINVAL", () => libc.makeSymlink("é\0", directory, "x")],
    ["EBADF", () => libc.stat(-1, "file")],
    ["EBADF", () => libc.sync(-1)],
    ["EBADF", () => libc.list(-1)],
    ["EXDEV", () => libc.rename(directory, "file", elsewhere.number, "x")],
    [isRoot ? "ENOENT" : "EACCES", () => libc.open(undefined, "/proc/1/fd/missing", OPEN.read)],
    ["ENOSPC", () => libc.write(device.number, new Uint8Array(1), 0)],
  ];
  for (const [code, act] of cases) {
    const error = assertThrows(act, SystemError, `(${code})`);
    assertEquals(osCode(error), code);
  }
  assertEquals([...Deno.readDirSync(path)].map(({ name }) => name).sort(), ["file", "full", "link"]);
  const full = assertThrows(cases.at(-1)![1]);
  assertEquals(toFilesyncError("write", full).code, "disk-full");
  const closed = toFilesyncError("save it", assertThrows(() => libc.sync(-1)));
  assertEquals([closed.code, closed.message], ["io", "Cannot save it: Bad file descriptor (EBADF)"]);
});

linuxTest(
  "stat() and statOf() give the numbers that Deno gives, and a finer ctime",
  (libc, directory, path) => {
    Deno.writeTextFileSync(`${path}/file`, "12345");
    Deno.chmodSync(`${path}/file`, 0o4751);
    Deno.symlinkSync("file", `${path}/link`);
    for (const name of ["file", "link", ".", "..", "/dev/null", "/proc/self/stat", "/proc", "/sys"]) {
      const native = name.startsWith("/") ? name : `${path}/${name}`;
      const { ctime, ...stat } = libc.stat(directory, name)!;
      const { ctime: seconds, ...expected } = toStat(Deno.lstatSync(native));
      // What /proc shows is made anew for each look.
      if (name !== "/proc/self/stat") assertEquals(stat, expected, name);
      assertEquals(stat.kind, expected.kind);
      assert(Number.isInteger(ctime));
      assert(ctime >= seconds && ctime < seconds + 1000, `${name}: ${ctime} ${seconds}`);
    }
    const file = libc.open(directory, "file", OPEN.read);
    assertEquals(libc.statOf(file), libc.stat(directory, "file"));
    libc.close(file);
    assertEquals(libc.stat(directory, "missing"), undefined);
  },
);

linuxTest("setTime() and setTimeAt() keep every time that a file can have", (libc, directory, path) => {
  Deno.writeTextFileSync(`${path}/file`, "");
  Deno.symlinkSync("file", `${path}/link`);
  const file = libc.open(directory, "file", OPEN.read);
  const times = [
    0,
    1,
    999,
    1_700_000_000_123,
    2 ** 31 * 1000 + 7,
    2 ** 32 * 1000 + 1,
    -1,
    -1500,
    -86_400_001,
  ];
  for (const time of times) {
    libc.setTime(file, time);
    assertEquals(libc.statOf(file).mtime, time);
    libc.setTimeAt(directory, "link", Math.abs(time) + 1);
    assertEquals(libc.stat(directory, "link")?.mtime, Math.abs(time) + 1);
    assertEquals(libc.statOf(file).mtime, time, "the link is not followed");
  }
  libc.close(file);
});

linuxTest("read(), write() and copy() reach beyond 4 GiB", (libc, directory) => {
  const flags = OPEN.createNew;
  const [from, to] = ["from", "to"].map((name) => libc.open(directory, name, 2 | flags, 0o600));
  const far = 2 ** 32 * 3 + 5;
  assertEquals(libc.write(from, Uint8Array.of(1, 2, 3), far), 3);
  assertEquals(libc.statOf(from).size, far + 3);
  const into = new Uint8Array(4);
  assertEquals(libc.read(from, into, far), 3);
  assertEquals([...into], [1, 2, 3, 0]);
  assertEquals(libc.read(from, into, far + 3), 0);
  assertEquals(libc.copy(from, far + 1, to, far, 2), 2);
  assertEquals(libc.read(to, into, far), 2);
  assertEquals([...into], [2, 3, 3, 0]);
  libc.truncate(to, far + 1);
  assertEquals(libc.statOf(to).size, far + 1);
  for (const file of [from, to]) libc.close(file);
});

linuxTest("names go in as they are, however long", (libc, directory, path) => {
  for (const name of ["é", "a🦕", "x".repeat(255), "é".repeat(127), "\u{feff}", "\x7f\x80"]) {
    libc.makeSymlink(name, directory, name);
    assertEquals(Deno.readLinkSync(`${path}/${name}`), name);
    assertEquals(new TextDecoder("utf-8", { ignoreBOM: true }).decode(libc.readLink(directory, name)), name);
  }
  const longest = "é/".repeat(1365);
  libc.makeSymlink(longest, directory, "longest");
  assertEquals(new TextDecoder().decode(libc.readLink(directory, "longest")), longest);
  const error = assertThrows(() => libc.makeSymlink("é".repeat(3000), directory, "too long"));
  assertEquals(osCode(error), "ENAMETOOLONG");
});

linuxTest(
  "syncAside() and syncFileSystemAside() work and fail in another thread",
  async (libc, directory) => {
    await Promise.all([libc.syncAside(directory), libc.syncFileSystemAside(directory)]);
    assertEquals(osCode(await assertRejects(() => libc.syncAside(-1), SystemError)), "EBADF");
    assertEquals(osCode(await assertRejects(() => libc.syncFileSystemAside(-1), SystemError)), "EBADF");
  },
);

linuxTest("Descriptor stays open while it is lent, and is closed once", async (libc, directory) => {
  const number = libc.open(directory, ".", DIRECTORY);
  const isOpen = () => {
    try {
      return libc.statOf(number).kind === "directory";
    } catch {
      return false;
    }
  };
  const descriptor = new Descriptor(libc, number);
  const ends = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const lent = ends.map(({ promise }) =>
    descriptor.lend((lentNumber) => {
      assertEquals(lentNumber, number);
      return promise;
    })
  );
  descriptor[Symbol.dispose]();
  assertEquals(descriptor.number, -1);
  for (const [i, { resolve }] of ends.entries()) {
    assert(isOpen());
    resolve();
    await lent[i];
  }
  assert(!isOpen());
  // The number may be taken again by now, and is no business of the old one's.
  const next = libc.open(directory, ".", DIRECTORY);
  descriptor[Symbol.dispose]();
  assertEquals(libc.statOf(next).kind, "directory");
  libc.close(next);
});
