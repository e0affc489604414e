import { assert, assertEquals, assertThrows } from "@std/assert";
import { FilesyncError } from "../core/errors.ts";
import { parsePath, ROOT } from "../core/path.ts";
import { IgnoreRules } from "./ignore_rules.ts";
import { TreeRoot } from "./tree_root.ts";

function withFiles(files: Record<string, string>, test: (root: TreeRoot, directory: string) => void) {
  const directory = Deno.makeTempDirSync();
  try {
    for (const [path, content] of Object.entries(files)) {
      Deno.mkdirSync(`${directory}/${path}/..`.replace(/[^/]+\/\.\.$/, ""), { recursive: true });
      Deno.writeTextFileSync(`${directory}/${path}`, content);
    }
    using root = TreeRoot.open(directory);
    test(root, directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** What is asked about; a slash at the end means a directory. */
function ask(rules: IgnoreRules, path: string): boolean {
  return rules.ignores(parsePath(path.replace(/\/$/, "")), path.endsWith("/"));
}

interface Case {
  name: string;
  /** Rule files by their directory. */
  rules: Record<string, string>;
  flags?: string[];
  ignored: string[];
  kept: string[];
}

// Every answer here is git's own, from `git check-ignore --no-index`.
const CASES: Case[] = [
  {
    name: "a name matches at every depth, files and directories",
    rules: { "": "build" },
    ignored: ["build", "build/", "a/build", "build/x/y", "a/b/build/x"],
    kept: ["builds", "a", "rebuild/", "Build"],
  },
  {
    name: "a slash in front or in the middle ties a pattern to its directory",
    rules: { "": "/top\na/b\n" },
    ignored: ["top", "top/x", "a/b", "a/b/c"],
    kept: ["x/top", "x/a/b", "a"],
  },
  {
    name: "a slash at the end means directories only",
    rules: { "": "out/" },
    ignored: ["out/", "out/file", "a/out/", "a/out/x"],
    kept: ["out", "a/out"],
  },
  {
    name: "wildcards stop at slashes, two asterisks do not",
    rules: { "": "*.log\nd?.txt\n[a-c]x\n**/deep/*.tmp\nfoo/**/bar\nall/**" },
    ignored: [
      "x.log",
      "a/.log",
      "d1.txt",
      "bx",
      "deep/1.tmp",
      "p/q/deep/2.tmp",
      "foo/bar",
      "foo/1/2/bar",
      "all/x",
    ],
    kept: ["log", "d12.txt", "dx", "deep/p/1.tmp", "foobar", "all/"],
  },
  {
    name: "comments, empty lines, escapes, spaces and line ends of Windows",
    rules: { "": "# comment\r\n\r\n\\#hash\r\n\\!bang\r\nspace\\ \r\ntrail   \r\n" },
    ignored: ["#hash", "!bang", "space ", "trail"],
    kept: ["# comment", "hash", "bang", "space", "trail   "],
  },
  {
    name: "the last match decides, and an exclamation mark takes back",
    rules: { "": "*.log\n!keep.log\nkeep.log.*\n!*.2" },
    ignored: ["a.log", "keep.log.1"],
    kept: ["keep.log", "a/keep.log", "keep.log.2"],
  },
  {
    name: "nothing is taken back below an ignored directory",
    rules: { "": "closed/\n!closed/keep\nopen/*\n!open/keep", "closed": "!*" },
    ignored: ["closed/", "closed/keep", "open/x"],
    kept: ["open/", "open/keep"],
  },
  {
    name: "a nested file speaks for its directory only, and before those above",
    rules: { "": "*.o\n/x", "a": "!main.o\n/local\ny/z", "a/b": "*.o\n!/x" },
    ignored: ["main.o", "a/other.o", "a/local", "a/y/z", "a/b/main.o", "x"],
    kept: ["a/main.o", "local", "a/b/local", "y/z", "a/x", "a/b/x"],
  },
  {
    name: "a directory that a deeper file takes back is open again",
    rules: { "": "*.d\n*.x", "a": "!keep.d\n!w*.d" },
    ignored: ["keep.d/", "keep.d/f", "a/other.d/f", "a/keep.d/f.x", "a/keep.d/inner.d/f"],
    kept: ["a/keep.d/", "a/keep.d/f", "a/keep.d/sub/f", "a/keep.d/keep.d/f", "a/b/keep.d/f", "a/w[?].d/f"],
  },
  {
    name: "patterns of the command line count after the root's file",
    rules: { "": "*.log\n!a.tmp", "sub": "!c.tmp" },
    flags: ["*.tmp", "!b.log"],
    ignored: ["x.log", "a.tmp", "sub/a.tmp"],
    kept: ["b.log", "sub/c.tmp"],
  },
  {
    name: "rule files are kept in step themselves",
    rules: { "": "*.log", "a": "*.tmp" },
    ignored: [],
    kept: [".filesyncignore", "a/.filesyncignore"],
  },
  {
    name: "without rules nothing is ignored",
    rules: {},
    ignored: [],
    kept: ["a", "a/", "a/b/c", ".git/", "node_modules/"],
  },
];

for (const { name, rules: files, flags, ignored, kept } of CASES) {
  Deno.test(`ignores(): ${name}`, () => {
    const paths = Object.entries(files).map(([at, text]) => [`${at}${at && "/"}.filesyncignore`, text]);
    withFiles(Object.fromEntries(paths), (root) => {
      const rules = IgnoreRules.load(root, flags);
      const all = [...ignored, ...kept];
      assertEquals(all.filter((path) => ask(rules, path)), ignored);
      const backwards = IgnoreRules.load(root, flags);
      assertEquals(all.toReversed().filter((path) => ask(backwards, path)).toReversed(), ignored);
    });
  });
}

Deno.test("ignores() never takes the root", () =>
  withFiles({ ".filesyncignore": "*" }, (root) => {
    const rules = IgnoreRules.load(root);
    assertEquals(rules.ignores(ROOT, true), false);
    assertEquals(rules.ignores(parsePath("a"), true), true);
  }));

Deno.test("ignores() gives the same answers past the point where its matchers start afresh", () =>
  withFiles({ ".filesyncignore": "*.log" }, (root) => {
    const rules = IgnoreRules.load(root);
    for (let i = 0; i < 50_100; i++) {
      const log = i % 2 === 0;
      assertEquals(rules.ignores(parsePath(`d/${i}.${log ? "log" : "txt"}`), false), log);
    }
  }));

Deno.test("ignores() takes a path of hundreds of directories", () =>
  withFiles({ ".filesyncignore": "x" }, (root) => {
    const rules = IgnoreRules.load(root);
    assertEquals(ask(rules, "a/".repeat(499) + "b"), false);
  }));

Deno.test("ruleFor() names the pattern and where it stands", () =>
  withFiles({ ".filesyncignore": "# rules\n*.log\n", "a/.filesyncignore": "out/\n!b.log" }, (root) => {
    const rules = IgnoreRules.load(root, ["*.tmp"]);
    const why = (path: string, isDirectory = false) => rules.ruleFor(parsePath(path), isDirectory);
    assertEquals(why("x/y.log"), { file: ".filesyncignore", pattern: "*.log" });
    assertEquals(why("a/out", true), { file: "a/.filesyncignore", pattern: "out/" });
    assertEquals(why("a/out/deep/file"), { file: "a/.filesyncignore", pattern: "out/" });
    assertEquals(why("a/x.tmp"), { file: "--ignore", pattern: "*.tmp" });
    assertEquals(why("a/b.log"), undefined);
    assertEquals(why("a/file"), undefined);
  }));

Deno.test("forget() and reload() make changed files count", () =>
  withFiles({ "a/b/.filesyncignore": "one" }, (root, directory) => {
    const rules = IgnoreRules.load(root);
    assertEquals(ask(rules, "a/b/one"), true);
    Deno.writeTextFileSync(`${directory}/a/b/.filesyncignore`, "two");
    Deno.writeTextFileSync(`${directory}/a/.filesyncignore`, "three");
    assertEquals(ask(rules, "a/b/one"), true, "what was read stays");
    rules.forget(parsePath("a"));
    assertEquals(["a/b/one", "a/b/two", "a/b/three"].map((path) => ask(rules, path)), [false, true, true]);
    Deno.writeTextFileSync(`${directory}/.filesyncignore`, "a/b/*");
    rules.reload();
    assertEquals(ask(rules, "a/b/one"), true);
    Deno.removeSync(`${directory}/.filesyncignore`);
    rules.reload();
    assertEquals(ask(rules, "a/b/one"), false);
  }));

Deno.test("enter() spares the look for a rule file that is not listed", () =>
  withFiles({ "a/.filesyncignore": "x", "b/.filesyncignore": "x" }, (root) => {
    const rules = IgnoreRules.load(root);
    rules.enter(parsePath("a"), ["some", "names"]);
    rules.enter(parsePath("b"), [".filesyncignore", "names"]);
    assertEquals(ask(rules, "a/x"), false);
    assertEquals(ask(rules, "b/x"), true);
    rules.enter(parsePath("b"), []);
    assertEquals(ask(rules, "b/x"), true, "what is known stays");
    rules.forget(parsePath("a"));
    assertEquals(ask(rules, "a/x"), true);
  }));

Deno.test("ignores() refuses to go on without a rule file it cannot read", () =>
  withFiles({ "rules": "*", "a/b": "" }, (root, directory) => {
    const rules = IgnoreRules.load(root);
    Deno.symlinkSync("../rules", `${directory}/a/.filesyncignore`);
    const link = assertThrows(() => ask(rules, "a/b"), FilesyncError);
    assertEquals(link.message, 'Cannot read "a/.filesyncignore": it is a symbolic link');
    Deno.mkdirSync(`${directory}/.filesyncignore`);
    assertThrows(() => IgnoreRules.load(root), FilesyncError, "it is a directory");
    Deno.removeSync(`${directory}/.filesyncignore`);
    Deno.truncateSync(`${directory}/rules`, 5 * 1024 * 1024);
    Deno.renameSync(`${directory}/rules`, `${directory}/.filesyncignore`);
    const large = assertThrows(() => IgnoreRules.load(root), FilesyncError);
    assertEquals(large.code, "too-large");
    assert(large.hint);
  }));
