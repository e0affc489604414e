import { assertEquals, assertGreater, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { writeBigFile } from "./bytes.ts";
import { withTemp } from "./temp.ts";
import {
  assertSameTree,
  directory,
  file,
  link,
  makeTree,
  snapshotTree,
  treeDifferences,
  treeText,
  waitForSameTree,
} from "./trees.ts";

const MTIME = Date.UTC(2020, 1, 2, 3, 4, 5, 678);

/** A tree with one of everything. */
function example(dir: string): string {
  return makeTree(dir, {
    "a.txt": file("content", { mode: 0o640, mtime: MTIME }),
    "bytes": file(new Uint8Array([0, 255]), { mtime: MTIME }),
    "l": link("a.txt", { mtime: MTIME }),
    "d": directory(
      { "new\nline 🎉 e\u0301": file("odd", { mtime: MTIME }), "empty": {} },
      { mode: 0o750, mtime: MTIME },
    ),
    ".filesync": { "state": "not part of the tree" },
  });
}

Deno.test("makeTree() and snapshotTree() agree on content, modes, times and links", () =>
  withTemp(async (dir) => {
    const snapshot = await snapshotTree(example(dir));
    assertEquals([...snapshot.keys()], ["a.txt", "bytes", "d", "d/empty", "d/new\nline 🎉 e\u0301", "l"]);
    assertEquals(snapshot.get("a.txt"), {
      kind: "file",
      size: 7,
      mode: 0o640,
      mtime: MTIME,
      sha256: "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
    });
    assertEquals(snapshot.get("d"), { kind: "directory", mode: 0o750, mtime: MTIME });
    assertEquals(snapshot.get("l"), { kind: "symlink", target: "a.txt", mtime: MTIME });
  }));

Deno.test("treeText() gives a tree as text", () =>
  withTemp(async (dir) => {
    makeTree(dir, { "x/y/z": "1\n", "l": link("x/y"), "long": "-".repeat(61) });
    assertEquals(await treeText(dir), `l -> x/y\nlong 61 bytes\nx/\nx/y/\nx/y/z "1\\n"`);
  }));

Deno.test("assertSameTree() takes two trees that are the same, and a snapshot for a tree", () =>
  withTemp(async (dir) => {
    const [a, b] = [example(`${dir}/a`), example(`${dir}/b`)];
    await assertSameTree(a, b, { directoryMtime: false, symlinkMtime: true });
    await assertSameTree(await snapshotTree(a), b);
  }));

const edits: [what: string, edit: (dir: string) => void, expected: RegExp][] = [
  ["a missing file", (dir) => Deno.removeSync(`${dir}/bytes`), /"bytes" is missing: file/],
  ["an extra directory", (dir) => Deno.mkdirSync(`${dir}/d/more`), /"d\/more" is too much: directory/],
  ["a size", (dir) => {
    Deno.writeTextFileSync(`${dir}/a.txt`, "contents");
    Deno.utimeSync(`${dir}/a.txt`, MTIME / 1000, MTIME / 1000);
  }, /"a.txt" differs in size: 7 became 8/],
  ["content", (dir) => {
    Deno.writeTextFileSync(`${dir}/a.txt`, "Content");
    Deno.utimeSync(`${dir}/a.txt`, MTIME / 1000, MTIME / 1000);
  }, /^"a.txt" differs in content: \w{64} became \w{64}$/],
  ["a mode", (dir) => Deno.chmodSync(`${dir}/a.txt`, 0o600), /"a.txt" differs in mode: 640 became 600/],
  ["a directory's mode", (dir) => Deno.chmodSync(`${dir}/d`, 0o700), /"d" differs in mode: 750 became 700/],
  [
    "a time by a millisecond",
    (dir) => Deno.utimeSync(`${dir}/a.txt`, 1, (MTIME + 1) / 1000),
    /"a.txt" differs in mtime: 2020-02-02T03:04:05.678Z became 2020-02-02T03:04:05.679Z/,
  ],
  ["a link's target", (dir) => {
    Deno.removeSync(`${dir}/l`);
    Deno.symlinkSync("gone", `${dir}/l`);
  }, /"l" differs in target: a.txt became gone/],
  ["a kind", (dir) => {
    Deno.removeSync(`${dir}/l`);
    Deno.mkdirSync(`${dir}/l`);
  }, /"l" differs in kind: symlink became directory/],
];

for (const [what, edit, expected] of edits) {
  Deno.test(`treeDifferences() finds ${what}`, () =>
    withTemp(async (dir) => {
      const before = await snapshotTree(example(dir));
      edit(dir);
      const differences = treeDifferences(before, await snapshotTree(dir));
      assertEquals(differences.length, 1, differences.join("\n"));
      assertMatch(differences[0], expected);
    }));
}

Deno.test("treeDifferences() looks at times of directories and links only when asked", () =>
  withTemp(async (dir) => {
    const before = await snapshotTree(example(`${dir}/a`));
    makeTree(`${dir}/b`, {
      "l": link("a.txt", { mtime: 1000 }),
      "d": directory({}, { mode: 0o750, mtime: 1000 }),
    });
    const after = await snapshotTree(`${dir}/b`);
    const only = { ignore: (path: string) => path !== "l" && path !== "d" };
    assertEquals(treeDifferences(before, after, only), []);
    assertEquals(treeDifferences(before, after, { ...only, directoryMtime: true }).length, 1);
    assertEquals(treeDifferences(before, after, { ...only, symlinkMtime: true }).length, 1);
  }));

Deno.test("assertSameTree() shows the first 20 differences, and names that look alike", () =>
  withTemp(async (dir) => {
    makeTree(`${dir}/a`, Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, ""])));
    makeTree(`${dir}/b`, { "e\u0301": "" });
    const error = await assertRejects(() => assertSameTree(`${dir}/a`, `${dir}/b`));
    assertStringIncludes(error.message, "31 differences");
    assertStringIncludes(error.message, "and 11 more");
    assertEquals(error.message.split("\n").length, 22);
    const other = await assertRejects(() => assertSameTree(`${dir}/b`, `${dir}/a`));
    assertStringIncludes(other.message, '"e\\u{301}" is missing');
  }));

Deno.test("waitForSameTree() waits for content and tells what is still different", () =>
  withTemp(async (dir) => {
    const a = makeTree(`${dir}/a`, { "f": file("right", { mtime: MTIME }) });
    const b = makeTree(`${dir}/b`, { "f": file("wrong", { mtime: MTIME }) });
    const error = await assertRejects(() => waitForSameTree(a, b, 10));
    assertStringIncludes(error.message, '"f" differs in content');
    const waiting = waitForSameTree(a, b, 5000);
    makeTree(b, { "f": file("right", { mtime: MTIME }) });
    await waiting;
    await waitForSameTree(await snapshotTree(a), b, 0);
  }));

Deno.test("snapshotTree() lets the event loop turn while it reads", () =>
  withTemp(async (dir) => {
    writeBigFile(`${dir}/big`, 1 << 27, 1);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await snapshotTree(dir);
    clearInterval(timer);
    assertGreater(turns, 3);
  }));
