import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { PathError } from "./errors.ts";
import {
  areRelated,
  childFault,
  childOf,
  comesBefore,
  isWithin,
  nameFault,
  nameOf,
  parentOf,
  parsePath,
  pathFault,
  rangeBelow,
  rebase,
  ROOT,
  type TreePath,
  windowsNameFault,
} from "./path.ts";

const REFUSED: Record<string, string> = {
  "": "empty",
  "/": "absolute",
  "/etc/passwd": "absolute",
  "..": '".."',
  ".": '"."',
  "a/../b": '".."',
  "a/..": '".."',
  "./a": '"."',
  "a//b": "empty segment",
  "a/": "empty segment",
  "a\0b": "NUL",
  "a/b\0": "NUL",
  ".filesync": "reserved",
  ".filesync/token": "reserved",
  ".FileSync/token": "reserved",
  "deep/.filesync/x": "reserved",
  ".filesync.": "reserved",
  ".filesync. . /x": "reserved",
  ".FILESYNC::$INDEX_ALLOCATION": "reserved",
  "FILESY~1/token": "reserved",
  ".\uff46\uff29lesync/x": "reserved",
  "\uff0efilesync": "reserved",
  ".\ufb01lesync": "reserved",
  ".file\u200csync": "reserved",
  "\ufeff.filesync": "reserved",
  "\uD800": "Unicode",
  "a/\uDC00b": "Unicode",
  "bad\uFFFDname": "Unicode",
  ["x".repeat(256)]: "255 bytes",
  ["ä".repeat(128)]: "255 bytes",
  ["a/".repeat(20_000) + "a"]: "32768 bytes",
  ["a/".repeat(500) + "a"]: "500 directories deep",
};

for (const [text, why] of Object.entries(REFUSED)) {
  const shown = JSON.stringify(text.length > 20 ? `${text.slice(0, 20)}…` : text);
  Deno.test(`parsePath() refuses ${shown}: ${why}`, () => {
    const error = assertThrows(() => parsePath(text), PathError, why) as PathError;
    assertEquals([error.code, error.permanent], ["bad-path", true]);
    assert(error.message.length < 500);
  });
}

Deno.test("parsePath() takes every other name, as it is", () => {
  const names = [
    "a",
    "...",
    "..a",
    "a b",
    " ",
    "-rf",
    "new\nline",
    "back\\slash",
    "C:",
    "CON",
    "é",
    "e\u0301",
    "👩‍👩‍👧",
    "%2e%2e",
    ".filesyncignore",
    ".filesync2",
    "x".repeat(255),
    "ä".repeat(127),
    "\u202E",
  ];
  for (const name of names) assertEquals(String(parsePath(name)), name);
  assertEquals(String(parsePath(names.join("/"))), names.join("/"));
});

Deno.test("parsePath() lets nothing through that leads out of a directory", () => {
  const piece = fc.constantFrom("..", ".", "/", "a", "\\", "\0", "%2e", "\u2024", "C:", ".filesync", " ");
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(fc.oneof(text, fc.string({ unit: "binary" })), (text) => {
      if (pathFault(text) !== undefined) return;
      const resolved = new URL(text.split("/").map(encodeURIComponent).join("/"), "file:///tree/").pathname;
      assert(resolved.startsWith("/tree/") && resolved.length > "/tree/".length, resolved);
      assert(!text.toLowerCase().split("/").includes(".filesync"));
      assert(!text.includes("\0"));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("nameFault() refuses a slash in a name", () => {
  assertEquals(nameFault("a/b"), "the name has a slash");
  assertEquals(nameFault("a"), undefined);
});

const path = fc.array(fc.constantFrom("a", "b", "a!", "a0", "é", "😀", "a\x01"), {
  minLength: 1,
  maxLength: 4,
})
  .map((names) => parsePath(names.join("/")));

Deno.test("childOf() undoes parentOf() and nameOf()", () => {
  fc.assert(fc.property(path, (path) => {
    assertEquals(childOf(parentOf(path), nameOf(path)), path);
    assert(isWithin(path, parentOf(path)));
  }));
  assertEquals(parentOf(parsePath("a")), ROOT);
  assertEquals(childOf(ROOT, "a"), parsePath("a"));
});

Deno.test("isWithin() goes by whole names", () => {
  const within = (path: string, directory: string) => isWithin(parsePath(path), parsePath(directory));
  assert(within("a/b", "a"));
  assert(within("a", "a"));
  assert(!within("ab", "a"));
  assert(!within("a", "a/b"));
  assert(!within("a!b", "a"));
  assert(isWithin(parsePath("a"), ROOT) && isWithin(ROOT, ROOT));
  assert(!isWithin(ROOT, parsePath("a")));
});

Deno.test("areRelated() is true both ways, and only of a path and what holds it", () => {
  fc.assert(fc.property(path, path, (a, b) => {
    assertEquals(areRelated(a, b), areRelated(b, a));
    assertEquals(areRelated(a, b), a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`));
  }));
});

Deno.test("rangeBelow() holds exactly the paths below a directory", () => {
  fc.assert(fc.property(path, path, (path, directory) => {
    const { low, high } = rangeBelow(directory);
    assertEquals(path >= low && path < high, path !== directory && isWithin(path, directory));
  }));
});

Deno.test("rebase() moves a path with the directory it is in", () => {
  assertEquals(rebase(parsePath("a/b/c"), parsePath("a/b"), parsePath("x")), parsePath("x/c"));
  assertEquals(rebase(parsePath("a"), parsePath("a"), parsePath("x/y")), parsePath("x/y"));
});

Deno.test("comesBefore() is the order of the UTF-8 bytes", () => {
  const encoder = new TextEncoder();
  const byBytes = (a: string, b: string) => {
    const [x, y] = [encoder.encode(a), encoder.encode(b)];
    const at = x.findIndex((byte, i) => byte !== y[i]);
    return at < 0 ? x.length < y.length : at < y.length && x[at] < y[at];
  };
  const text = fc.string({
    unit: fc.constantFrom("a", "é", "\uD7FF", "\uE000", "\uFFFF", "\u{10000}", "\u{1F600}", "/"),
  });
  fc.assert(fc.property(text, text, (a, b) => assertEquals(comesBefore(a, b), byBytes(a, b))));
});

Deno.test("parsePath() takes names that only look like those of the state", () => {
  const names = [
    ".filesyncignore",
    ".filesync2",
    "filesync",
    ".file sync",
    "a.filesync",
    "filesy",
    "filesy~a",
    ".f",
  ];
  for (const name of names) assertEquals(parsePath(name), name);
});

Deno.test("windowsNameFault() refuses what Windows takes for something else, and nothing more", () => {
  const bad = [
    "a\\b",
    "..\\..\\x",
    "C:",
    "a:b",
    "a?",
    "a*",
    "a<",
    'a"',
    "a|b",
    "a\u0001",
    "a.",
    "a ",
    "... ",
    "con",
  ]
    .concat("NUL", "nul.txt", "Aux .x", "COM1", "lpt9.log", "com\u00b9", "CONIN$", "prn");
  for (const name of bad) assert(windowsNameFault(name) !== undefined, name);
  for (
    const name of ["a", "a.b", "console", "com", "com10", "nullify", "a b", " a", ".a", "ä", "auxiliary.c"]
  ) {
    assertEquals(windowsNameFault(name), undefined, name);
  }
});

Deno.test("childFault() finds what parsePath() would, in any directory", () => {
  for (const directory of ["", "a", "d/".repeat(498) + "d", "d/".repeat(499) + "d", "x".repeat(255)]) {
    for (const name of ["a", "..", ".filesync", "x".repeat(255), "x".repeat(256)]) {
      const path = directory === "" ? name : `${directory}/${name}`;
      assertEquals(
        childFault(directory as TreePath, name) === undefined,
        pathFault(path) === undefined,
        path,
      );
    }
  }
});
