import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FilesyncError } from "../core/errors.ts";
import { ROOT, type TreePath } from "../core/path.ts";
import { cleanTemp, tellsWriteErrors, TreeRoot } from "./tree_root.ts";

async function withDirectory(test: (directory: string) => void | Promise<void>) {
  const directory = Deno.realPathSync(Deno.makeTempDirSync());
  try {
    await test(directory);
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

Deno.test({
  name: "TreeRoot.open() takes paths without the permission to call the C library, and asks nobody",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    withDirectory((directory) => {
      const program = `
        import { TreeRoot } from ${JSON.stringify(import.meta.resolve("./tree_root.ts"))};
        using root = TreeRoot.open(${JSON.stringify(directory)});
        using anchor = root.anchor();
        console.log(root.anchoring, root.canSyncFileSystem, anchor.listWithStats("").length);`;
      const { stdout } = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "--allow-read",
          "--allow-write",
          `data:application/typescript,${encodeURIComponent(program)}`,
        ],
        env: { NO_COLOR: "1" },
      }).outputSync();
      assertEquals(new TextDecoder().decode(stdout), "paths false 0\n");
    }),
});

Deno.test("syncFileSystem() saves what was written, where that can be relied on", () =>
  withDirectory(async (directory) => {
    using root = TreeRoot.open(directory);
    using byPaths = TreeRoot.open(directory, { anchoring: "paths" });
    assertEquals(byPaths.canSyncFileSystem, false);
    assertEquals((await assertRejects(() => byPaths.syncFileSystem(), FilesyncError)).code, "unsupported");
    if (!root.canSyncFileSystem) return;
    Deno.writeTextFileSync(`${directory}/a`, "content");
    await Promise.all([root.syncFileSystem(), root.syncFileSystem()]);
    const last = root.syncFileSystem();
    root[Symbol.dispose]();
    await last;
    assertEquals((await assertRejects(() => root.syncFileSystem(), FilesyncError)).code, "io");
  }));

Deno.test("tellsWriteErrors() knows the kernels whose syncfs does", () => {
  for (const release of ["5.8.0", "5.10.0-28-amd64", "6.1.0", "6.18.44-fc-v509", "10.0"]) {
    assertEquals(tellsWriteErrors(release), true, release);
  }
  for (const release of ["5.7.19", "4.19.0-26-amd64", "3.10.0", "unheard of"]) {
    assertEquals(tellsWriteErrors(release), false, release);
  }
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
        // None of ours, and no reason not to start.
        Deno.mkdirSync(`${directory}/.filesync/tmp/directory`);
        assertEquals(cleanTemp(root), 3);
        assertEquals([...Deno.readDirSync(`${directory}/.filesync/tmp`)].map(({ name }) => name), [
          "directory",
        ]);
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
