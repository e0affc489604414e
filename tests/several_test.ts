import { assert, assertEquals } from "@std/assert";
import { existsSync } from "@std/fs";
import { Program, run, startServer } from "./support/program.ts";
import { TempDirectory } from "./support/temp.ts";
import { makeTree, waitForSameTree } from "./support/trees.ts";

const PATIENCE = 60_000;

Deno.test("watch to a server and a directory goes on with one while the other is away", async () => {
  using temp = new TempDirectory();
  const [source, served, copy, home] = ["source", "served", "copy", "home"].map((name) =>
    temp.directory(name)
  );
  makeTree(source, { "a.txt": "first", d: { "b.txt": "second" } });
  let server = await startServer(served, { home });
  const { port, token } = server;
  await using watch = Program.start(
    ["watch", source, "--to", server.url, "--to", copy, "--json"],
    { home, env: { FILESYNC_TOKEN: token } },
  );
  try {
    for (const tree of [served, copy]) await waitForSameTree(source, tree, PATIENCE);

    // The server dies: its changes wait, those of the directory do not.
    await server.program.stop();
    const mark = watch.mark();
    makeTree(source, { "c.txt": "while the server is away" });
    Deno.renameSync(`${source}/d`, `${source}/e`);
    await waitForSameTree(source, copy, PATIENCE);
    await watch.event("connection", { state: "offline", destination: server.url }, PATIENCE, mark);
    assert(existsSync(`${served}/d/b.txt`));
    const { json } = await run(["status", "--json"], { home });
    const waiting = json.map((
      { destination, waiting, running },
    ) => [destination, waiting.actions > 0, running]);
    assertEquals(waiting.toSorted(), [[copy, false, true], [server.url, true, true]]);

    server = await startServer(served, { home, port });
    await waitForSameTree(source, served, PATIENCE);
    assertEquals((await watch.stop()).code, 130);
  } finally {
    await server[Symbol.asyncDispose]();
  }
});

Deno.test("watch without arguments does all that the settings file names, and what is plugged in later", async () => {
  using temp = new TempDirectory();
  const [one, two, copy, home] = ["one", "two", "copy", "home"].map((name) => temp.directory(name));
  const disk = `${temp.path}/disk`;
  makeTree(one, { "a.txt": "1" });
  makeTree(two, { "b.txt": "2" });
  const table = (dir: string, to: string) => `[[watch]]\ndir = "${dir}"\nto = "${to}"\n`;
  const file = `${temp.path}/filesync.toml`;
  Deno.writeTextFileSync(file, table(one, copy) + table(two, disk));
  await using watch = Program.start(["watch", "--config", file, "--json"], { home });
  await watch.event("notice", { source: two, destination: disk }, PATIENCE);
  await waitForSameTree(one, copy, PATIENCE);
  // The disk is mounted while the other push goes on.
  Deno.mkdirSync(disk);
  await waitForSameTree(two, disk, PATIENCE);
  makeTree(one, { "c.txt": "3" });
  makeTree(two, { "d.txt": "4" });
  await waitForSameTree(one, copy, PATIENCE);
  await waitForSameTree(two, disk, PATIENCE);
  const { json } = await run(["status", "--config", file, "--json"], { home });
  assertEquals(json.map(({ running }) => running), [true, true]);
  assertEquals((await watch.stop()).code, 130);
});
