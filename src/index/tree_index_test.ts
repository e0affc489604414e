import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { TempDirectory } from "../../tests/support/temp.ts";
import { type ChunkRef, packManifest, unpackManifest } from "../core/chunk.ts";
import type { Entry } from "../core/entry.ts";
import { childOf, isWithin, nameOf, parentOf, parsePath, rebase, ROOT, type TreePath } from "../core/path.ts";
import { openDatabase } from "../database/open.ts";
import { sha256 } from "../hashing/sha256.ts";
import { INDEX_MIGRATIONS } from "./schema.ts";
import { type Look, TreeIndex } from "./tree_index.ts";

const LOOK: Look = { ctime: 5, dev: 6, ino: 7, lookedAt: 8 };

function memoryIndex(): TreeIndex {
  const db = new DatabaseSync(":memory:");
  for (const migration of INDEX_MIGRATIONS) db.exec(migration);
  return new TreeIndex(db);
}

function digestOf(text: string) {
  return sha256(new TextEncoder().encode(text));
}

function fileEntry(path: string, content: string): Entry & { kind: "file" } {
  return {
    kind: "file",
    path: parsePath(path),
    size: content.length,
    mtime: 1,
    mode: 0o644,
    digest: digestOf(content),
  };
}

function directoryEntry(path: string): Entry {
  return { kind: "directory", path: parsePath(path), mtime: 2, mode: 0o755 };
}

function manifest(...chunks: string[]): ChunkRef[] {
  return chunks.map((chunk) => ({ digest: digestOf(chunk), length: chunk.length }));
}

Deno.test("knownAmong() gives the paths at which something stands", () => {
  using index = memoryIndex();
  index.put(directoryEntry("d"), LOOK);
  index.put(fileEntry('d/"ü', "x"), LOOK);
  const paths = ['d/"ü', "d", "d/u", "e", "d"].map(parsePath);
  assertEquals([...index.knownAmong(paths)].sort(), ["d", 'd/"ü']);
  assertEquals(index.knownAmong([]).size, 0);
});

Deno.test("put() records every kind of entry with how it looked", () => {
  using index = memoryIndex();
  const entries: Entry[] = [
    fileEntry("f", "x"),
    directoryEntry("d"),
    { kind: "symlink", path: parsePath("l"), mtime: -3, target: "../somewhere\n" },
  ];
  for (const entry of entries) index.put(entry, LOOK);
  for (const entry of entries) assertEquals(index.get(entry.path), { ...entry, ...LOOK });
  assertEquals(index.get(parsePath("none")), undefined);
  const changed: Entry = { ...directoryEntry("f"), mtime: 99 };
  index.put(changed, { ...LOOK, ino: 70 });
  assertEquals(index.get(parsePath("f")), { ...changed, ...LOOK, ino: 70 });
  assertEquals(index.hasContent(digestOf("x")), false, "nobody holds it any more");
});

Deno.test("children() gives what stands directly in a directory, and nothing of its neighbours", () => {
  using index = memoryIndex();
  for (const path of ["a", "a/b", "a/b/c", "a/b0", "a/b-", "a-", "a0", "a!/x", "b/c/d"]) {
    index.put(directoryEntry(path), LOOK);
  }
  const names = (path: TreePath) => index.children(path).map(({ path }) => String(path)).sort();
  assertEquals(names(ROOT), ["a", "a-", "a0"]);
  assertEquals(names(parsePath("a")), ["a/b", "a/b-", "a/b0"]);
  assertEquals(names(parsePath("a/b")), ["a/b/c"]);
  assertEquals(names(parsePath("a/b/c")), []);
});

Deno.test("entries() goes on over pages while entries are changed", () => {
  using index = memoryIndex();
  index.transaction(() => {
    for (let i = 0; i < 2_500; i++) index.put(directoryEntry(String(i).padStart(4, "0")), LOOK);
  });
  let met = 0;
  for (const { path } of index.entries()) {
    met++;
    index.remove(path);
  }
  assertEquals(met, 2_500);
  assertEquals(index.count(), { entries: 0, bytes: 0 });
});

/** Names that sort next to the slash, are prefixes of each other, or are more than one unit long. */
const path = fc.array(fc.constantFrom("a", "b", "a!", "a0", "😀", "é", "e\u0301", "A"), {
  minLength: 1,
  maxLength: 3,
}).map((names) => parsePath(names.join("/")));

type Step = { put: TreePath; content: string | null } | { remove: TreePath } | {
  from: TreePath;
  to: TreePath;
};
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ put: path, content: fc.constantFrom(null, "x", "y", "zz") }) },
  fc.record({ remove: path }),
  { weight: 2, arbitrary: fc.record({ from: path, to: path }) },
);

Deno.test("TreeIndex tells what a map of paths would tell, whatever is put, removed and moved", () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    using index = memoryIndex();
    const model = new Map<TreePath, Entry>();
    const drop = (path: TreePath) => {
      for (const known of [...model.keys()]) if (isWithin(known, path)) model.delete(known);
    };
    for (const step of steps) {
      if ("put" in step) {
        const entry = step.content === null ? directoryEntry(step.put) : fileEntry(step.put, step.content);
        index.put(entry, LOOK);
        model.set(step.put, entry);
      } else if ("remove" in step) {
        index.remove(step.remove);
        drop(step.remove);
      } else if (!isWithin(step.to, step.from) && !isWithin(step.from, step.to)) {
        index.move(step.from, step.to);
        drop(step.to);
        for (const [known, entry] of [...model]) {
          if (!isWithin(known, step.from)) continue;
          const path = rebase(known, step.from, step.to);
          model.delete(known);
          model.set(path, { ...entry, path });
        }
      }
    }
    assertEquals(
      new Map([...index.entries()].map((entry) => [entry.path, entry])) as Map<TreePath, Entry>,
      new Map([...model].map(([path, entry]) => [path, { ...entry, ...LOOK }])),
    );
    const paths = [...model.keys()];
    const files = [...model.values()].filter((entry) => entry.kind === "file");
    assertEquals(index.count(), {
      entries: paths.length,
      bytes: files.reduce((sum, { size }) => sum + size, 0),
    });
    for (const { path: asked } of [...model.values(), directoryEntry("a"), directoryEntry("a/b")]) {
      const within = paths.filter((path) => isWithin(path, asked)).sort();
      assertEquals([...index.pathsWithin(asked)].sort(), within);
      assertEquals(index.countWithin(asked), within.length);
      assertEquals(
        index.children(asked).map(({ path }) => path).sort(),
        paths.filter((path) => parentOf(path) === asked && path === childOf(asked, nameOf(path))).sort(),
      );
    }
    for (const content of ["x", "y", "zz"]) {
      const holders = files.filter(({ digest }) => digest === digestOf(content)).map(({ path }) => path);
      assertEquals(index.pathsWith(digestOf(content)).sort(), holders.sort());
      assertEquals(index.hasContent(digestOf(content)), holders.length > 0);
    }
  }));
});

Deno.test("placeOf() finds a chunk as long as any file holds it", () => {
  using index = memoryIndex();
  const chunks = manifest("one", "two", "one", "three");
  index.put(fileEntry("a", "onetwoonethree"), LOOK, packManifest(chunks));
  index.put(fileEntry("b", "two"), LOOK, packManifest(manifest("two")));
  index.put(fileEntry("empty", ""), LOOK, packManifest([]));
  const whole = digestOf("onetwoonethree");
  assertEquals(index.placeOf(digestOf("three")), { content: whole, start: 9 });
  assertEquals(index.placeOf(digestOf("two")), { content: digestOf("two"), start: 0 });
  assertEquals(index.placeOf(whole), { content: whole, start: 0 });
  assertEquals(index.placeOf(digestOf("four")), undefined);
  assertEquals(unpackManifest(index.manifestOf(whole)!), chunks);
  assertEquals(unpackManifest(index.manifestOf(digestOf("two"))!), manifest("two"));
  assertEquals(unpackManifest(index.manifestOf(digestOf(""))!), []);
  assertEquals(index.manifestOf(digestOf("four")), undefined);
  index.put(fileEntry("copy", "onetwoonethree"), LOOK);
  index.remove(parsePath("a"));
  assertEquals(index.placeOf(digestOf("three")), { content: whole, start: 9 });
  index.remove(parsePath("copy"));
  assertEquals(index.placeOf(digestOf("three")), undefined);
  assertEquals(index.placeOf(digestOf("two")), { content: digestOf("two"), start: 0 });
});

Deno.test("byInode() finds the entries that had an inode", () => {
  using index = memoryIndex();
  index.put(fileEntry("a", "x"), { ...LOOK, ino: 1 });
  index.put(fileEntry("b", "x"), { ...LOOK, ino: 1, dev: 9 });
  index.put(fileEntry("c", "x"), { ...LOOK, ino: 1 });
  const { dev } = LOOK;
  assertEquals(index.byInode({ dev, ino: 1 }).map(({ path }) => String(path)).sort(), ["a", "c"]);
  assertEquals(index.byInode({ dev, ino: 2 }), []);
});

Deno.test("history() gives what was recorded, newest first, of a path and what is below it", () => {
  using index = memoryIndex();
  const time = 1;
  index.record({ time, what: "put", path: parsePath("d/f"), size: 0, digest: digestOf("") });
  index.record({ time, what: "put", path: parsePath("d-"), size: 1, digest: digestOf("x") });
  index.record({ time, what: "move", path: parsePath("e"), from: parsePath("d/f") });
  const told = (query: Parameters<TreeIndex["history"]>[0]) =>
    index.history(query).map(({ sequence, path }) => `${sequence} ${path}`);
  assertEquals(index.history({ limit: 1, before: 2 }), [
    { sequence: 1, time, what: "put", path: parsePath("d/f"), size: 0, digest: digestOf("") },
  ]);
  assertEquals(told({}), ["3 e", "2 d-", "1 d/f"]);
  assertEquals(told({ under: parsePath("d") }), ["3 e", "1 d/f"]);
  assertEquals(told({ under: parsePath("d/f") }), ["3 e", "1 d/f"]);
  assertEquals(told({ under: parsePath("e") }), ["3 e"]);
  assertEquals(told({ before: 3, limit: 1 }), ["2 d-"]);
});

Deno.test("history() finds what touched a path, of late and long ago, and nothing beside it", () => {
  using index = memoryIndex();
  const rows: { path: TreePath; from?: TreePath }[] = [
    { path: parsePath("a/b") },
    { path: parsePath("a/b/f") },
    { path: parsePath("a/bb") },
    { path: parsePath("a"), from: parsePath("z") },
    { path: parsePath("y"), from: parsePath("a/b/f") },
    { path: parsePath("a/b/g"), from: parsePath("a/b/h") },
    { path: parsePath("a-") },
  ];
  const record = (count: number) =>
    index.transaction(() => {
      for (let i = 0; i < count; i++) index.record({ time: 1, what: "put", path: parsePath(`beside/${i}`) });
    });
  record(1);
  for (const row of rows) index.record({ time: 1, what: row.from ? "move" : "put", ...row });
  const touching = (path: string, before?: number, limit?: number) =>
    index.history({ touching: parsePath(path), before, limit }).map(({ sequence }) => sequence);
  const expected: [path: string, touched: number[]][] = [
    ["a/b", [7, 6, 5, 3, 2]],
    ["a/b/f", [6, 5, 3, 2]],
    ["a/bb", [5, 4]],
    ["z", [5]],
    ["none", []],
  ];
  // Then so much happens beside it that the index has to be asked.
  for (const later of [0, 12_000]) {
    record(later);
    for (const [path, touched] of expected) assertEquals(touching(path), touched, `${path}, ${later} later`);
    assertEquals(touching("a/b", 6), [5, 3, 2]);
    assertEquals(touching("a/b", undefined, 2), [7, 6]);
    assertEquals(index.history({ under: parsePath("a/b") }).map(({ sequence }) => sequence), [7, 6, 3, 2]);
  }
  assertEquals(index.history({ under: parsePath("beside"), limit: 20_000 }).length, 12_001);
  assertEquals(index.history({ limit: 20_000 }).length, 12_008);
});

Deno.test("entries() gives what is below a directory only", () => {
  using index = memoryIndex();
  for (const path of ["a", "a-", "a/b", "a/b/c", "a/z", "a0"]) index.put(directoryEntry(path), LOOK);
  assertEquals([...index.entries(parsePath("a"))].map(({ path }) => String(path)), ["a/b", "a/b/c", "a/z"]);
  assertEquals([...index.entries()].length, 6);
});

Deno.test("transaction() takes back what was recorded, and its sequence, when it fails", () => {
  using index = memoryIndex();
  index.record({ time: 1, what: "put", path: parsePath("a") });
  assertThrows(() =>
    index.transaction(() => {
      index.put(directoryEntry("b"), LOOK);
      index.record({ time: 1, what: "put", path: parsePath("b") });
      index.skipSequence(5);
      throw new Error("no");
    })
  );
  assertEquals([index.sequence, index.get(parsePath("b")), index.history({}).length], [1, undefined, 1]);
});

Deno.test("TreeIndex keeps its name, settings and sequence over a restart", () => {
  using temp = new TempDirectory();
  const open = (name: string) =>
    new TreeIndex(openDatabase(`${temp.path}/${name}`, { name: "index", migrations: INDEX_MIGRATIONS }));
  let id: string;
  {
    using index = open("a");
    id = index.id;
    index.record({ time: 1, what: "put", path: parsePath("a") });
    index.skipSequence(10);
    index.setMeta("k", "1");
    index.setMeta("k", "2");
  }
  using again = open("a");
  assertEquals([again.id, again.sequence, again.meta("k"), again.meta("none")], [id, 11, "2", undefined]);
  using other = open("b");
  assertNotEquals(other.id, id);
});
