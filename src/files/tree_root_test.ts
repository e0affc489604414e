import { assert, assertEquals, assertThrows } from "@std/assert";
import { FilesyncError } from "../core/errors.ts";
import { ROOT, type TreePath } from "../core/path.ts";
import { cleanTemp, TreeRoot } from "./tree_root.ts";

function withDirectory(test: (directory: string) => void) {
  const directory = Deno.realPathSync(Deno.makeTempDirSync());
  try {
    test(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("TreeRoot.open() knows the directory by real path, device and inode", () =>
  withDirectory((directory) => {
    Deno.mkdirSync(`${directory}/tree`);
    Deno.symlinkSync("tree", `${directory}/link`);
    using root = TreeRoot.open(`${directory}/link`);
    const info = Deno.statSync(`${directory}/tree`);
    assertEquals(root.path, `${directory}/tree`);
    assertEquals([root.dev, root.ino], [info.dev, info.ino]);
    assertEquals(root.anchoring, Deno.build.os === "linux" ? "descriptors" : "paths");
  }));

Deno.test("TreeRoot.open() says what is wrong, and what to do", () =>
  withDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/file`, "");
    const missing = assertThrows(() => TreeRoot.open(`${directory}/missing`), FilesyncError);
    assertEquals(missing.code, "not-found");
    assertEquals(missing.message, `Cannot open "${directory}/missing": it does not exist`);
    assert(missing.hint);
    const file = assertThrows(() => TreeRoot.open(`${directory}/file`), FilesyncError);
    assertEquals(file.code, "conflict");
    assertEquals(file.reason, "it is not a directory");
    assert(file.hint);
  }));

Deno.test({
  name: "TreeRoot.open() falls back to paths where /proc may not be used, unless told not to",
  ignore: Deno.build.os !== "linux",
  permissions: { read: true, write: true, sys: true },
  fn: () =>
    withDirectory((directory) => {
      using root = TreeRoot.open(directory);
      assertEquals(root.anchoring, "paths");
      const error = assertThrows(() => TreeRoot.open(directory, { anchoring: "descriptors" }), FilesyncError);
      assertEquals(error.code, "unsupported");
    }),
});

Deno.test("TreeRoot leaves an anchor that outlives it with nothing", () =>
  withDirectory((directory) => {
    const root = TreeRoot.open(directory);
    if (root.anchoring !== "descriptors") return root[Symbol.dispose]();
    using anchor = root.anchor();
    assertEquals(anchor.lstat(ROOT)?.kind, "directory");
    root[Symbol.dispose]();
    root[Symbol.dispose]();
    // The number of the closed descriptor is taken again, by a directory outside.
    using other = TreeRoot.open(Deno.cwd());
    assertEquals(anchor.lstat(ROOT), undefined);
    assertThrows(() => anchor.list(ROOT), FilesyncError);
    assert(other.ino !== 0);
  }));

for (const anchoring of ["descriptors", "paths"] as const) {
  Deno.test({
    name: `cleanTemp() removes what an earlier run left, by ${anchoring}`,
    ignore: anchoring === "descriptors" && Deno.build.os !== "linux",
    fn: () =>
      withDirectory((directory) => {
        using root = TreeRoot.open(directory, { anchoring });
        assertEquals(cleanTemp(root), 0);
        assertEquals([...Deno.readDirSync(directory)], [], "it makes nothing");
        using anchor = root.anchor();
        anchor.createTemp().close();
        anchor.createTemp("a" as TreePath).close();
        Deno.symlinkSync(directory, `${directory}/.filesync/tmp/link`);
        assertEquals(cleanTemp(root), 3);
        assertEquals([...Deno.readDirSync(`${directory}/.filesync/tmp`)], []);
      }),
  });

  Deno.test({
    name: `cleanTemp() removes nothing through a link, by ${anchoring}`,
    ignore: anchoring === "descriptors" && Deno.build.os !== "linux",
    fn: () =>
      withDirectory((directory) => {
        Deno.mkdirSync(`${directory}/outside/tmp`, { recursive: true });
        Deno.writeTextFileSync(`${directory}/outside/tmp/precious`, "");
        Deno.mkdirSync(`${directory}/tree`);
        Deno.symlinkSync("../outside", `${directory}/tree/.filesync`);
        using root = TreeRoot.open(`${directory}/tree`, { anchoring });
        assertEquals(cleanTemp(root), 0);
        using anchor = root.anchor();
        const error = assertThrows(() => anchor.createTemp(), FilesyncError);
        assertEquals(error.code, "conflict");
        assertEquals([...Deno.readDirSync(`${directory}/outside/tmp`)].map((e) => e.name), ["precious"]);
      }),
  });
}
