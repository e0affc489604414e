import { assertEquals, assertThrows } from "@std/assert";
import { makeTree, treeText } from "../../tests/support/trees.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { replaceFile } from "./replace_file.ts";

Deno.test("replaceFile() makes a file, and replaces it, with nothing left beside it", async () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/key`;
  for (const [text, mode] of [["one", 0o600], ["", 0o644], ["three", 0o600]] as const) {
    replaceFile(path, text, mode);
    assertEquals(await treeText(temp.path), `key ${JSON.stringify(text)}`);
    if (Deno.build.os !== "windows") assertEquals(Deno.statSync(path).mode! & 0o777, mode);
  }
});

Deno.test("replaceFile() is not led astray by what was left or planted", async () => {
  using temp = new TempDirectory();
  makeTree(temp.path, { tree: { "key.new": "half" }, outside: "theirs" });
  replaceFile(`${temp.path}/tree/key`, "one", 0o600);
  if (Deno.build.os !== "windows") {
    for (const name of ["key", "key.new"]) {
      Deno.removeSync(`${temp.path}/tree/key`);
      Deno.symlinkSync("../outside", `${temp.path}/tree/${name}`);
      replaceFile(`${temp.path}/tree/key`, "one", 0o600);
    }
  }
  assertEquals(await treeText(temp.path), 'outside "theirs"\ntree/\ntree/key "one"');
});

Deno.test("replaceFile() leaves the old content when the new one cannot be written", async () => {
  using temp = new TempDirectory();
  makeTree(temp.path, { key: "old", "key.new": { in: "the way" } });
  assertThrows(() => replaceFile(`${temp.path}/key`, "new", 0o600));
  assertEquals(await treeText(temp.path), 'key "old"\nkey.new/\nkey.new/in "the way"');
});
