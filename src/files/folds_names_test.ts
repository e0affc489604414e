import { assertEquals } from "@std/assert";
import { TempDirectory } from "../../tests/support/temp.ts";
import { foldsNames } from "./folds_names.ts";
import { TreeRoot } from "./tree_root.ts";

Deno.test("foldsNames() asks the file system, by what is there", () => {
  using temp = new TempDirectory();
  Deno.writeTextFileSync(`${temp.path}/Name`, "");
  // A second name of the same file is no sign of folding.
  let folds = false;
  try {
    Deno.linkSync(`${temp.path}/Name`, `${temp.path}/NAME`);
  } catch {
    folds = true;
  }
  using root = TreeRoot.open(temp.path);
  for (const system of ["linux", "darwin"]) assertEquals(foldsNames(root, system), folds);
});

Deno.test("foldsNames() goes by the system where no name has letters", () => {
  using temp = new TempDirectory();
  Deno.writeTextFileSync(`${temp.path}/123`, "");
  using root = TreeRoot.open(temp.path);
  assertEquals(["linux", "darwin", "windows"].map((system) => foldsNames(root, system)), [false, true, true]);
});
