import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { Home, jsonLines } from "../../tests/support/run_command.ts";
import { Served } from "../../tests/support/served.ts";
import { assertSameTree, file, link, makeTree } from "../../tests/support/trees.ts";
import { systemClock as clock } from "../core/clock.ts";
import { EXIT } from "../core/errors.ts";

const OLD = Date.UTC(2024, 0, 1);

/** A server that keeps, and a directory that is pushed to it. */
class Pushed implements AsyncDisposable {
  readonly home = new Home();
  readonly source = this.home.directory("source");
  readonly served = this.home.directory("served");
  readonly server: Served;

  constructor(...flags: string[]) {
    this.server = new Served(this.home, this.served, "-l", "127.0.0.1:0", ...flags);
  }

  /** Makes the source these files, and pushes them. */
  async push(tree: Parameters<typeof makeTree>[1]): Promise<void> {
    Deno.removeSync(this.source, { recursive: true });
    makeTree(this.home.directory("source"), tree);
    const args = ["--to", await this.server.url(), "--once", "-q", "--allow-mass-delete"];
    const { code, err } = await this.home.run("watch", this.source, ...args);
    assertEquals(code, EXIT.done, err);
  }

  /** A moment after all that was done, and before all that will be. */
  async moment(): Promise<string> {
    await clock.sleep(5);
    const time = new Date(clock.now()).toISOString();
    await clock.sleep(5);
    return time;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    this.home[Symbol.dispose]();
  }
}

const FIRST = {
  "a.txt": file("one", { mtime: OLD }),
  d: { "b.txt": file("b", { mtime: OLD }), empty: {} },
  gone: file("g".repeat(3 << 20), { mtime: OLD, mode: 0o600 }),
  l: link("a.txt"),
};

Deno.test("serve --keep: versions shows what went, and restore --into brings the tree of a moment back", async () => {
  await using test = new Pushed("--keep", "staggered", "--keep-for", "30d");
  await test.push(FIRST);
  const then = await test.moment();
  const copy = `${test.home.path}/then`;
  await test.push({ "a.txt": "two", d: "a file", "new.txt": "new", l: link("new.txt") });
  const url = await test.server.url();

  const shown = jsonLines((await test.home.run("versions", url, "--json")).out) as {
    id: number;
    cause: string;
    entry: { path: string };
  }[];
  assertEquals(shown.map(({ cause, entry }) => `${cause} ${entry.path}`).sort(), [
    "removed d",
    "removed d/b.txt",
    "removed d/empty",
    "removed gone",
    "replaced a.txt",
    "replaced l",
  ]);
  const under = await test.home.run("versions", url, "--under", "d/b.txt");
  assertEquals((await test.home.run("versions", `${url}#d`, "--under", "b.txt")).out, under.out);
  assertMatch(under.out, /^ +\d+ {2}\S+ \S+ {2}removed {3}d\/b\.txt {2}1 B, changed /);
  const at = await test.home.run("versions", test.served, "--at", then);
  assertEquals(at.out.split("\n").map((line) => line.split("  ")[0]).filter(Boolean), [
    "a.txt",
    "d",
    "d/b.txt",
    "d/empty",
    "gone",
    "l",
  ]);

  for (const from of [url, test.served]) {
    const { code, err } = await test.home.run("restore", from, "--version", then, "--into", copy, "--delete");
    assertEquals(code, EXIT.done, err);
    Deno.removeSync(test.source, { recursive: true });
    makeTree(test.home.directory("source"), FIRST);
    await assertSameTree(test.source, copy);
    // What stands there the next time is kept beside it first.
    Deno.writeTextFileSync(`${copy}/a.txt`, "edited");
  }
  assert(existsSync(`${test.home.path}/__versions__/then`));
});

Deno.test("restore of a served tree puts the old state back by way of the server, and can be undone", async () => {
  await using test = new Pushed("--keep", "10");
  await test.push(FIRST);
  const first = await test.moment();
  await test.push({ "a.txt": "two", "new.txt": "new" });
  const url = await test.server.url();
  const before = await test.moment();
  const dry = await test.home.run("restore", url, "--version", first, "--dry-run");
  assertEquals(dry.code, EXIT.done, dry.err);
  assertMatch(dry.out, /would put a\.txt/);
  assertEquals(Deno.readTextFileSync(`${test.served}/a.txt`), "two");

  assertEquals((await test.home.run("restore", url, "--version", "previous", "--path", "d")).code, EXIT.done);
  assertEquals(Deno.readTextFileSync(`${test.served}/d/b.txt`), "b");
  assertEquals(Deno.readTextFileSync(`${test.served}/a.txt`), "two");
  const [{ id }] = jsonLines((await test.home.run("versions", url, "--under", "a.txt", "--json")).out);
  assertEquals((await test.home.run("restore", url, "--version", String(id))).code, EXIT.done);
  assertEquals(Deno.readTextFileSync(`${test.served}/a.txt`), "one");
  assertEquals(Deno.statSync(`${test.served}/a.txt`).mtime?.getTime(), OLD);
  // What was removed comes back as it was last.
  assertEquals((await test.home.run("restore", url, "--path", "gone")).code, EXIT.done);
  assertEquals(Deno.statSync(`${test.served}/gone`).size, 3 << 20);

  assertEquals((await test.home.run("restore", url, "--version", before, "--delete")).code, EXIT.done);
  await assertSameTree(test.source, test.served);
});

Deno.test("restore of a served directory says how to go through its server, and does without when it is stopped", async () => {
  await using test = new Pushed("--keep", "10");
  await test.push(FIRST);
  await test.push({ "a.txt": "two" });
  const locked = await test.home.run("restore", test.served, "--version", "previous");
  assertEquals(locked.code, EXIT.problems);
  assertStringIncludes(locked.err, "filesync restore http://");
  await test.server.stop();
  const { code, err } = await test.home.run("restore", `${test.served}/a.txt`, "--version", "previous");
  assertEquals(code, EXIT.done, err);
  assertEquals(Deno.readTextFileSync(`${test.served}/a.txt`), "one");
  const shown = jsonLines((await test.home.run("versions", `${test.served}/a.txt`, "--json")).out);
  assertEquals(shown.length, 2, "what stood there was kept first");
});

Deno.test("versions and restore say what cannot be", async () => {
  await using test = new Pushed("--keep", "10");
  await test.push(FIRST);
  const url = await test.server.url();
  const cases: [args: string[], code: number, text: string][] = [
    [
      ["restore", url, "--version", "yesterday-ish", "--into", "x"],
      EXIT.usage,
      "neither a name, nor a number",
    ],
    [["restore", url, "--version", "77", "--into", "x"], EXIT.problems, "none of that number"],
    [["restore", url, "--path", "none", "--into", "x"], EXIT.problems, "nothing of it was replaced"],
    [["restore", url, "--path", "../x", "--into", "x"], EXIT.usage, "segment"],
    [
      ["restore", url, "--version", "2001-01-01", "--path", "none", "--into", "x"],
      EXIT.problems,
      "nothing stood there",
    ],
    [["versions", url, "--diff", "1"], EXIT.usage, "--at"],
    [["versions", "http://127.0.0.1:1"], EXIT.unreachable, "reach"],
    [["versions", "ftp://host"], EXIT.usage, "only http"],
  ];
  for (const [args, code, text] of cases) {
    const outcome = await test.home.run(...args);
    assertEquals(outcome.code, code, `${args} ${outcome.err}`);
    assertStringIncludes(outcome.err, text);
  }
  const early = await test.home.run("versions", url, "--at", "2001-01-01");
  assertEquals(early.code, EXIT.done);
  assertStringIncludes(early.err, "not everything is kept");

  const plain = new Served(test.home, test.home.directory("plain"), "-l", "127.0.0.1:0");
  try {
    const nothing = await test.home.run("versions", await plain.url());
    assertEquals(nothing.code, EXIT.problems);
    assertStringIncludes(nothing.err, "--keep");
  } finally {
    await plain.stop();
  }
});

Deno.test("versions and restore trust a server by its pin", async () => {
  using home = new Home();
  await using server = new Served(
    home,
    home.directory("served"),
    "-l",
    "127.0.0.1:0",
    "--tls",
    "--keep",
    "10",
  );
  const [, url, pin] = /(https:\S+)[^]*--tls-pin (\S+)/.exec(await server.listening())!;
  const source = makeTree(home.directory("source"), { "a.txt": "one" });
  const push = () => home.run("watch", source, "--to", url, "--tls-pin", pin, "--once");
  assertEquals((await push()).code, EXIT.done);
  Deno.writeTextFileSync(`${source}/a.txt`, "two!");
  assertEquals((await push()).code, EXIT.done);
  assertEquals((await home.run("versions", url)).code, EXIT.unreachable);
  assertStringIncludes((await home.run("versions", url, "--tls-pin", pin)).out, "a.txt");
  const args = ["--tls-pin", pin, "--version", "previous", "--path", "a.txt", "--into", `${home.path}/then`];
  const { code, err } = await home.run("restore", url, ...args);
  assertEquals(code, EXIT.done, err);
  assertEquals(Deno.readTextFileSync(`${home.path}/then/a.txt`), "one");
});
