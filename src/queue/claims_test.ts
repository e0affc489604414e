import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Action, dependOnEachOther } from "../core/action.ts";
import { parsePath } from "../core/path.ts";
import { Claims } from "./claims.ts";

const path = fc.constantFrom("a", "a/b", "a/b/c", "a/bc", "ab", "b").map(parsePath);
const action: fc.Arbitrary<Action> = fc.oneof(
  path.map((path): Action => ({ type: "directory", path, mtime: 0, mode: 0o755 })),
  path.map((path): Action => ({ type: "symlink", path, mtime: 0, target: "x" })),
  path.map((path): Action => ({ type: "remove", path })),
  fc.tuple(path, path).map(([from, path]): Action => ({ type: "move", from, path })),
);

Deno.test("Claims.blocks() says what dependOnEachOther() says of any action in the bag", () => {
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 5 }),
      fc.array(action, { maxLength: 5 }),
      action,
      (stay, go, asked) => {
        const claims = new Claims();
        for (const each of [...go, ...stay]) claims.add(each);
        for (const each of go) claims.delete(each);
        assertEquals(claims.blocks(asked), stay.some((other) => dependOnEachOther(other, asked)));
      },
    ),
    { numRuns: 1000 },
  );
});
