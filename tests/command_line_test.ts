import { assert, assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { randomBytes, writeBigFile } from "./support/bytes.ts";
import { Pair, until } from "./support/pair.ts";
import { Program, pushOnce, run, startServer, startWatch } from "./support/program.ts";
import { withTemp } from "./support/temp.ts";
import { assertSameTree, makeTree, snapshotTree, treeText, waitForSameTree } from "./support/trees.ts";
import { systemClock } from "../src/core/clock.ts";

Deno.test("watch --to a directory brings it in step, once and while it watches", () =>
  withTemp(async (dir) => {
    const source = makeTree(`${dir}/source`, { "a/b": "1", c: "2" });
    const home = `${dir}/home`;
    Deno.mkdirSync(`${dir}/copy`);
    const once = await run(["watch", source, "--to", `${dir}/copy`, "--once"], { home });
    assertEquals([once.code, once.stderr], [0, ""]);
    await assertSameTree(source, `${dir}/copy`, { directoryMtime: true });

    await using watch = Program.start(["watch", source, "--to", "./copy"], { home, cwd: dir });
    makeTree(source, { "a/d": "3" });
    await waitForSameTree(source, `${dir}/copy`, 30_000, { directoryMtime: true });
    await watch.stop();
  }));

Deno.test("serve prints a command that works when it is pasted", () =>
  withTemp(async (dir) => {
    const source = makeTree(`${dir}/source`, { a: "1" });
    Deno.mkdirSync(`${dir}/destination`);
    await using server = Program.start(["serve", `${dir}/destination`, "--listen", "127.0.0.1:0"]);
    const [, token, url] = await server.line(/FILESYNC_TOKEN=(\S+) filesync watch <dir> --to (\S+)/);
    const push = await run(["watch", source, "--to", url, "--once"], { env: { FILESYNC_TOKEN: token } });
    assertEquals(push.code, 0);
    await assertSameTree(source, `${dir}/destination`);
    assertEquals(Deno.statSync(`${dir}/destination/.filesync/token`).mode! & 0o777, 0o600);
    assertEquals((await server.stop()).code, 130);
  }));

Deno.test("--dry-run says what would be done, and does nothing", async () => {
  await using pair = await Pair.start();
  makeTree(pair.source, { a: "1", b: "2" });
  assertEquals((await pair.push()).code, 0);
  makeTree(pair.source, { b: "changed", "c/d": "new" });
  Deno.removeSync(`${pair.source}/a`);
  const before = [await snapshotTree(pair.destination), await snapshotTree(pair.state)];
  pair.proxy.resetCounts();
  const { code, json } = await pair.push({ args: ["--dry-run"] });
  assertEquals(code, 0);
  const said = json.filter(({ type }) => type === "applied").map(({ action }) =>
    `${action.type} ${action.path}`
  );
  assertEquals(said.sort(), ["directory c", "put b", "put c/d", "remove a"]);
  assert(json.filter(({ type }) => type === "applied").every(({ dryRun }) => dryRun));
  assertEquals(before, [await snapshotTree(pair.destination), await snapshotTree(pair.state)]);
  assertEquals(pair.proxy.counts().up, 0);
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
});

Deno.test("--limit keeps to so many bytes a second", async () => {
  await using pair = await Pair.start();
  Deno.writeFileSync(`${pair.source}/file`, randomBytes(1, 3_000_000));
  const start = performance.now();
  assertEquals((await pair.push({ args: ["--limit", "1M"] })).code, 0);
  assert(
    performance.now() - start > 1_900,
    "three megabytes take nearly three seconds, but for a first burst",
  );
  await pair.assertInStep();
});

Deno.test("--log writes a log, which comes back when it is deleted, and never holds the token", async () => {
  await using pair = await Pair.start();
  makeTree(pair.source, { first: "1" });
  const log = `${pair.directory("logs")}/deeper/watch.log`;
  const watch = await pair.watchInStep({ args: ["--log", log] });
  await until(
    "the log tells of the file",
    () => existsSync(log) && Deno.readTextFileSync(log).includes("first"),
  );
  Deno.removeSync(log);
  makeTree(pair.source, { second: "2" });
  await pair.inStep();
  await until("the log is back", () => {
    makeTree(pair.source, { [`more-${[...Deno.readDirSync(pair.source)].length}`]: "x" });
    return existsSync(log) && /second|more/.test(Deno.readTextFileSync(log));
  });
  await watch.stop();
  assertEquals(Deno.readTextFileSync(log).includes(pair.server.token), false);
});

Deno.test("a log inside the watched directory is not pushed", async () => {
  await using pair = await Pair.start();
  makeTree(pair.source, { first: "1" });
  const isLog = { ignore: (path: string) => path.startsWith("watch.log") };
  const watch = await pair.watchInStep({ args: ["--log", `${pair.source}/watch.log`] }, isLog);
  makeTree(pair.source, { second: "2" });
  await pair.inStep(isLog);
  assertEquals(existsSync(`${pair.destination}/watch.log`), false);
  await watch.stop();
});

Deno.test("Ctrl+C in the middle of a big file ends watch soon, and the next run goes on there", async () => {
  await using pair = await Pair.start();
  const size = 80 << 20;
  makeTree(pair.source, { small: "1" });
  writeBigFile(`${pair.source}/big`, size, 1);
  pair.proxy.rate = 8 << 20;
  const watch = pair.watch();
  await pair.proxy.passed("up", size / 4);
  assertEquals((await watch.stop()).code, 130);
  assertEquals(watch.json.at(-1)!.type, "totals");
  assertLess(pair.proxy.counts().up, 0.7 * size);
  assertEquals(existsSync(`${pair.destination}/big`), false);
  // What has arrived waits in a file that is called by what it will hold.
  assertEquals(pair.leftovers.filter((name) => !/^[0-9a-f]{64}$/.test(name)), []);
  pair.proxy.rate = Infinity;
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
  assertEquals(pair.leftovers, []);
  assertLess(pair.proxy.counts().up, 1.1 * size);
});

Deno.test("status and why tell how things stand, while watch runs and when it does not", async (t) => {
  await using pair = await Pair.start();
  makeTree(pair.source, { ".filesyncignore": "*.o\n", "a.o": "", a: "1", "dir/b": "2" });
  const { home } = pair;
  const options = { home, cwd: pair.source };
  const state = ["--state", pair.state];
  const why = async (path: string) => {
    const { code, json: [answer] } = await run(["why", path, "--json", ...state], options);
    return { code, verdict: answer.verdict, reason: answer.reason };
  };
  const isIgnored = { ignore: (path: string) => path === "a.o" };
  const watch = await pair.watchInStep({}, isIgnored);

  await t.step("in step", async () => {
    const status = await pair.status();
    assertEquals([status.running, status.connection.state, status.waiting.actions], [true, "online", 0]);
    assertEquals([status.source, status.problems], [pair.source, []]);
    assertEquals((await why("a")).verdict, "in step");
    assertEquals((await why("dir/b")).verdict, "in step");
    assertEquals((await why("nowhere")).verdict, "gone");
    const ignored = await why("a.o");
    assertEquals(ignored.verdict, "ignored");
    assertStringIncludes(ignored.reason, "*.o");
  });
  await t.step("out of reach", async () => {
    pair.proxy.cut();
    makeTree(pair.source, { c: "waits" });
    await until("it waits", async () => (await pair.status()).waiting.actions > 0);
    await until(
      "it is known to be offline",
      async () => (await pair.status()).connection.state === "offline",
    );
    assertEquals((await why("c")).verdict, "waiting");
    const { code, stdout } = await run(["status", ...state], options);
    assertEquals(code, 0);
    assertMatch(stdout, /out of reach/);
    assertMatch(stdout, /next try/);
  });
  await t.step("not running", async () => {
    await watch.stop();
    const status = await pair.status();
    assertEquals([status.running, status.waiting.actions > 0], [false, true]);
    makeTree(pair.source, { d: "not noticed" });
    const { verdict } = await why("d");
    assertEquals(verdict, "not seen");
    const { stdout } = await run(["status", ...state], options);
    assertMatch(stdout, /not running/);
  });
  await t.step("all is sent by the next run", async () => {
    pair.proxy.mend();
    assertEquals((await pair.push()).code, 0);
    await pair.assertInStep(isIgnored);
    assertEquals((await pair.status()).waiting.actions, 0);
  });
});

Deno.test("status and why find every push without being told where its state is", () =>
  withTemp(async (dir) => {
    const home = `${dir}/home`;
    const source = makeTree(`${dir}/source`, { a: "1" });
    Deno.mkdirSync(`${dir}/copy`);
    assertEquals((await run(["watch", source, "--to", `${dir}/copy`, "--once"], { home })).code, 0);
    const { code, stdout } = await run(["status", source], { home });
    assertEquals(code, 0);
    assertStringIncludes(stdout, source);
    assertStringIncludes((await run(["why", `${source}/a`], { home })).stdout, "in step");
    assertEquals((await run(["why", `${dir}/home`], { home })).code, 2);
  }));

Deno.test("history tells what was done to a directory that is served, newest first", async () => {
  await using pair = await Pair.start();
  makeTree(pair.source, { a: "1" });
  await pair.push();
  Deno.renameSync(`${pair.source}/a`, `${pair.source}/b`);
  await pair.push();
  const { code, json } = await run(["history", pair.server.url, "--json"], {
    home: pair.home,
    env: { FILESYNC_TOKEN: pair.server.token },
  });
  assertEquals(code, 0);
  const records = json.map((line) => line.record ?? line);
  assertEquals(records.map(({ what, path }) => `${what} ${path}`).slice(0, 2), ["move b", "put a"]);
});

Deno.test("the brake keeps the destination when the source is emptied, until it is told otherwise", async (t) => {
  await using pair = await Pair.start();
  makeTree(
    pair.source,
    Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`d${i % 3}/f${i}`, `${i}`])),
  );
  assertEquals((await pair.push()).code, 0);
  const before = await snapshotTree(pair.destination);
  for (const { name } of [...Deno.readDirSync(pair.source)]) {
    Deno.removeSync(`${pair.source}/${name}`, { recursive: true });
  }

  await t.step("watch --once stops with exit code 4", async () => {
    const { code, json } = await pair.push();
    assertEquals(code, 4);
    assert(json.some(({ type, hint }) => type === "notice" && hint.includes("--allow-mass-delete")));
    await assertSameTree(before, pair.destination);
  });
  await t.step("watch goes on and removes nothing", async () => {
    const watch = pair.watch();
    await watch.event("notice");
    makeTree(pair.source, { new: "arrives" });
    await until("the new file arrives", () => existsSync(`${pair.destination}/new`));
    await assertSameTree(before, pair.destination, { ignore: (path) => path === "new" });
    await watch.stop();
  });
  await t.step("--allow-mass-delete carries it out", async () => {
    assertEquals((await pair.push({ args: ["--allow-mass-delete"] })).code, 0);
    assertEquals(await treeText(pair.destination), 'new "arrives"');
  });
});

Deno.test("what stands at the destination and was never pushed stays, until --delete", async (t) => {
  await using pair = await Pair.start();
  await pair.killServer();
  makeTree(pair.destination, { theirs: "1", "shared/theirs": "2", same: "equal", other: "theirs" });
  await pair.restartServer();
  makeTree(pair.source, { ours: "1", "shared/ours": "2", same: "equal", other: "ours" });
  await t.step("a push leaves it alone, and says so", async () => {
    const { code, json } = await pair.push();
    assertEquals(code, 0);
    assertMatch(json.find(({ type }) => type === "notice")?.message ?? "", /left alone/);
    assertEquals(
      await treeText(pair.destination),
      'other "ours"\nours "1"\nsame "equal"\nshared/\nshared/ours "2"\nshared/theirs "2"\ntheirs "1"',
    );
  });
  await t.step("removing the directory around it leaves it alone", async () => {
    Deno.removeSync(`${pair.source}/shared`, { recursive: true });
    assertEquals((await pair.push()).code, 0);
    assertEquals(existsSync(`${pair.destination}/shared/theirs`), true);
    assertEquals(existsSync(`${pair.destination}/shared/ours`), false);
  });
  await t.step("--delete removes it", async () => {
    assertEquals((await pair.push({ args: ["--delete"] })).code, 0);
    await pair.assertInStep();
  });
});

Deno.test("what others change at the destination is put right by the next push", async () => {
  await using pair = await Pair.start();
  makeTree(pair.source, { a: "1", b: "2", "c/d": "3" });
  assertEquals((await pair.push()).code, 0);
  await pair.killServer();
  makeTree(pair.destination, { a: "changed behind its back" });
  Deno.removeSync(`${pair.destination}/c`, { recursive: true });
  await pair.restartServer();
  assertEquals((await pair.push()).code, 0);
  await pair.assertInStep();
});

Deno.test("two sources push to one server without touching each other's files", () =>
  withTemp(async (dir) => {
    Deno.mkdirSync(`${dir}/destination`);
    await using server = await startServer(`${dir}/destination`);
    const one = makeTree(`${dir}/one`, { "one/a": "1", both: "one" });
    const two = makeTree(`${dir}/two`, { "two/a": "2" });
    for (const source of [one, two, one, two]) {
      assertEquals((await pushOnce(source, server.url, server.token, { state: `${source}-state` })).code, 0);
    }
    assertEquals(await treeText(`${dir}/destination`), 'both "one"\none/\none/a "1"\ntwo/\ntwo/a "2"');
    const watches = [one, two].map((source) =>
      startWatch(source, server.url, server.token, { state: `${source}-state` })
    );
    for (const watch of watches) await watch.event("connection", { state: "online" });
    makeTree(one, { "one/b": "1" });
    makeTree(two, { "two/b": "2" });
    await until(
      "both arrive",
      () => ["one/b", "two/b"].every((path) => existsSync(`${dir}/destination/${path}`)),
    );
    await systemClock.sleep(200);
    for (const watch of watches) await watch[Symbol.asyncDispose]();
  }));
