import { assertEquals } from "@std/assert";
import { stub } from "@std/testing/mock";
import { TempDirectory } from "../../tests/support/temp.ts";
import { ALL_KEPT, findKept, type KeptAttributes, showsAs } from "./kept_attributes.ts";
import { TreeRoot } from "./tree_root.ts";

Deno.test("findKept() finds that all is kept, and leaves nothing behind", () => {
  using temp = new TempDirectory();
  using root = TreeRoot.open(temp.path);
  assertEquals(findKept(root), { modes: Deno.build.os !== "windows", tick: 1 });
  assertEquals([...Deno.readDirSync(`${temp.path}/.filesync/tmp`)], []);
});

Deno.test("TreeRoot.kept is all while it cannot be found out", () => {
  using temp = new TempDirectory();
  using root = TreeRoot.open(temp.path);
  {
    using _ = stub(root, "anchor", () => {
      throw new Error("no room");
    });
    assertEquals([findKept(root), root.kept], [undefined, ALL_KEPT]);
  }
  assertEquals(root.kept, findKept(root)!);
});

Deno.test("showsAs() rounds times down and passes over modes, as the file system does", () => {
  const given = { mtime: 1_700_000_003_987, mode: 0o640 };
  const cases: [shown: boolean, kept: KeptAttributes, mtime: number, mode: number][] = [
    [true, ALL_KEPT, 1_700_000_003_987, 0o640],
    [false, ALL_KEPT, 1_700_000_003_987, 0o777],
    [false, ALL_KEPT, 1_700_000_003_980, 0o640],
    [true, { modes: true, tick: 10 }, 1_700_000_003_980, 0o640],
    [false, { modes: true, tick: 10 }, 1_700_000_003_000, 0o640],
    [true, { modes: true, tick: 1_000 }, 1_700_000_003_000, 0o640],
    [true, { modes: false, tick: 2_000 }, 1_700_000_002_000, 0o777],
    [true, { modes: false, tick: 2_000 }, 1_700_000_003_987, 0o777],
    [false, { modes: false, tick: 2_000 }, 1_700_000_004_000, 0o777],
    [false, { modes: true, tick: 2_000 }, 1_700_000_002_000, 0o777],
  ];
  for (const [shown, kept, mtime, mode] of cases) {
    assertEquals(showsAs(given, { mtime, mode }, { kept }), shown, JSON.stringify([kept, mtime, mode]));
  }
});
