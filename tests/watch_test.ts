import { assertEquals, assertMatch } from "@std/assert";
import { lutimesSync } from "node:fs";
import { existsSync } from "@std/fs";
import { writeBigFile } from "./support/bytes.ts";
import { Pair, until } from "./support/pair.ts";
import { link, makeTree } from "./support/trees.ts";
import { systemClock } from "../src/core/clock.ts";

const DEPTH = 100;
const deepPath = Array.from({ length: DEPTH }, (_, i) => `d${i}`).join("/");

/** Names that programs get wrong; each becomes a file. */
const ODD_NAMES = [
  "two words",
  " leading and trailing ",
  `it's "quoted" and \`ticked\``,
  "new\nline",
  "tab\tcarriage\rreturn",
  "back\\slash",
  "$HOME %20 #?&;|<>*",
  "--delete",
  "-",
  ".hidden",
  "...",
  "\u{1F389} \u{1F469}\u200D\u{1F469}\u200D\u{1F467}.txt",
  "\u00e9 composed",
  "e\u0301 composed",
  "n".repeat(255),
  "日".repeat(85),
  "\u0001\u001b[31mred",
];

/** What is done, one after the other, to a tree that is watched. */
const CHANGES: Record<string, (root: string) => void | Promise<void>> = {
  "a file": (root) => Deno.writeTextFileSync(`${root}/file`, "one\n"),
  "an edit": (root) => Deno.writeTextFileSync(`${root}/file`, "two\n"),
  "an edit that leaves size and time as they were": (root) => {
    const { mtime } = Deno.statSync(`${root}/file`);
    Deno.writeTextFileSync(`${root}/file`, "six\n");
    Deno.utimeSync(`${root}/file`, mtime!, mtime!);
  },
  "something appended": (root) => Deno.writeTextFileSync(`${root}/file`, "three\n", { append: true }),
  "a cut": (root) => Deno.truncateSync(`${root}/file`, 5),
  "an emptied file": (root) => Deno.truncateSync(`${root}/file`, 0),
  "an empty file": (root) => Deno.writeTextFileSync(`${root}/empty`, ""),
  "a renamed file": (root) => Deno.renameSync(`${root}/file`, `${root}/renamed`),
  "a change of case": (root) => Deno.renameSync(`${root}/renamed`, `${root}/RENAMED`),
  "a file in a new directory": (root) => void makeTree(root, { "a/b/file": "in a/b" }),
  "a file moved into another directory": (root) => Deno.renameSync(`${root}/RENAMED`, `${root}/a/RENAMED`),
  "a file moved over another": (root) => Deno.renameSync(`${root}/a/RENAMED`, `${root}/a/b/file`),
  "a renamed directory": (root) => Deno.renameSync(`${root}/a`, `${root}/z`),
  "a directory moved into another": (root) => {
    Deno.mkdirSync(`${root}/top`);
    Deno.renameSync(`${root}/z`, `${root}/top/z`);
  },
  "a directory moved and changed at once": (root) => {
    Deno.renameSync(`${root}/top/z`, `${root}/y`);
    Deno.writeTextFileSync(`${root}/y/b/new`, "new");
    Deno.removeSync(`${root}/y/b/file`);
  },
  "two files that change places": (root) => {
    makeTree(root, { one: "1", two: "22" });
    Deno.renameSync(`${root}/one`, `${root}/aside`);
    Deno.renameSync(`${root}/two`, `${root}/one`);
    Deno.renameSync(`${root}/aside`, `${root}/two`);
  },
  "two directories that change places": (root) => {
    makeTree(root, { "left/l": "l", "right/r": "r" });
    Deno.renameSync(`${root}/left`, `${root}/aside`);
    Deno.renameSync(`${root}/right`, `${root}/left`);
    Deno.renameSync(`${root}/aside`, `${root}/right`);
  },
  "empty directories": (root) => Deno.mkdirSync(`${root}/empty directory/in it`, { recursive: true }),
  "a removed file": (root) => Deno.removeSync(`${root}/empty`),
  "a removed directory": (root) => Deno.removeSync(`${root}/y`, { recursive: true }),
  "links: to a file, to a directory, to nothing, absolute": (root) =>
    void makeTree(root, {
      "links/to file": link("../one"),
      "links/to directory": link("../left"),
      "links/to nothing": link("nowhere/at all"),
      "links/absolute": link("/etc/hostname"),
      "links/up": link(".."),
    }),
  "a link that leads elsewhere": (root) => {
    Deno.removeSync(`${root}/links/to file`);
    Deno.symlinkSync("../two", `${root}/links/to file`);
  },
  "a link out of the tree": (root) => Deno.symlinkSync("/etc/hostname", `${root}/out`),
  "a link out of the tree that leads elsewhere, out of it too": (root) => {
    Deno.removeSync(`${root}/out`);
    Deno.symlinkSync("../..", `${root}/out`);
  },
  "the time of a link out of the tree": (root) => lutimesSync(`${root}/out`, 1_000_000_000, 1_000_000_000),
  "the time of a link": (root) => lutimesSync(`${root}/links/to nothing`, 1_000_000_000, 1_000_000_000),
  "a moved directory with links to directories": (root) =>
    Deno.renameSync(`${root}/links`, `${root}/left/links`),
  "removed links to directories": (root) => {
    Deno.removeSync(`${root}/left/links/to directory`);
    Deno.removeSync(`${root}/left/links/up`);
  },
  "a file made after that": (root) => Deno.writeTextFileSync(`${root}/left/after`, "the links"),
  "a mode": (root) => Deno.chmodSync(`${root}/one`, 0o751),
  "the mode of a directory": (root) => Deno.chmodSync(`${root}/left`, 0o750),
  "a file that nobody may write": (root) => Deno.chmodSync(`${root}/one`, 0o444),
  "a time in the past": (root) => Deno.utimeSync(`${root}/one`, 86_400.123, 86_400.123),
  "a time in the future": (root) => Deno.utimeSync(`${root}/one`, 4e9, 4e9),
  "the time of a directory": (root) => Deno.utimeSync(`${root}/left`, 1_234_567_890, 1_234_567_890),
  "a file in the place of a directory": (root) => {
    Deno.removeSync(`${root}/right`, { recursive: true });
    Deno.writeTextFileSync(`${root}/right`, "was a directory");
  },
  "a directory in the place of a file": (root) => {
    Deno.removeSync(`${root}/right`);
    makeTree(root, { "right/deeper/file": "was a file" });
  },
  "a link in the place of a directory, and the other way round": (root) => {
    Deno.removeSync(`${root}/right`, { recursive: true });
    Deno.symlinkSync("left", `${root}/right`);
    Deno.removeSync(`${root}/left/links`, { recursive: true });
    makeTree(root, { "left/links": "a file" });
  },
  "a deep tree": (root) =>
    void makeTree(root, { [`${deepPath}/leaf`]: "deep", [`${deepPath}/link`]: link("leaf") }),
  "a deep tree under another name": (root) => Deno.renameSync(`${root}/d0`, `${root}/e0`),
  "odd names": (root) =>
    void makeTree(`${root}/odd`, Object.fromEntries(ODD_NAMES.map((name) => [name, name]))),
  "odd directories": (root) =>
    void makeTree(`${root}/odder`, Object.fromEntries(ODD_NAMES.map((name) => [name, { [name]: name }]))),
  "renamed odd directories": (root) => {
    for (const name of ODD_NAMES) {
      Deno.renameSync(`${root}/odder/${name}`, `${root}/odder/moved-${[...name].slice(0, 60).join("")}`);
    }
  },
  "the saves of an editor": async (root) => {
    for (let i = 0; i < 5; i++) {
      // As vim does, and as many others do.
      Deno.writeTextFileSync(`${root}/.text.swp`, "swap");
      Deno.renameSync(`${root}/two`, `${root}/two~`);
      Deno.writeTextFileSync(`${root}/two`, `saved ${i} times\n`);
      Deno.removeSync(`${root}/two~`);
      Deno.writeTextFileSync(`${root}/.one.tmp`, `one, saved ${i} times\n`);
      Deno.renameSync(`${root}/.one.tmp`, `${root}/one`);
      Deno.removeSync(`${root}/.text.swp`);
      await systemClock.sleep(30);
    }
  },
  "a sparse file": (root) => {
    using file = Deno.openSync(`${root}/sparse`, { create: true, write: true });
    file.truncateSync(20 << 20);
    file.seekSync(10 << 20, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode("in the middle of nothing"));
  },
  "a big file": (root) => writeBigFile(`${root}/big`, 20 << 20, 1),
  "a big file changed in place": (root) => {
    using file = Deno.openSync(`${root}/big`, { write: true });
    file.seekSync(7 << 20, Deno.SeekMode.Start);
    file.writeSync(new TextEncoder().encode("changed"));
  },
  "a file that grows for a while": async (root) => {
    using file = Deno.openSync(`${root}/growing`, { create: true, append: true });
    for (let i = 0; i < 60; i++) {
      file.writeSync(new TextEncoder().encode(`line ${i} of a log\n`));
      await systemClock.sleep(25);
    }
  },
  "a thousand files at once": (root) =>
    void makeTree(
      `${root}/many`,
      Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${i}`, `file ${i}`])),
    ),
  "a thousand files gone at once": (root) => Deno.removeSync(`${root}/many`, { recursive: true }),
  "a tree that comes and goes and comes": (root) => {
    for (let i = 0; i < 3; i++) {
      makeTree(root, { "brief/a/b/c": `round ${i}`, "brief/d": "d" });
      if (i < 2) Deno.removeSync(`${root}/brief`, { recursive: true });
    }
  },
};

Deno.test("watch brings every kind of change", async (t) => {
  await using pair = await Pair.start();
  // Enough that nothing below looks like an emptied source.
  const base = Array.from({ length: 2_000 }, (_, i) => [`${i % 10}/${i}`, `already there: ${i}`]);
  makeTree(`${pair.source}/base`, Object.fromEntries(base));
  const watch = await pair.watchInStep();
  for (const [name, change] of Object.entries(CHANGES)) {
    await t.step(name, async () => {
      await change(pair.source);
      await pair.inStep();
    });
  }
  await t.step("Ctrl+C ends it with the totals", async () => {
    assertEquals((await watch.stop()).code, 130);
    const totals = watch.json.at(-1)!;
    assertEquals([totals.type, totals.problems], ["totals", 0]);
    assertEquals(pair.leftovers, []);
  });
});

Deno.test("watch --once brings every kind of change that was made while nothing ran", async () => {
  await using pair = await Pair.start();
  makeTree(pair.source, { first: "already there" });
  for (const change of Object.values(CHANGES)) await change(pair.source);
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
});

Deno.test("watch leaves out what .filesyncignore files and --ignore name, as they change", async (t) => {
  await using pair = await Pair.start();
  makeTree(pair.source, {
    ".filesyncignore": "*.o\n/build/\n",
    "a.o": "left out",
    "a.c": "kept",
    "build/x": "left out",
    "src/build/x": "kept",
    "src/debug.log": "left out by --ignore",
    ".filesync/index": "never",
    "src/.filesync/x": "never, at any depth",
  });
  const leftOut = (...paths: string[]) => ({
    ignore: (path: string) => paths.includes(path) || path.split("/").includes(".filesync"),
  });
  const watch = pair.watch({ args: ["--ignore", "*.log"] });
  await t.step("from the beginning", () => pair.inStep(leftOut("a.o", "build", "src/debug.log")));
  await t.step("what comes later", async () => {
    makeTree(pair.source, { "src/b.o": "left out", "src/b.c": "kept", "build/y": "left out" });
    await pair.inStep(leftOut("a.o", "build", "src/debug.log", "src/b.o"));
    assertEquals(existsSync(`${pair.destination}/src/b.o`), false);
  });
  await t.step("a rule in a directory", async () => {
    makeTree(pair.source, { "src/.filesyncignore": "!b.o\nsecret\n", "src/secret": "left out" });
    await pair.inStep(leftOut("a.o", "build", "src/debug.log", "src/secret"));
    assertEquals(Deno.readTextFileSync(`${pair.destination}/src/b.o`), "left out");
  });
  await t.step("a rule taken back", async () => {
    makeTree(pair.source, { ".filesyncignore": "*.o\n" });
    await pair.inStep(leftOut("a.o", "src/debug.log", "src/secret"));
    assertEquals(Deno.readTextFileSync(`${pair.destination}/build/x`), "left out");
  });
  await t.step("what is ignored from now on stays at the destination", async () => {
    makeTree(pair.source, { ".filesyncignore": "*.o\n*.c\n" });
    await pair.inStep(leftOut("a.o", "src/debug.log", "src/secret"));
    makeTree(pair.source, { "a.c": "not sent any more", marker: "1" });
    await pair.inStep(leftOut("a.o", "a.c", "src/debug.log", "src/secret"));
    assertEquals(Deno.readTextFileSync(`${pair.destination}/a.c`), "kept");
  });
  assertEquals(existsSync(`${pair.destination}/src/.filesync`), false);
  assertEquals(watch.json.filter(({ type }) => type === "problem"), []);
});

Deno.test({
  name: "watch lists a named pipe as a problem, and goes on with everything else",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using pair = await Pair.start();
    makeTree(pair.source, { "a/first": "1" });
    const watch = await pair.watchInStep();
    await new Deno.Command("mkfifo", { args: [`${pair.source}/a/pipe`] }).output();
    for (const name of ["second", "third"]) {
      makeTree(pair.source, { [`a/${name}`]: name });
      await pair.inStep({ ignore: (path) => path === "a/pipe" });
    }
    await until("the pipe is listed", () => watch.json.some(isAbout("a/pipe")));
    assertMatch(watch.json.find(isAbout("a/pipe"))!.problem.message, /pipe/);
    Deno.removeSync(`${pair.source}/a/pipe`);
    makeTree(pair.source, { "a/fourth": "4" });
    await pair.inStep();
    await until("the pipe is forgotten", async () => (await pair.status()).problems.length === 0);
  },
});

Deno.test({
  name: "watch lists a name that is not Unicode as a problem, and goes on with everything else",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using pair = await Pair.start();
    makeTree(pair.source, { "a/first": "1" });
    const watch = await pair.watchInStep();
    // No JavaScript string names it.
    await new Deno.Command("sh", { args: ["-c", `: > a/$(printf 'not\\377unicode')`], cwd: pair.source })
      .output();
    makeTree(pair.source, { "a/second": "2" });
    await pair.inStep({ ignore: (path) => path.includes("\uFFFD") });
    await until(
      "it is listed",
      () => watch.json.some(({ type, problem }) => type === "problem" && problem.code === "bad-path"),
    );
    makeTree(pair.source, { "a/third": "3" });
    await pair.inStep({ ignore: (path) => path.includes("\uFFFD") });
  },
});

function isAbout(path: string): (event: { type: string; problem?: { path: string } }) => boolean {
  return ({ type, problem }) => type === "problem" && problem?.path === path;
}
