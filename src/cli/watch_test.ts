import { existsSync } from "@std/fs";
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { HastyClock } from "../../tests/support/hasty_clock.ts";
import { Home, jsonLines, type Outcome } from "../../tests/support/run_command.ts";
import { assertSameTree, makeTree, treeText, waitForSameTree } from "../../tests/support/trees.ts";
import { systemClock as clock } from "../core/clock.ts";
import { EXIT } from "../core/errors.ts";
import { createApp } from "../server/app.ts";
import { listen } from "../server/listen.ts";
import { SourceState } from "../sync/source_state.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";
import { faultIn } from "./json_schemas.ts";

/** Runs `filesync watch --once` with a source and a destination of its own. */
class Case implements Disposable {
  readonly home = new Home();
  readonly source = this.home.directory("source");
  readonly destination = this.home.directory("destination");

  async watch(...args: string[]): Promise<Outcome> {
    const to = args.includes("--to") ? [] : ["--to", this.destination];
    return await this.home.run("watch", this.source, "--once", ...to, ...args);
  }

  [Symbol.dispose](): void {
    this.home[Symbol.dispose]();
  }
}

Deno.test("watch --once tells in one line that a server wants another token", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "a" });
  await using receiver = new LocalReceiver(test.destination, { clock });
  await receiver.ready;
  const app = createApp(receiver, { clock, version: "0", guard: { token: "secret" } });
  const listener = listen(app, { hostname: "127.0.0.1", port: 0, clock });
  const { code, err } = await test.watch("--to", listener.url);
  await listener.close();
  assertEquals(code, EXIT.unreachable);
  assertStringIncludes(err, "no token came with it");
});

Deno.test("watch --dry-run counts what it would do, and does nothing", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "12", d: {} });
  const { code, out } = await test.watch("--dry-run");
  assertEquals(code, EXIT.done);
  assertMatch(out, /would put a\.txt/);
  assertMatch(out, /would be: 1 file put \(2 B\), 1 directory made/);
  assertEquals([...Deno.readDirSync(test.destination)].filter(({ name }) => name !== ".filesync"), []);
});

Deno.test("watch --no-fsync pushes to a directory, and leaves a server to itself", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "12" });
  assertEquals((await test.watch("--no-fsync")).code, EXIT.done);
  await assertSameTree(test.source, test.destination);
  const { code, err } = await test.watch("--no-fsync", "--to", "http://127.0.0.1:9");
  assertEquals(code, EXIT.usage);
  assertStringIncludes(err, "--no-fsync is only for a directory, here or on sftp://\n");
  assertStringIncludes(err, "filesync serve --no-fsync");
});

Deno.test("watch --delete removes what an earlier push left alone", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "a" });
  makeTree(test.destination, { "theirs.txt": "b" });
  assertEquals((await test.watch()).code, EXIT.done);
  assertStringIncludes(await treeText(test.destination), "theirs.txt");
  const { code, out } = await test.watch("--delete");
  assertEquals(code, EXIT.done);
  assertMatch(out, /remove theirs\.txt/);
  assertEquals(await treeText(test.destination), await treeText(test.source));
});

Deno.test("watch refuses a state that another watch has", async () => {
  using test = new Case();
  using state = new SourceState(`${test.destination}/state`, { clock });
  const { code, err } = await test.watch("--state", state.directory);
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, `Cannot lock the state of the push kept in "${state.directory}"`);
});

Deno.test("watch --once brings a directory in step, and says what it did", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "12", d: { "b.txt": "345" } });
  const first = await test.watch();
  assertEquals([first.code, first.err], [EXIT.done, ""]);
  assertStringIncludes(first.out, `watch ${test.source} → ${test.destination}\n`);
  assertMatch(first.out, /done: 2 files put \(5 B\), 1 directory made/);
  await assertSameTree(test.source, test.destination);
  assertMatch((await test.watch()).out, /done: nothing to change/);
  assertEquals((await test.watch("--quiet")).out, "");
});

Deno.test("watch --once --json prints one object a line", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "12" });
  const lines = jsonLines((await test.watch("--json")).out);
  assertEquals(lines.map(({ type }) => type).filter((type) => type !== "progress"), [
    "started",
    "connection",
    "applied",
    "totals",
  ]);
  const totals = lines.at(-1)!;
  assertEquals([totals.counts, totals.bytes, totals.problems], [
    { put: 1, directory: 0, symlink: 0, remove: 0, move: 0 },
    2,
    0,
  ]);
});

Deno.test("watch --once tells of paths with problems, and ends with 1", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "12" });
  new Deno.Command("mkfifo", { args: [`${test.source}/pipe`] }).outputSync();
  for (let round = 0; round < 2; round++) {
    const { code, out, err } = await test.watch();
    assertEquals(code, EXIT.problems);
    assertMatch(out, /; 1 problem/);
    if (round === 0) assertMatch(err, /problem: Cannot keep "pipe" in step: it is a pipe/);
  }
  Deno.removeSync(`${test.source}/pipe`);
  assertEquals((await test.watch()).code, EXIT.done);
});

Deno.test("watch --once ends with 4 when the brake stopped it", async () => {
  using test = new Case();
  makeTree(test.source, { a: "1", b: "2" });
  await test.watch();
  for (const name of ["a", "b"]) Deno.removeSync(`${test.source}/${name}`);
  const { code, err } = await test.watch();
  assertEquals(code, EXIT.brake);
  assertMatch(err, /Nothing is removed at the receiver: the source is empty.*--allow-mass-delete/);
  assertEquals((await test.watch("--allow-mass-delete")).code, EXIT.done);
  assertEquals(await treeText(test.destination), "");
});

Deno.test("watch --dry-run changes nothing in what an earlier run left", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "12" });
  await test.watch();
  Deno.renameSync(`${test.source}/a.txt`, `${test.source}/b.txt`);
  for (let round = 0; round < 2; round++) {
    const { code, out } = await test.watch("--dry-run");
    assertEquals(code, EXIT.done);
    assertStringIncludes(out, "would move a.txt → b.txt\n");
  }
  assertStringIncludes((await test.watch()).out, "move a.txt → b.txt\n");
});

Deno.test("watch --ignore leaves out what matches", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "1", "b.o": "2", build: { c: "3" } });
  await test.watch("-i", "*.o", "--ignore", "build/");
  assertEquals(await treeText(test.destination), 'a.txt "1"');
});

Deno.test("watch keeps its own files out of the way when they lie in the source", async () => {
  using test = new Case();
  const theirs = { "a.txt": "1", "log.txt.old": "2", "state [1] of affairs.txt": "3" };
  makeTree(test.source, { ...theirs, "state [1]": {}, "log.txt.1": "" });
  const { code } = await test.watch("--state", `${test.source}/state [1]`, "--log", `${test.source}/log.txt`);
  assertEquals(code, EXIT.done);
  assertEquals(
    await treeText(test.destination),
    'a.txt "1"\nlog.txt.old "2"\nstate [1] of affairs.txt "3"',
  );
});

Deno.test("watch keeps to the state that is named, and to its pair", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "1" });
  const state = `${test.source}.state`;
  assertEquals((await test.watch("--state", state)).code, EXIT.done);
  const other = `${test.destination}.other`;
  Deno.mkdirSync(other);
  const { code, err } = await test.watch("--state", state, "--to", other);
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, `it belongs to pushing "${test.source}" to ${test.destination}`);
});

Deno.test("watch refuses directories that lie in each other, by whatever way they are named", async () => {
  using test = new Case();
  const inside = `${test.source}/inside`;
  Deno.mkdirSync(inside);
  Deno.symlinkSync(inside, `${test.destination}/way`);
  Deno.symlinkSync(test.source, `${test.destination}/same`);
  const outcomes: [string, string][] = [
    [test.source, "they are the same directory"],
    [`${test.source}/../source`, "they are the same directory"],
    [`${test.destination}/same`, "they are the same directory"],
    [inside, "the destination is inside the source"],
    [`${test.destination}/way`, "the destination is inside the source"],
    [`${test.source}/..`, "the source is inside the destination"],
  ];
  for (const [to, reason] of outcomes) {
    const { code, err } = await test.watch("--to", to);
    assertStringIncludes(err, reason);
    assertEquals(code, EXIT.usage);
  }
  assertEquals(existsSync(`${inside}/.filesync`), false);
});

Deno.test("watch explains what it cannot do", async () => {
  using test = new Case();
  const none = `${test.destination}/none`;
  const outcomes: [string[], number, string][] = [
    [["--to", none], EXIT.problems, `Cannot open "${none}": it does not exist\n  Create it`],
    [["--to", "ftp://x"], EXIT.usage, "only http://, https:// and sftp:// are known"],
    [["--limit", "fast"], EXIT.usage, "--limit"],
    [["--token-file", none], EXIT.problems, "Cannot read the token"],
    [["--log", `${none}/log`, "--frobnicate"], EXIT.usage, "--frobnicate"],
  ];
  for (const [args, code, text] of outcomes) {
    const outcome = await test.watch(...args);
    assertStringIncludes(outcome.err, text);
    assertEquals(outcome.code, code, args.join(" "));
  }
});

Deno.test("watch does not show a token to everybody on the way", async () => {
  using test = new Case();
  test.home.environment.FILESYNC_TOKEN = "secret";
  const { code, err } = await test.watch("--to", "backup.example");
  assertEquals(code, EXIT.usage);
  assertStringIncludes(err, "Cannot send the token to backup.example:7433");
  assertEquals(err.includes("secret"), false);
});

Deno.test("watch --once gives up on a server that is out of reach", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "1" });
  const context = test.home.context({ clock: new HastyClock() });
  const args = ["watch", test.source, "--to", "127.0.0.1:1", "--once"];
  const { code, out: told, err } = await test.home.runIn(context, ...args);
  assertEquals(code, EXIT.unreachable);
  assertMatch(err, /offline: .*\(next try in/);
  assertMatch(told, /broke off: nothing was changed/);
  const { out } = await test.home.run("status");
  assertStringIncludes(out, `${test.source} → http://127.0.0.1:1\n  not running\n`);
});

Deno.test("watch ends with 130 when it is interrupted, and says what it did", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "1" });
  const stop = new AbortController();
  const context = test.home.context({ signal: stop.signal });
  const running = test.home.runIn(context, "watch", test.source, "--to", test.destination);
  await waitForSameTree(test.source, test.destination, 60_000);
  stop.abort();
  const { code, out } = await running;
  assertEquals(code, EXIT.interrupted);
  assertMatch(out, /done: 1 file put/);
});

Deno.test("watch --once, sync and restore say that they broke off, when they are interrupted", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "1" });
  const backup = test.home.directory("backup");
  assertEquals((await test.home.run("sync", test.source, backup)).code, EXIT.done);
  makeTree(test.source, { "a.txt": "12" });
  const counted: string[] = [];
  for (
    const line of [
      ["watch", test.source, "--to", test.destination, "--once"],
      ["sync", test.source, backup],
      ["sync", test.source, test.home.directory("other"), "--two-way"],
      ["restore", test.source],
    ]
  ) {
    const stop = new AbortController();
    let out = "";
    const stdout = {
      write(text: string) {
        out += text;
        // With its first words.
        stop.abort();
      },
    };
    const context = test.home.context({ signal: stop.signal, stdout });
    const { code } = await test.home.runIn(context, ...line, "--json");
    assertEquals(code, EXIT.interrupted, line.join(" "));
    const totals = jsonLines(out).find(({ type }) => type === "totals");
    // Who had not begun has nothing to count.
    if (totals === undefined) continue;
    counted.push(line[0]);
    assertEquals([totals.failed, faultIn(totals, line[0])], [true, undefined], line.join(" "));
  }
  assertEquals(counted, ["watch", "sync", "sync"]);
});

Deno.test("watch --once to several destinations does what can be done, and ends with the highest code", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "12" });
  const second = test.home.directory("second");
  const context = test.home.context({ clock: new HastyClock() });
  const to = (destination: string) => ["--to", destination];
  const both = await test.watch(...to(test.destination), ...to(second));
  assertEquals([both.code, both.err], [EXIT.done, ""]);
  for (const copy of [test.destination, second]) {
    await assertSameTree(test.source, copy);
    assertStringIncludes(both.out, `put a.txt  2 B, to ${copy}\n`);
    assertStringIncludes(both.out, `watch ${test.source} → ${copy}\n`);
  }
  Deno.writeTextFileSync(`${test.source}/b.txt`, "b");
  Deno.removeSync(second, { recursive: true });
  const args = ["watch", test.source, "--once", ...to("127.0.0.1:1"), ...to(second), ...to(test.destination)];
  const { code, err } = await test.home.runIn(context, ...args);
  assertEquals(code, EXIT.unreachable);
  assertMatch(err, /warning: Cannot open ".*second": it does not exist {2}to .*second \(Create it/);
  assertMatch(err, /warning: Cannot reach .*: .* {2}to http:\/\/127.0.0.1:1/);
  await assertSameTree(test.source, test.destination);
  const { out } = await test.home.run("status");
  for (const destination of [test.destination, second, "http://127.0.0.1:1"]) {
    assertStringIncludes(out, `${test.source} → ${destination}\n`);
  }
});

Deno.test("watch --json of several destinations says of everything where it goes", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "12" });
  const second = test.home.directory("second");
  const { out } = await test.watch("--json", "--to", test.destination, "--to", second);
  const lines = jsonLines(out).filter(({ type }) => type !== "progress");
  for (const destination of [test.destination, second]) {
    const types = lines.filter((line) => line.destination === destination).map(({ type }) => type);
    assertEquals(types, ["started", "connection", "applied", "totals"]);
  }
  assertEquals(lines.length, 8);
});

Deno.test("watch keeps a state for each destination, below the one that is named", async () => {
  using test = new Case();
  makeTree(test.source, { "a.txt": "1" });
  const second = test.home.directory("second");
  const state = `${test.source}/state`;
  const to = ["--to", test.destination, "--to", second];
  assertEquals((await test.watch("--state", state, ...to)).code, EXIT.done);
  assertEquals([...Deno.readDirSync(state)].length, 2);
  for (const copy of [test.destination, second]) assertEquals(await treeText(copy), 'a.txt "1"');
  const { out } = await test.home.run("status", "--state", state, "--json");
  assertEquals(
    jsonLines(out).map(({ destination }) => destination).toSorted(),
    [test.destination, second].toSorted(),
  );
  const { out: reasons } = await test.home.run("why", `${test.source}/a.txt`, "--state", state);
  for (const copy of [test.destination, second]) assertStringIncludes(reasons, `a.txt → ${copy}: `);
});

Deno.test("watch refuses to do the same twice", async () => {
  using test = new Case();
  const { code, err } = await test.watch("--to", test.destination, "--to", `${test.destination}/`);
  assertEquals(code, EXIT.usage);
  assertStringIncludes(err, "twice: both would do the same");
});

/** A settings file that asks for two directories, each with a destination. */
function twoTables(
  test: Case,
): { sources: string[]; copies: string[]; file: string; write(more?: string): void } {
  const sources = ["one", "two"].map((name) => test.home.directory(name));
  const copies = ["copy one", "copy two"].map((name) => test.home.directory(name));
  sources.forEach((source, i) => makeTree(source, { [`${i}.txt`]: "12", "b.tmp": "" }));
  const file = `${test.home.path}/filesync.toml`;
  const table = (source: string, copy: string) => `[[watch]]\ndir = "${source}"\nto = "${copy}"\n`;
  return {
    ...{ sources, copies, file },
    write: (more = "") =>
      Deno.writeTextFileSync(file, sources.map((source, i) => table(source, copies[i])).join("\n") + more),
  };
}

Deno.test("watch without arguments does what the settings file names, each with its own settings", async () => {
  using test = new Case();
  const { sources, copies, file, write } = twoTables(test);
  write('ignore = ["*.tmp"]\n');
  const status = () => test.home.run("status", "--config", file);
  assertEquals((await status()).out.split("not started yet; the settings file names it").length, 3);
  const { code, out } = await test.home.run("watch", "--once", "--config", file);
  assertEquals(code, EXIT.done);
  await assertSameTree(sources[0], copies[0]);
  assertEquals(await treeText(copies[1]), '1.txt "12"');
  assertStringIncludes(out, `put 0.txt  2 B, ${sources[0]} → ${copies[0]}\n`);
  assertEquals((await status()).out.includes("not started yet"), false);
});

Deno.test("watch of a directory that a table names does that table, unless the line says where to", async () => {
  using test = new Case();
  const { sources, copies, file, write } = twoTables(test);
  write();
  assertEquals((await test.home.run("watch", sources[1], "-1", "--config", file)).code, EXIT.done);
  assertEquals([await treeText(copies[0]), await treeText(copies[1])], ["", '1.txt "12"\nb.tmp ""']);
  const elsewhere = ["--config", file, "--to", test.destination];
  assertEquals((await test.home.run("watch", sources[0], "-1", ...elsewhere)).code, EXIT.done);
  assertEquals([await treeText(copies[0]), await treeText(test.destination)], ["", '0.txt "12"\nb.tmp ""']);
  const faults: [string[], string][] = [
    [["--to", test.destination], "Cannot use --to: it is not said for which directory"],
    [[test.source], "--to is missing"],
  ];
  for (const [args, text] of faults) {
    const { code, err } = await test.home.run("watch", "-1", "--config", file, ...args);
    assertStringIncludes(err, text);
    assertEquals(code, EXIT.usage);
  }
});

Deno.test("watch says what is wrong with the settings file, and does not stop for a directory that is gone", async () => {
  using test = new Case();
  const { sources, copies, file, write } = twoTables(test);
  write("limit = 'fast'\n");
  const bad = await test.home.run("watch", "-1", "--config", file);
  assertEquals(bad.code, EXIT.usage);
  assertStringIncludes(bad.err, 'Cannot use "fast" for --limit');
  write();
  Deno.removeSync(sources[0], { recursive: true });
  const { code, err } = await test.home.run("watch", "-1", "--config", file);
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, `Cannot open "${sources[0]}": it does not exist`);
  await assertSameTree(sources[1], copies[1]);
});

Deno.test("watch without a directory says how to name some", async () => {
  using home = new Home();
  for (const args of [[], ["--to", "x"]]) {
    const { code, err } = await home.run("watch", ...args);
    assertEquals(code, EXIT.usage);
    assertStringIncludes(err, "[[watch]] tables");
  }
});
