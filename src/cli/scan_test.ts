import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { existsSync } from "@std/fs";
import { Home, jsonLines } from "../../tests/support/run_command.ts";
import { link, makeTree } from "../../tests/support/trees.ts";
import { EXIT, FilesyncError } from "../core/errors.ts";
import { CrawlPool } from "../crawler/crawl_pool.ts";
import { parseCatalog } from "./catalog_location.ts";
import { parseMoment } from "./since.ts";
import { parseShard } from "./scan.ts";

Deno.test("scan, changes and report tell what happened to a tree", async () => {
  using home = new Home();
  const root = makeTree(home.directory("tree"), { "a.txt": "1", d: { "b.txt": "22", c: link("b.txt") } });
  const first = await home.run("scan", root);
  assertEquals([first.code, first.err], [EXIT.done, ""]);
  assertMatch(first.out, /^scan .*\nscan 1: 3 added {2}3 files in 2 directories, 8 B \(\+8 B\), in /);
  makeTree(root, { "a.txt": "changed", 'new,"<b>.md': "" });
  Deno.renameSync(`${root}/d/b.txt`, `${root}/moved.txt`);
  Deno.removeSync(`${root}/d/c`);
  const second = await home.run("scan", root, "--meta", "reason=test", "--json");
  const scanned = jsonLines(second.out).at(-1)!;
  assertEquals([scanned.type, scanned.added, scanned.modified, scanned.moved, scanned.removed], [
    "scanned",
    1,
    1,
    1,
    1,
  ]);

  const { out } = await home.run("changes", "--scan", "2");
  const lines = out.trimEnd().split("\n").map((line) =>
    line.replace(/^ +2 {2}\S+ {2}/, "").replaceAll(`${root}/`, "")
  );
  assertEquals(lines.sort(), [
    'added     new,"<b>.md  0 B',
    "modified  a.txt  1 B → 7 B",
    "moved     d/b.txt → moved.txt  2 B",
    "removed   d/c  5 B",
  ]);
  const removed = jsonLines((await home.run("changes", "-k", "removed", "--since", "1h", "--json")).out);
  assertEquals(removed.map(({ kind, path, oldSize }) => [kind, path, oldSize]), [[
    "removed",
    `${root}/d/c`,
    5,
  ]]);

  const report = await home.run("report", "--under", root);
  assertEquals(report.code, EXIT.done);
  assertStringIncludes(report.out, `3 files in 2 directories below ${root}, 9 B`);
  assertMatch(report.out, /By day \(UTC\)\n {2}day +scans +added .*\n {2}\d{4}-\d\d-\d\d +2 +4 +1 +1 +1 /);
  const csv = await home.run("report", "--format", "csv");
  assertMatch(csv.out, /^table,day,scans,added,.*\r\nperiods,\d{4}-\d\d-\d\d,2,4,1,1,1,/);
  assertStringIncludes(csv.out, `"${root}/new,""<b>.md"`);
  const [json] = jsonLines((await home.run("report", "--weekly", "--json")).out);
  assertEquals([json.period, (json.periods as unknown[]).length], ["week", 1]);
  const page = `${home.path}/report.html`;
  assertEquals((await home.run("report", "--format", "html", "-o", page)).code, EXIT.done);
  const html = Deno.readTextFileSync(page);
  assertMatch(html, /^<!DOCTYPE html>/);
  assertStringIncludes(html, "new,&quot;&lt;b&gt;.md");
  assertStringIncludes(html, "<svg");
  for (const foreign of ["<script", "http://", "https://", "<b>"]) assert(!html.includes(foreign), foreign);
});

Deno.test("scan takes fingerprints, and says where duplicates are", async () => {
  using home = new Home();
  const root = makeTree(home.directory("tree"), { a: "same", b: "same", c: "other" });
  assertEquals((await home.run("scan", root, "--fingerprint", "--limit", "100M")).code, EXIT.done);
  const { out } = await home.run("report");
  assertStringIncludes(out, "Duplicates: 1 contents waste 4 B");
});

Deno.test("scan lists what it could not read, and exits with 1", async () => {
  using home = new Home();
  const root = makeTree(home.directory("tree"), { a: "1" });
  await new Deno.Command("sh", { args: ["-c", `cd '${root}' && : > "$(printf 'b\\377')"`] }).output();
  const { code, out, err } = await home.run("scan", root);
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, "its name is not valid Unicode");
  assertStringIncludes(out, "1 added; 1 problem");
});

Deno.test("scan leaves out what rules name", async () => {
  using home = new Home();
  const root = makeTree(home.directory("tree"), {
    "a.txt": "",
    "b.tmp": "",
    cache: { x: "" },
    sub: { ".filesyncignore": "*.log\n", "y.log": "", "z.txt": "" },
  });
  await home.run("scan", root, "-i", "*.tmp", "-i", "cache/");
  const paths = jsonLines((await home.run("changes", "--json")).out).map(({ path }) =>
    String(path).slice(root.length)
  );
  assertEquals(paths, ["/a.txt", "/sub/.filesyncignore", "/sub/z.txt"]);
});

Deno.test("catalog makes and tidies up; changes and report want one", async () => {
  using home = new Home();
  for (const command of ["changes", "report"]) {
    const { code, err } = await home.run(command, "--catalog", `sqlite:${home.path}/none.db`);
    assertEquals(code, EXIT.usage);
    assertStringIncludes(err, "Make it with filesync scan");
  }
  for (
    const [action, does] of [["init", "is ready"], ["migrate", "is up to date"], ["vacuum", "is tidied up"]]
  ) {
    const { code, out } = await home.run("catalog", action, "-c", `${home.path}/c.db`);
    assertEquals([code, out], [EXIT.done, `The catalog ${home.path}/c.db ${does}\n`]);
  }
  assertEquals((await home.run("catalog", "explode")).code, EXIT.usage);
  assertEquals((await home.run("report", "-c", `${home.path}/c.db`, "--format", "pdf")).code, EXIT.usage);
  assertEquals((await home.run("scan", `${home.path}/nowhere`)).code, EXIT.problems);
});

Deno.test("watch --catalog keeps a catalog current", async () => {
  using home = new Home();
  const root = makeTree(home.directory("tree"), { a: "1", d: { b: "22" } });
  const url = `sqlite:${home.path}/c.db`;
  const { code, err } = await home.run(
    "watch",
    root,
    "--to",
    home.directory("copy"),
    "--once",
    "--catalog",
    url,
  );
  assertEquals([code, err], [EXIT.done, ""]);
  const paths = jsonLines((await home.run("changes", "-c", url, "--json")).out).map(({ path }) => path);
  assertEquals(paths, [`${root}/a`, `${root}/d/b`]);
});

Deno.test("catalog migrate and vacuum make no catalog of a name with a slip in it", async () => {
  using home = new Home();
  const path = `${home.path}/slip.db`;
  for (const action of ["migrate", "vacuum"]) {
    const { code, err } = await home.run("catalog", action, "--catalog", path);
    assertEquals([code, err.split("\n")[0]], [
      EXIT.usage,
      `filesync: Cannot open the catalog "${path}": it does not exist`,
    ]);
  }
  assertEquals(existsSync(path), false);
});

Deno.test("report refuses an end before the beginning", async () => {
  using home = new Home();
  assertEquals((await home.run("catalog", "init")).code, EXIT.done);
  for (const times of [["--since", "2020-02-01", "--until", "2020-01-01"], ["--since", "2999-01-01"]]) {
    const { code, err } = await home.run("report", ...times);
    assertEquals([code, err.includes("it ends before it begins")], [EXIT.usage, true], err);
  }
  const error = assertThrows(() => parseMoment("x", 0, "--since"), FilesyncError);
  assertStringIncludes(error.hint!, "2026-01-31");
});

Deno.test("CrawlPool.walk() names the tree that cannot be walked", async () => {
  using pool = new CrawlPool(1);
  const options = { root: "/no/such/tree", ignore: [], oneFileSystem: false, shard: { index: 1, count: 1 } };
  await assertRejects(
    () => Array.fromAsync(pool.walk(options)),
    FilesyncError,
    'Cannot walk "/no/such/tree": ',
  );
});

Deno.test("parseCatalog() understands paths and URLs", () => {
  assertEquals(parseCatalog("sqlite:x.db", "/cwd"), { kind: "sqlite", path: "/cwd/x.db" });
  assertEquals(parseCatalog("sqlite:///a/x.db", "/cwd"), { kind: "sqlite", path: "/a/x.db" });
  assertEquals(parseCatalog("/a/x.db", "/cwd"), { kind: "sqlite", path: "/a/x.db" });
  assertEquals(parseCatalog("postgresql://me@h/db", "/cwd").kind, "postgres");
  for (const text of ["", "sqlite:", "mysql://h/db", "postgres://:x:y"]) {
    assertEquals(assertThrows(() => parseCatalog(text, "/cwd"), FilesyncError).code, "usage");
  }
});

Deno.test("parseShard() and parseMoment() refuse what makes no sense", () => {
  assertEquals(parseShard("2/4"), { index: 2, count: 4 });
  for (const text of ["0/4", "5/4", "1", "a/b"]) {
    assertEquals(assertThrows(() => parseShard(text), FilesyncError).code, "usage");
  }
  const now = Date.UTC(2026, 0, 31);
  assertEquals(parseMoment("1d", now, "--since"), now - 86_400_000);
  assertEquals(parseMoment("2026-01-30", now, "--since"), now - 86_400_000);
  assertEquals(parseMoment("2026-01-31T01:00", now, "--since"), now + 3_600_000);
  assertEquals(parseMoment("2026-01-31T01:00+01:00", now, "--since"), now);
  for (const text of ["2026-13-45", "2026-02-30", "2026-02-30T10:00", "yesterday"]) {
    assertEquals(assertThrows(() => parseMoment(text, now, "--since"), FilesyncError).code, "usage");
  }
});

Deno.test("scan does not take a disk that is not mounted for an emptied one", async () => {
  using home = new Home();
  const root = makeTree(home.directory("tree"), { "a.txt": "1" });
  await home.run("scan", root);
  Deno.removeSync(`${root}/a.txt`);
  const { code, err } = await home.run("scan", root);
  assertEquals(code, EXIT.brake);
  assertStringIncludes(err, "add --allow-empty");
  assertEquals(jsonLines((await home.run("scan", root, "--allow-empty", "--json")).out).at(-1)!.removed, 1);
});
