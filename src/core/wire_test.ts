import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FilesyncError } from "./errors.ts";
import { actionSchema, batchHeaderSchema, entrySchema, fromRanges, parseWire, toRanges } from "./wire.ts";

const digest = "a".repeat(64);
const put = { type: "put", path: "a", size: 1, mtime: 2, mode: 0o644, digest };

Deno.test("parseWire() takes each kind of action, and drops what does not belong to it", () => {
  const actions = [
    put,
    { type: "directory", path: "a/b", mtime: -5, mode: 0 },
    { type: "symlink", path: "l", mtime: 0, target: "../..//x" },
    { type: "remove", path: "a" },
    { type: "move", path: "a", from: "b" },
  ];
  for (const action of actions) {
    assertEquals(parseWire(actionSchema, { ...action, extra: 1 }, "an action") as unknown, action);
  }
});

Deno.test("parseWire() refuses values that no file system holds, and says where", () => {
  const wrong: [change: Record<string, unknown>, code: string][] = [
    [{ path: "../a" }, "bad-path"],
    [{ path: "" }, "bad-path"],
    [{ path: ".filesync/index.db" }, "bad-path"],
    [{ path: 5 }, "bad-request"],
    [{ size: -1 }, "bad-request"],
    [{ size: 1.5 }, "bad-request"],
    [{ size: 2 ** 53 }, "bad-request"],
    [{ mtime: NaN }, "bad-request"],
    [{ mtime: 1e300 }, "bad-request"],
    [{ mtime: "1" }, "bad-request"],
    [{ mode: 0o10000 }, "bad-request"],
    [{ mode: -1 }, "bad-request"],
    [{ digest: digest.toUpperCase() }, "bad-request"],
    [{ type: "chmod" }, "bad-request"],
    [{ type: undefined }, "bad-request"],
  ];
  for (const [change, code] of wrong) {
    const error = assertThrows(
      () => parseWire(actionSchema, { ...put, ...change }, "an action"),
      FilesyncError,
      Object.keys(change)[0],
    ) as FilesyncError;
    assertEquals([error.code, error.permanent], [code as typeof error.code, true], JSON.stringify(change));
  }
  for (const target of ["", "a\0", "x".repeat(4096), 5]) {
    assertThrows(() =>
      parseWire(actionSchema, { type: "symlink", path: "l", mtime: 0, target }, "an action")
    );
  }
  for (const value of [undefined, null, [], "x", 5, {}]) {
    assertThrows(() => parseWire(actionSchema, value, "an action"), FilesyncError);
  }
});

Deno.test("parseWire() says which of many actions is wrong", () => {
  const batch = { key: "12345678", actions: [put, { ...put, path: "/etc/passwd" }] };
  const error = assertThrows(() => parseWire(batchHeaderSchema, batch, "the batch"), FilesyncError);
  assertEquals(
    (error as Error).message,
    "Cannot read the batch: actions.1.path: the path is absolute",
  );
  for (const key of ["", "short", "x".repeat(101), 12345678]) {
    assertThrows(() => parseWire(batchHeaderSchema, { key, actions: [] }, "the batch"), FilesyncError);
  }
});

Deno.test("parseWire() takes entries as a tree lists them", () => {
  for (
    const entry of [
      { kind: "file", path: "a", size: 0, mtime: 1, mode: 0o600, digest },
      { kind: "directory", path: "b", mtime: 1, mode: 0o3777 },
      { kind: "symlink", path: "c", mtime: 1, target: "" },
    ]
  ) assertEquals(parseWire(entrySchema, entry, "an entry") as unknown, entry);
  assertThrows(() =>
    parseWire(entrySchema, { kind: "directory", path: "..", mtime: 1, mode: 0 }, "an entry")
  );
});

Deno.test("parseWire() never throws anything but a FilesyncError", () => {
  fc.assert(fc.property(fc.anything({ withNullPrototype: true, withBigInt: true }), (value) => {
    for (const given of [value, { type: value }, { ...put, path: value }, { ...put, mtime: value }]) {
      try {
        parseWire(actionSchema, given, "an action");
      } catch (error) {
        if (!(error instanceof FilesyncError)) throw error;
      }
    }
  }));
});

Deno.test("fromRanges() undoes toRanges()", () => {
  const positions = fc.uniqueArray(fc.nat({ max: 300 })).map((list) => list.sort((a, b) => a - b));
  fc.assert(fc.property(positions, (positions) => {
    const ranges = toRanges(positions);
    assertEquals(fromRanges(ranges), positions);
    // As few as can be: between two ranges something is left out.
    for (let i = 1; i < ranges.length; i++) assertEquals(ranges[i - 1][1] < ranges[i][0], true);
  }));
  assertEquals(toRanges([0, 1, 2, 5, 7, 8]), [[0, 3], [5, 6], [7, 9]]);
});
