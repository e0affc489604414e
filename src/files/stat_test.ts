import { assert, assertEquals } from "@std/assert";
import { toStat } from "./stat.ts";

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
