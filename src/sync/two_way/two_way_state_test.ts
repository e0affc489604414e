import { assertEquals, assertThrows } from "@std/assert";
import { TempDirectory } from "../../../tests/support/temp.ts";
import { memoryState } from "../../../tests/support/two_way_bench.ts";
import type { Entry } from "../../core/entry.ts";
import { FilesyncError } from "../../core/errors.ts";
import { parsePath } from "../../core/path.ts";
import { sha256 } from "../../hashing/sha256.ts";
import { TwoWayState } from "./two_way_state.ts";

const digest = sha256(new Uint8Array());

function fileAt(path: string): Entry {
  return { kind: "file", path: parsePath(path), size: 0, mtime: 1, mode: 0o644, digest };
}

function codeOf(act: () => unknown) {
  return (assertThrows(act, FilesyncError) as FilesyncError).code;
}

Deno.test("TwoWayState keeps entries of all kinds over a restart, in the order of code points", () => {
  using temp = new TempDirectory();
  const entries: Entry[] = [
    fileAt("a"),
    { kind: "directory", path: parsePath("d"), mtime: -5, mode: 0o700 },
    { kind: "symlink", path: parsePath("\u{fffd0}"), mtime: 7, target: "a" },
  ];
  {
    using state = TwoWayState.open(temp.path);
    state.settle(entries.toReversed().map((target) => ({ path: target.path, target })));
    state.mark = { indexIds: { a: "x", b: "y" }, sequences: { a: 1, b: 2 }, settings: "" };
    state.roots = { a: "1:2", b: "" };
    assertEquals(codeOf(() => TwoWayState.open(temp.path)), "locked");
  }
  using state = TwoWayState.open(temp.path);
  assertEquals([[...state.entries()], state.count], [entries, 3]);
  assertEquals(state.get(parsePath("d")), entries[1]);
  assertEquals([state.mark?.sequences.b, state.roots?.a], [2, "1:2"]);
  state.settle([{ path: parsePath("a") }]);
  state.mark = undefined;
  assertEquals([state.get(parsePath("a")), state.mark], [undefined, undefined]);
});

Deno.test("TwoWayState belongs to one pair", () => {
  using state = memoryState();
  state.claim("/a", "http://b");
  state.claim("/a", "http://b");
  assertEquals(codeOf(() => state.claim("/a", "http://c")), "conflict");
});

Deno.test("move() takes along what is below, over what is there, and nothing else", () => {
  using state = memoryState();
  const paths = ["d", "d/\u{1f600}/x", "d/y", "d.txt", "e", "e/old", "d0"];
  state.settle(paths.map((path) => ({ path: parsePath(path), target: fileAt(path) })));
  state.move(parsePath("d"), parsePath("e"));
  assertEquals([...state.entries()].map(({ path }) => path as string), [
    "d.txt",
    "d0",
    "e",
    "e/y",
    "e/\u{1f600}/x",
  ]);
});

Deno.test("entries() meets whatever is there longer than a page, while it changes", () => {
  using state = memoryState();
  const paths = Array.from({ length: 2_500 }, (_, i) => parsePath(`f${String(i).padStart(4, "0")}`));
  state.settle(paths.map((path) => ({ path, target: fileAt(path) })));
  let met = 0;
  for (const { path } of state.entries()) {
    met++;
    state.settle([{ path }]);
  }
  assertEquals([met, state.count], [2_500, 0]);
});
