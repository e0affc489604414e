import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { until } from "./support/pair.ts";
import { pushOnce, run, startServer, startWatch } from "./support/program.ts";
import { TempDirectory } from "./support/temp.ts";
import { assertSameTree, makeTree, waitForSameTree } from "./support/trees.ts";

Deno.test("several clients share a server, each in its sub-directory, and never meet", async () => {
  using temp = new TempDirectory();
  const served = temp.directory("served");
  const [one, two] = ["one", "two"].map((name) =>
    makeTree(`${temp.path}/${name}`, { "a/b": name, "same": "x" })
  );
  makeTree(served, { theirs: "stays", two: { "extra/f": "goes" }, "two-": "stays" });
  const homes = { one: temp.directory("home-one"), two: temp.directory("home-two") };
  await using server = await startServer(served, { home: temp.directory("home") });
  const into = (path: string) => ["--into", path];
  await using watch = startWatch(one, server.url, server.token, { args: into("deep/one"), home: homes.one });

  const push = () =>
    pushOnce(two, server.url, server.token, { args: [...into("two"), "--delete"], home: homes.two });
  const first = await push();
  assertEquals([first.code, first.totals?.counts.remove], [0, 1], "what is not in the source goes");
  await assertSameTree(two, `${served}/two`);
  await waitForSameTree(one, `${served}/deep/one`, 30_000);

  Deno.writeTextFileSync(`${one}/a/new`, "later");
  Deno.removeSync(`${one}/same`);
  await waitForSameTree(one, `${served}/deep/one`, 30_000);
  await assertSameTree(two, `${served}/two`);
  assertEquals([...Deno.readDirSync(served)].map(({ name }) => name).sort(), [
    ".filesync",
    "deep",
    "theirs",
    "two",
    "two-",
  ]);

  const name = `${server.url}#deep/one`;
  const status = await run(["status", one, "--json"], { home: homes.one });
  assertEquals(status.json.map(({ destination }) => destination), [name]);
  // What has arrived is known to have a moment later.
  await until("why knows that it is in step", async () => {
    const why = await run(["why", `${one}/a/new`, "--json"], { home: homes.one });
    assertEquals(why.json.map(({ destination }) => destination), [name]);
    return why.json[0].verdict === "in step";
  });
  const token = { env: { FILESYNC_TOKEN: server.token } };
  const history = await run(["history", name, "--json"], token);
  // Of the directory, which got another time, it is told before or after, or with them.
  const changes = history.json.filter(({ what }) => what !== "directory");
  assertEquals(changes.map(({ what, path }) => [what, path]).slice(0, 2).sort(), [
    ["put", "a/new"],
    ["remove", "same"],
  ]);

  const again = await push();
  assertEquals([again.code, again.totals?.counts.put, again.totals?.counts.remove], [0, 0, 0]);
  assertEquals((await watch.stop()).code, 130);
  const sync = ["sync", two, server.url, ...into("deep/two"), "--json"];
  assertEquals((await run(sync, { ...token, home: homes.two })).code, 0);
  await assertSameTree(two, `${served}/deep/two`);
  await assertSameTree(one, `${served}/deep/one`);

  const refused = await run(["watch", one, "--to", server.url, ...into("../out")], token);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.stderr, 'the path has the segment ".."');
  assertMatch(refused.stderr, /Name a directory by its path below what is served/);
});
