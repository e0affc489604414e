import { assertEquals } from "@std/assert";
import layers, { LADDER } from "./layers.ts";

/** The messages about `source`, were it the file at `path` of the checkout. */
function complaints(path: string, source: string): string[] {
  return Deno.lint.runPlugin(layers, `/checkout/${path}`, source).map(({ message }) => message);
}

Deno.test("layers lets a file import from its own folder and from lower rungs", () => {
  assertEquals(complaints("src/sync/a.ts", `import { b } from "./b.ts";`), []);
  assertEquals(complaints("src/sync/a.ts", `import type { B } from "../core/b.ts";`), []);
  assertEquals(complaints("src/cli/a.ts", `export { b } from "../server/b.ts";`), []);
  assertEquals(complaints("src/core/a.ts", `import { assert } from "@std/assert";`), []);
});

Deno.test("layers refuses imports that point upwards", () => {
  assertEquals(complaints("src/core/a.ts", `import { b } from "../files/b.ts";`), [
    `Cannot import "../files/b.ts" into "core": "files" is not on a lower rung`,
  ]);
  assertEquals(complaints("src/core/a.ts", `import type { B } from "../files/b.ts";`).length, 1);
  assertEquals(complaints("src/core/a.ts", `export { b } from "../files/b.ts";`).length, 1);
  assertEquals(complaints("src/core/a.ts", `export * from "../files/b.ts";`).length, 1);
});

Deno.test("layers refuses imports from a neighbour on the same rung", () => {
  for (const rung of LADDER.filter(({ length }) => length > 1)) {
    const [home, neighbour] = rung;
    assertEquals(complaints(`src/${home}/a.ts`, `import "../${neighbour}/b.ts";`), [
      `Cannot import "../${neighbour}/b.ts" into "${home}": "${neighbour}" is not on a lower rung`,
    ]);
  }
});

Deno.test("layers refuses what is outside src, and folders on no rung", () => {
  assertEquals(complaints("src/cli/a.ts", `import "../../tests/support/temp.ts";`), [
    `Cannot import "../../tests/support/temp.ts" into "cli": "what is outside src" is not on a lower rung`,
  ]);
  assertEquals(complaints("src/cli/a.ts", `import "../misc/b.ts";`).length, 1);
  assertEquals(complaints("src/misc/a.ts", "export const a = 1;"), [
    `Cannot place "misc": it is on no rung of the ladder`,
  ]);
});

Deno.test("layers leaves tests and what is outside src alone", () => {
  assertEquals(complaints("src/core/a_test.ts", `import "../cli/b.ts";`), []);
  assertEquals(complaints("main.ts", `import "./src/cli/b.ts";`), []);
  assertEquals(complaints("tests/a.ts", `import "../src/cli/b.ts";`), []);
});
