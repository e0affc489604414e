import { assert, assertEquals } from "@std/assert";
import { STATX_WORDS, statxToStat, toStat } from "./stat.ts";

Deno.test("toStat() tells files, directories and links, with the bits that are carried over", () => {
  const directory = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${directory}/file`, "12345");
    Deno.chmodSync(`${directory}/file`, 0o4751);
    const time = new Date(1_700_000_000_123);
    Deno.utimeSync(`${directory}/file`, time, time);
    Deno.mkdirSync(`${directory}/directory`);
    Deno.chmodSync(`${directory}/directory`, 0o3750);
    Deno.symlinkSync("file", `${directory}/link`);

    const info = Deno.lstatSync(`${directory}/file`);
    const file = toStat(info);
    assertEquals(file.kind, "file");
    assertEquals(file.size, 5);
    assertEquals(file.mtime, 1_700_000_000_123);
    assertEquals([file.dev, file.ino], [info.dev, info.ino]);
    assert(file.ctime > 1_700_000_000_123, "the change time is not the modification time");
    if (Deno.build.os !== "windows") assertEquals(file.mode, 0o751, "set-user-ID does not travel");

    const stat = toStat(Deno.lstatSync(`${directory}/directory`));
    assertEquals(stat.kind, "directory");
    if (Deno.build.os !== "windows") assertEquals(stat.mode, 0o3750);

    const link = toStat(Deno.lstatSync(`${directory}/link`));
    assertEquals([link.kind, link.mode], ["symlink", 0]);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("toStat() fills in what a file system does not know", () => {
  const info = { isFile: true, isDirectory: false, isSymlink: false, size: 1, dev: 3 };
  const unknown = { ...info, mtime: null, ctime: null, mode: null, ino: null } as unknown as Deno.FileInfo;
  assertEquals(toStat(unknown), { kind: "file", size: 1, mtime: 0, ctime: 0, mode: 0o644, dev: 3, ino: 0 });
  assertEquals(toStat({ ...unknown, isFile: false }).kind, "other");
});

Deno.test("statxToStat() gives an inode of 64 bits a number that a database gives back", () => {
  const inoOf = (inode: bigint) => {
    const words = new Uint32Array(STATX_WORDS);
    [words[8], words[9]] = [Number(inode & 0xffffffffn), Number(inode >> 32n)];
    return statxToStat(words).ino;
  };
  assertEquals(inoOf(2n ** 53n - 1n), 2 ** 53 - 1);
  const inode = 0xc0ffee00_badf00d5n;
  for (let bit = 0n; bit < 64n; bit++) {
    const other = inoOf(inode ^ (1n << bit));
    assert(Number.isSafeInteger(other) && other !== inoOf(inode), `bit ${bit}`);
  }
});

Deno.test("statxToStat() and toStat() give times that a date can be", () => {
  const words = new Uint32Array(STATX_WORDS).fill(0xffffffff, 24, 32);
  words[25] = words[29] = 0x7fffffff;
  assertEquals([statxToStat(words).mtime, statxToStat(words).ctime], [8.64e15, 8.64e15]);
  words[25] = words[29] = 0x80000000;
  assertEquals([statxToStat(words).mtime, statxToStat(words).ctime], [-8.64e15, -8.64e15]);
  const never = { isFile: true, size: 1, mtime: new Date(NaN), ctime: new Date(NaN), ino: 2 ** 60, dev: 3 };
  const { mtime, ctime, ino } = toStat(never as unknown as Deno.FileInfo);
  assertEquals([mtime, ctime, Number.isSafeInteger(ino)], [0, 0, true]);
});
