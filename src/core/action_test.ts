import { assertEquals } from "@std/assert";
import { type Action, actionFor, dependOnEachOther, pathsOf } from "./action.ts";
import type { Digest } from "./digest.ts";
import { parsePath } from "./path.ts";

const digest = "a".repeat(64) as Digest;
const put = (path: string): Action => ({
  type: "put",
  path: parsePath(path),
  size: 1,
  mtime: 2,
  mode: 3,
  digest,
});
const directory = (path: string): Action => ({ type: "directory", path: parsePath(path), mtime: 2, mode: 3 });
const symlink = (path: string): Action => ({ type: "symlink", path: parsePath(path), mtime: 2, target: "t" });
const remove = (path: string): Action => ({ type: "remove", path: parsePath(path) });
const move = (from: string, to: string): Action => ({
  type: "move",
  from: parsePath(from),
  path: parsePath(to),
});

Deno.test("actionFor() makes the action that makes an entry", () => {
  const path = parsePath("a");
  assertEquals(actionFor({ kind: "file", path, size: 1, mtime: 2, mode: 3, digest }), put("a"));
  assertEquals(actionFor({ kind: "directory", path, mtime: 2, mode: 3 }), directory("a"));
  assertEquals(actionFor({ kind: "symlink", path, mtime: 2, target: "t" }), symlink("a"));
});

Deno.test("pathsOf() gives both ends of a move", () => {
  assertEquals(pathsOf(move("a", "b")).map(String), ["a", "b"]);
  assertEquals(pathsOf(put("a")).map(String), ["a"]);
});

Deno.test("dependOnEachOther() is true where the order matters, both ways", () => {
  const dependent: [Action, Action][] = [
    [put("a"), put("a")],
    [put("a"), symlink("a")],
    [put("a/b"), remove("a")],
    [directory("a"), remove("a/b")],
    [remove("a"), remove("a/b")],
    [move("a", "b"), put("a/x")],
    [move("a", "b"), put("b/x")],
    [move("a/x", "b"), remove("a")],
    [move("a", "b"), move("b", "c")],
    [move("a", "b"), directory("b")],
  ];
  const free: [Action, Action][] = [
    [put("a"), put("b")],
    [directory("a"), put("a/b")],
    [symlink("a/l"), directory("a")],
    [remove("a"), put("ab")],
    [move("a", "b"), move("c", "d")],
    [move("a", "b"), put("c")],
  ];
  for (const [a, b] of dependent) {
    assertEquals([dependOnEachOther(a, b), dependOnEachOther(b, a)], [true, true], JSON.stringify([a, b]));
  }
  for (const [a, b] of free) {
    assertEquals([dependOnEachOther(a, b), dependOnEachOther(b, a)], [false, false], JSON.stringify([a, b]));
  }
});
