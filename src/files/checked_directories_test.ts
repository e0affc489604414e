import { assertEquals, assertThrows } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { PathError } from "../core/errors.ts";
import { parsePath, ROOT } from "../core/path.ts";
import { CheckedDirectories } from "./checked_directories.ts";

Deno.test("CheckedDirectories lets no name lead elsewhere on Windows, in any call", () => {
  using temp = new TempDirectory();
  using windows = new CheckedDirectories(temp.path, "windows");
  const top = windows.reach(ROOT);
  top.makeDirectory("d", 0o755);
  for (const name of ["..\\x", "C:x", "nul", "a.", "a:stream"]) {
    const path = parsePath(name);
    const calls: (() => unknown)[] = [
      () => windows.reach(path),
      () => windows.reach(parsePath(`d/${name}/e`)),
      () => top.stat(name),
      () => top.readLink(name),
      () => top.openRead(name, "read it"),
      () => top.createFile(name),
      () => top.makeDirectory(name, 0o755),
      () => top.makeSymlink("x", name),
      () => top.rename(name, top, "e"),
      () => top.rename("d", top, name),
      () => top.removeFile(name),
      () => top.removeDirectory(name),
      () => top.setAttributes(name, { mtime: 0 }),
    ];
    for (const call of calls) assertThrows(call, PathError, "Windows");
  }
  assertEquals(top.list(), ["d"]);
});
