import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Home, jsonLines } from "../../tests/support/run_command.ts";
import { Served } from "../../tests/support/served.ts";
import { assertSameTree, makeTree } from "../../tests/support/trees.ts";
import { systemClock as clock } from "../core/clock.ts";
import { EXIT } from "../core/errors.ts";
import { LocalReceiver } from "../transport/local_receiver.ts";

Deno.test("serve takes what watch pushes, and tells of it", async () => {
  using home = new Home();
  const source = makeTree(home.directory("source"), { a: "1", d: { b: "2" } });
  const directory = home.directory("served");
  await using server = new Served(home, directory, "--listen", "127.0.0.1:0", "--json");
  const url = await server.url();
  assertEquals((await home.run("watch", source, "--to", url, "--once", "-q")).code, EXIT.done);
  await assertSameTree(source, directory);
  const { code, out } = await server.stop();
  assertEquals(code, EXIT.interrupted);
  const received = jsonLines(out).filter(({ type }) => type === "received") as {
    record: { path: string; what: string };
    client: string;
  }[];
  assertEquals(received.map(({ record }) => `${record.what} ${record.path}`).toSorted(), [
    "directory d",
    "put a",
    "put d/b",
  ]);
  assertStringIncludes(received[0].client, source);
});

Deno.test("serve takes changes without waiting for the disk when it is told so, by flag or by file", async () => {
  using home = new Home();
  const source = makeTree(home.directory("source"), { a: "1" });
  const settings = `${home.path}/settings.toml`;
  Deno.writeTextFileSync(settings, "[serve]\nno-fsync = true\n");
  for (const how of [["--no-fsync"], ["--config", settings]]) {
    const directory = home.directory(how[0]);
    await using server = new Served(home, directory, "--listen", "127.0.0.1:0", ...how);
    const url = await server.url();
    assertEquals((await home.run("watch", source, "--to", url, "--once", "-q")).code, EXIT.done);
    await assertSameTree(source, directory);
  }
});

Deno.test("serve makes a token at the first start, and shows it only then", async () => {
  using home = new Home();
  const directory = home.directory("served");
  await using first = new Served(home, directory, "-l", "127.0.0.1:0");
  const text = await first.listening();
  await first.stop();
  const [, token] = / {2}token: (\S+)\n/.exec(text)!;
  assertMatch(
    text,
    new RegExp(`  on the other machine: FILESYNC_TOKEN=${token} filesync watch <dir> --to http://`),
  );
  assertEquals(Deno.readTextFileSync(`${directory}/.filesync/token`).trim(), token);
  assertEquals(Deno.statSync(`${directory}/.filesync/token`).mode! & 0o077, 0);

  await using second = new Served(home, directory, "-l", "127.0.0.1:0");
  assert(!(await second.listening()).includes(token));
  await second.stop();

  home.environment.FILESYNC_TOKEN = "of my own choice";
  await using third = new Served(home, directory, "-l", "127.0.0.1:0", "--json");
  const [listening] = jsonLines(await third.listening());
  assertEquals(["token" in listening, "watchCommand" in listening], [false, false]);
});

Deno.test("serve asks everybody for the token when it listens on a network", async () => {
  using home = new Home();
  const source = makeTree(home.directory("source"), { a: "1" });
  const tokenFile = `${home.path}/token`;
  await using server = new Served(
    home,
    home.directory("served"),
    "-l",
    "0.0.0.0:0",
    "--token-file",
    tokenFile,
  );
  const text = await server.listening();
  assertMatch(text, /--to http:\/\/(?!0\.0\.0\.0)\S+ --allow-plain-http\n/);
  const url = (await server.url()).replace("0.0.0.0", "127.0.0.1");
  const watch = (...args: string[]) => home.run("watch", source, "--to", url, "--once", ...args);
  const refused = await watch();
  assertEquals(refused.code, EXIT.unreachable);
  assertEquals((await watch("--token-file", tokenFile)).code, EXIT.done);
});

Deno.test("serve explains what it cannot do", async () => {
  using home = new Home();
  const directory = home.directory("served");
  Deno.writeTextFileSync(`${home.path}/file`, "");
  const outcomes: [string[], number, string][] = [
    [["--listen", "1.2.3.4.5:x"], EXIT.usage, "it is not host:port"],
    [["--listen", "127.0.0.1:70000"], EXIT.usage, "65535"],
    [["--tls-cert", "x"], EXIT.usage, "--tls-cert and --tls-key belong together"],
    [["--tls-key", "x"], EXIT.usage, "--tls-cert and --tls-key belong together"],
    [["--tls-cert", "/none", "--tls-key", "/none"], EXIT.problems, 'Cannot read "/none": it does not exist'],
    [["--listen", "203.0.113.1:7433"], EXIT.usage, "203.0.113.1"],
    [["--keep", "x"], EXIT.usage, "Write a whole number from 1, staggered or none"],
    [["--keep", "0"], EXIT.usage, "it is no number of versions"],
    [["--log-level", "loud"], EXIT.usage, "Write info, warning or error"],
  ];
  for (const [args, code, text] of outcomes) {
    const outcome = await home.run("serve", directory, ...args);
    assertStringIncludes(outcome.err, text);
    assertEquals(outcome.code, code, args.join(" "));
  }
  for (
    const [path, text] of [[`${home.path}/none`, "it does not exist"], [
      `${home.path}/file`,
      "not a directory",
    ]]
  ) {
    const outcome = await home.run("serve", path);
    assertEquals(outcome.code, EXIT.problems);
    assertStringIncludes(outcome.err, text);
  }
});

Deno.test("serve refuses a directory that is served, and a port that is taken", async () => {
  using home = new Home();
  const directory = home.directory("served");
  const receiver = new LocalReceiver(directory, { clock });
  const locked = await home.run("serve", directory);
  await receiver.close();
  assertEquals(locked.code, EXIT.problems);
  assertMatch(locked.err, /Cannot lock .* is using it\n {2}Stop/);

  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { code, err } = await home.run(
    "serve",
    directory,
    "-l",
    `127.0.0.1:${(taken.addr as Deno.NetAddr).port}`,
  );
  assertEquals(code, EXIT.problems);
  assertStringIncludes(err, "in use");
});

Deno.test("serve tells where browsers see what happens, and --no-dashboard shows them nothing", async () => {
  using home = new Home();
  {
    await using server = new Served(home, home.directory("a"), "--listen", "127.0.0.1:0", "--json");
    const [{ dashboard }] = jsonLines(await server.listening());
    const page = await fetch(String(dashboard));
    assertEquals([page.status, (await page.text()).startsWith("<!DOCTYPE html>")], [200, true]);
  }
  await using server = new Served(
    home,
    home.directory("b"),
    "--listen",
    "127.0.0.1:0",
    "--no-dashboard",
    "--json",
  );
  const [listening] = jsonLines(await server.listening());
  const page = await fetch(`${listening.url}/`);
  await page.body?.cancel();
  assertEquals([page.status, "dashboard" in listening], [404, false]);
});
