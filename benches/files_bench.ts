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
Deno.bench("list() and lstat()", { group: "list and lstat of 10k entries" }, () => {
  using anchor = root.anchor();
  for (const name of anchor.list(below)) anchor.lstat(childOf(below, name));
});

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
