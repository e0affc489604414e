/** Access to a tree, with and without its confinement, and ignore rules. @module */
import { childOf, parsePath, type TreePath } from "../src/core/path.ts";
import { IgnoreRules } from "../src/files/ignore_rules.ts";
import { toStat } from "../src/files/stat.ts";
import { TreeRoot } from "../src/files/tree_root.ts";

const ENTRIES = 10_000;
const directory = Deno.makeTempDirSync();
const below = parsePath("a/directory/some/levels/down");
Deno.mkdirSync(`${directory}/${below}`, { recursive: true });
for (let i = 0; i < ENTRIES; i++) {
  Deno.writeFileSync(`${directory}/${below}/entry-${i}.txt`, new Uint8Array());
}
addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));

const root = TreeRoot.open(directory);
const checked = TreeRoot.open(directory, { anchoring: "paths" });
const names = Array.from(Deno.readDirSync(`${directory}/${below}`), (entry) => entry.name);

Deno.bench("plain Deno.lstatSync", { group: "lstat of 10k entries", baseline: true }, () => {
  for (const name of names) toStat(Deno.lstatSync(`${directory}/${below}/${name}`));
});
for (const tree of [root, checked]) {
  Deno.bench(`lstat() anchored by ${tree.anchoring}`, { group: "lstat of 10k entries" }, () => {
    using anchor = tree.anchor();
    for (const name of names) anchor.lstat(childOf(below, name));
  });
}

Deno.bench(
  "plain readDirSync and lstatSync",
  { group: "list and lstat of 10k entries", baseline: true },
  () => {
    for (const { name } of Deno.readDirSync(`${directory}/${below}`)) {
      toStat(Deno.lstatSync(`${directory}/${below}/${name}`));
    }
  },
);
for (const tree of [root, checked]) {
  Deno.bench(`list() and lstat() by ${tree.anchoring}`, { group: "list and lstat of 10k entries" }, () => {
    using anchor = tree.anchor();
    for (const name of anchor.list(below)) anchor.lstat(childOf(below, name));
  });
  Deno.bench(`listWithStats() by ${tree.anchoring}`, { group: "list and lstat of 10k entries" }, () => {
    using anchor = tree.anchor();
    anchor.listWithStats(below);
  });
}

for (let d = 0; d < 500; d++) {
  Deno.mkdirSync(`${directory}/walked/directory-${d}`, { recursive: true });
  for (let i = 0; i < 20; i++) {
    Deno.writeFileSync(`${directory}/walked/directory-${d}/file-${i}`, new Uint8Array());
  }
}
for (const tree of [root, checked]) {
  Deno.bench(`walk by ${tree.anchoring}`, { group: "walk of 10k files in 500 directories" }, () => {
    const directories = [parsePath("walked")];
    for (let at = directories.pop(); at !== undefined; at = directories.pop()) {
      using anchor = tree.anchor();
      for (const { name, stat } of anchor.listWithStats(at)) {
        if (!(stat instanceof Error) && stat.kind === "directory") directories.push(childOf(at, name));
      }
    }
  });
}

const small = new Uint8Array(4096);
for (const tree of [root, checked]) {
  Deno.bench(`create by ${tree.anchoring}`, { group: "write, place and remove 100 files of 4 KiB" }, () => {
    using anchor = tree.anchor();
    const places = Array.from({ length: 100 }, (_, i) => parsePath(`new-${i}`));
    for (const path of places) {
      const temp = anchor.createTemp();
      temp.write(small);
      temp.setAttributes({ mode: 0o644, mtime: 1_700_000_000_000 });
      temp.close();
      anchor.place(temp, path);
    }
    for (const path of places) anchor.removeFile(path);
  });
  Deno.bench(`openRead() and read() by ${tree.anchoring}`, { group: "open and read 1,000 files" }, () => {
    using anchor = tree.anchor();
    for (const name of names.slice(0, 1000)) {
      using file = anchor.openRead(childOf(below, name));
      file.read(small, 0);
    }
  });
}

for (const way of ["sync() of each", "syncFileSystem()"]) {
  Deno.bench(way, { group: "100 files of 4 KiB onto the disk", n: 10 }, async (bench) => {
    using anchor = root.anchor();
    const temps = Array.from({ length: 100 }, () => anchor.createTemp());
    for (const temp of temps) temp.write(small);
    bench.start();
    await (way === "sync() of each" || !root.canSyncFileSystem
      ? Promise.all(temps.map((temp) => temp.sync()))
      : root.syncFileSystem());
    bench.end();
    for (const temp of temps) temp.discard();
  });
}

const paths = Array.from(
  { length: 100_000 },
  (_, i) => parsePath(`src/module-${i % 100}/part-${i % 1000}/file-${i}.ts`) as TreePath,
);
const rules: Record<string, string[]> = {
  none: [],
  few: ["*.log", "node_modules/", "/dist", "**/cache/*.tmp", "!keep.log"],
};
for (const [name, patterns] of Object.entries(rules)) {
  Deno.bench(`ignores(), rules: ${name}`, { group: "ignore rules, 100k paths in 1,000 directories" }, () => {
    const rules = IgnoreRules.load(root, patterns);
    for (const path of paths) rules.ignores(path, false);
  });
}
