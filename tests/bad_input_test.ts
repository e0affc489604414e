import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { randomBytes } from "./support/bytes.ts";
import { Pair, until } from "./support/pair.ts";
import { Program, programCommand, pushOnce, run, startServer, startWatch } from "./support/program.ts";
import { withTemp } from "./support/temp.ts";
import { makeTree, treeText } from "./support/trees.ts";
import { systemClock } from "../src/core/clock.ts";

const isRoot = Deno.build.os !== "windows" && Deno.uid() === 0;

/** Runs the program and checks the exit code, and that the only complaint matches and has no stack trace. */
async function refuses(
  args: string[],
  code: number,
  complaint: RegExp,
  env?: Record<string, string>,
): Promise<string> {
  const result = await run(args, { env });
  assertMatch(result.stderr, complaint);
  assertEquals(result.code, code, result.stderr);
  assertEquals(/\n\s+at /.test(result.stderr), false, result.stderr);
  return result.stderr;
}

/** A port at which nobody listens. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("a directory that is missing, or is none, is refused with what to do", () =>
  withTemp(async (dir) => {
    makeTree(dir, { file: "", directory: {} });
    const to = ["--to", "127.0.0.1:1"];
    await refuses(
      ["watch", `${dir}/missing`, ...to],
      1,
      /Cannot open ".*missing": it does not exist\n.*Create it/,
    );
    await refuses(["watch", `${dir}/file`, ...to], 1, /Cannot .*file": .*not a directory/);
    await refuses(["serve", `${dir}/missing`], 1, /Cannot open ".*missing": it does not exist/);
    await refuses(["serve", `${dir}/file`], 1, /Cannot .*file": .*not a directory/);
    await refuses(
      ["watch", `${dir}/directory`, "--to", `${dir}/missing`, "--once"],
      1,
      /missing": it does not exist/,
    );
    await refuses(
      ["watch", `${dir}/directory`, "--to", `${dir}/file`, "--once"],
      1,
      /file": .*not a directory|neither a host/,
    );
  }));

Deno.test("what is typed wrongly is refused with exit code 2, and what was meant", () =>
  withTemp(async (dir) => {
    await refuses(["wach", dir], 2, /watch/);
    await refuses(["watch", dir, "--onse", "--to", "x"], 2, /--once/);
    await refuses(["watch", dir], 2, /--to/);
    await refuses(["watch", "--to", "x"], 2, /<dir>/);
    await refuses(["watch", dir, "extra", "--to", "x"], 2, /extra/);
    await refuses(["watch", dir, "--to", "ftp://host"], 2, /http/);
    await refuses(["watch", dir, "--to", "host:99999"], 2, /99999|port/);
    await refuses(["watch", dir, "--to", "host", "--limit", "lots"], 2, /--limit/);
    await refuses(["watch", dir, "--to", "http://example.com"], 2, /--allow-plain-http/, {
      FILESYNC_TOKEN: "secret",
    });
    await refuses(["serve", dir, "--listen", "nonsense:port"], 2, /listen/);
    await refuses(["serve", dir, "--tls-cert", "x"], 2, /--tls-key/);
    await refuses([], 2, /Usage|filesync/);
  }));

Deno.test("a destination inside the source, or the other way round, is refused, also through a link", () =>
  withTemp(async (dir) => {
    makeTree(dir, { "outer/inner/file": "" });
    Deno.symlinkSync("outer/inner", `${dir}/link`);
    const nested = (source: string, destination: string, reason: RegExp) =>
      refuses(["watch", `${dir}/${source}`, "--to", `${dir}/${destination}`, "--once"], 2, reason);
    await nested("outer", "outer/inner", /destination is inside the source/);
    await nested("outer/inner", "outer", /source is inside the destination/);
    await nested("outer", "outer", /the same directory/);
    await nested("outer", "link", /destination is inside the source/);
    await nested("link", "outer", /source is inside the destination/);
    assertEquals(existsSync(`${dir}/outer/.filesync`), false);
    assertEquals(existsSync(`${dir}/outer/inner/.filesync`), false);
  }));

Deno.test("watch waits for a server that is not there yet, and says when it tries again", () =>
  withTemp(async (dir) => {
    const source = makeTree(`${dir}/source`, { a: "1" });
    Deno.mkdirSync(`${dir}/destination`);
    const port = freePort();
    const url = `http://127.0.0.1:${port}`;
    await using watch = startWatch(source, url, "", { state: `${dir}/state` });
    const [, retryAt] = await watch.line(/"offline".*"retryAt":"(.*?)"/);
    assert(Date.parse(retryAt) > 0);
    makeTree(source, { b: "made meanwhile" });
    await using _server = await startServer(`${dir}/destination`, { port });
    await until(
      "everything arrives",
      () => ["a", "b"].every((name) => existsSync(`${dir}/destination/${name}`)),
    );
    assertEquals((await watch.stop()).code, 130);
  }));

Deno.test("watch --once gives up on a server that is not there with exit code 3", () =>
  withTemp(async (dir) => {
    const source = makeTree(`${dir}/source`, { a: "1" });
    const url = `http://127.0.0.1:${freePort()}`;
    const { code, stderr } = await pushOnce(source, url, "", { state: `${dir}/state`, timeoutMs: 60_000 });
    assertEquals(code, 3);
    const { message, hint } = JSON.parse(stderr.trim().split("\n").at(-1)!);
    assertStringIncludes(message, "connection refused");
    assertStringIncludes(hint, "filesync serve");
  }));

Deno.test("a wrong token is told at once, with exit code 3", () =>
  withTemp(async (dir) => {
    const source = makeTree(`${dir}/source`, { a: "1" });
    Deno.mkdirSync(`${dir}/destination`);
    await using server = await startServer(`${dir}/destination`, { args: ["--listen", "0.0.0.0:0"] });
    const url = `http://127.0.0.1:${server.port}`;
    for (const token of ["wrong", ""]) {
      for (const once of [["--once"], []]) {
        const { code, stderr } = await run(["watch", source, "--to", url, ...once], {
          env: { FILESYNC_TOKEN: token },
          timeoutMs: 30_000,
        });
        assertEquals(code, 3, stderr);
        assertMatch(stderr, /token/);
      }
    }
    assertEquals(await treeText(`${dir}/destination`), "");
    assertEquals((await pushOnce(source, url, server.token, { state: `${dir}/state` })).code, 0);
  }));

Deno.test("an address that is no filesync server is told as such", () =>
  withTemp(async (dir) => {
    const source = makeTree(`${dir}/source`, { a: "1" });
    await using other = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () =>
      new Response("<html>"));
    const { code, stderr } = await run(["watch", source, "--to", `127.0.0.1:${other.addr.port}`, "--once"]);
    assertEquals(code === 3 || code === 1, true, stderr);
    assertMatch(stderr, /address|filesync server/);
  }));

Deno.test("a port in use, and a directory that is served or pushed already, are refused", async () => {
  await using pair = await Pair.start();
  makeTree(pair.source, { a: "1" });
  await pair.watchInStep();
  const other = pair.directory("other");
  await refuses(["serve", other, "--listen", `127.0.0.1:${pair.server.port}`], 1, /in use/);
  await refuses(
    ["serve", pair.destination, "--listen", "127.0.0.1:0"],
    1,
    /process \d+ is using it|another process/,
  );
  const again = ["watch", pair.source, "--to", pair.proxy.url, "--state", pair.state];
  await refuses([...again, "--once"], 1, /process \d+ is using it|another process/);
  await refuses(
    ["watch", other, "--to", pair.proxy.url, "--state", pair.state, "--once"],
    1,
    /process \d+ is using it|another process/,
  );
});

Deno.test("a state that belongs to another pair is refused", async () => {
  await using pair = await Pair.start();
  assertEquals((await pair.push()).code, 0);
  const other = pair.directory("other");
  await refuses(
    ["watch", other, "--to", pair.proxy.url, "--state", pair.state, "--once"],
    1,
    /belongs to pushing.*\n.*--state/,
  );
});

Deno.test({
  name: "a file that cannot be read is listed, and everything else arrives",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using pair = await Pair.start();
    makeTree(pair.source, { a: "1", secret: "2", "closed/file": "3", z: "4" });
    Deno.chmodSync(`${pair.source}/secret`, 0);
    Deno.chmodSync(`${pair.source}/closed`, 0);
    const arguments_ = [
      "watch",
      pair.source,
      "--to",
      pair.proxy.url,
      "--state",
      pair.state,
      "--once",
      "--json",
    ];
    // The superuser reads everything, unless this is taken away.
    const command = isRoot
      ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search", ...programCommand()]
      : undefined;
    const options = { home: pair.home, command, env: { FILESYNC_TOKEN: pair.server.token } };
    const refused = await run(arguments_, options);
    assertEquals(refused.code, 1);
    const problems = refused.json.filter(({ type }) => type === "problem").map(({ problem }) => problem);
    assertEquals(problems.map(({ path, code }) => `${path} ${code}`).sort(), [
      "closed permission",
      "secret permission",
    ]);
    assert(problems.every(({ hint }) => hint.includes("access")));
    assertEquals([existsSync(`${pair.destination}/a`), existsSync(`${pair.destination}/z`)], [true, true]);
    const status = await run(["status", "--state", pair.state], { home: pair.home });
    assertEquals(status.code, 1);
    assertStringIncludes(status.stdout, "permission denied");

    Deno.chmodSync(`${pair.source}/secret`, 0o600);
    Deno.chmodSync(`${pair.source}/closed`, 0o700);
    assertEquals((await run(arguments_, options)).code, 0);
    await pair.assertInStep();
    // What was there and becomes unreadable is not taken for gone.
    Deno.chmodSync(`${pair.source}/closed`, 0);
    assertEquals((await run(arguments_, options)).code, 1);
    assertEquals(existsSync(`${pair.destination}/closed/file`), true);
    Deno.chmodSync(`${pair.source}/closed`, 0o700);
  },
});

Deno.test({
  name: "a full disk at the destination is waited for, with nothing half-written",
  // Only the superuser can make a small file system.
  ignore: Deno.build.os !== "linux" || !isRoot,
  async fn(t) {
    await withTemp(async (dir) => {
      const destination = makeTree(`${dir}/destination`, {});
      await using _disk = await smallDisk(destination, "48m");
      const source = makeTree(`${dir}/source`, { small: "fits" });
      const home = `${dir}/home`;
      const state = `${dir}/state`;
      await using server = await startServer(destination, { home });
      await using watch = startWatch(source, server.url, server.token, { home, state });
      await until("the small file arrives", () => existsSync(`${destination}/small`));
      Deno.writeFileSync(`${destination}/ballast`, randomBytes(1, 38 << 20));
      Deno.writeFileSync(`${source}/big`, randomBytes(2, 12 << 20));

      await t.step("it is listed, and kept in the queue", async () => {
        await until("status tells", async () => {
          const { json: [status] } = await run(["status", "--state", state, "--json"], { home });
          return status.waiting.actions > 0 &&
            status.problems.some(({ code, path }: { code: string; path: string }) =>
              code === "disk-full" && path === "big"
            );
        });
        assertEquals(existsSync(`${destination}/big`), false);
      });
      await t.step("small files go on arriving, where there is room for them", async () => {
        makeTree(source, { tiny: "t" });
        await until("the tiny file arrives", () => existsSync(`${destination}/tiny`));
      });
      await t.step("when there is room it arrives", async () => {
        Deno.removeSync(`${destination}/ballast`);
        await until("the big file arrives", () => existsSync(`${destination}/big`));
        assertEquals(Deno.readFileSync(`${destination}/big`), randomBytes(2, 12 << 20));
        assertEquals([...Deno.readDirSync(`${destination}/.filesync/tmp`)], []);
      });
      await watch.stop();
    });
  },
});

Deno.test("a source that is removed while it is watched removes nothing, and goes on when it is back", async () => {
  await using pair = await Pair.start();
  makeTree(pair.source, { a: "1", "b/c": "2" });
  const watch = await pair.watchInStep();
  Deno.renameSync(pair.source, `${pair.source}.away`);
  await watch.line(/The source is gone/);
  await systemClock.sleep(500);
  assertEquals(existsSync(`${pair.destination}/b/c`), true);
  Deno.renameSync(`${pair.source}.away`, pair.source);
  makeTree(pair.source, { d: "3" });
  await pair.inStep();
});

Deno.test("a source that is another, empty directory now removes nothing", async () => {
  await using pair = await Pair.start();
  makeTree(pair.source, { a: "1", "b/c": "2" });
  const watch = await pair.watchInStep();
  Deno.renameSync(pair.source, `${pair.source}.away`);
  Deno.mkdirSync(pair.source);
  await watch.line(/Nothing is removed at the receiver/);
  assertEquals(existsSync(`${pair.destination}/b/c`), true);
  await watch.stop();
});

Deno.test("settings that are wrong are told with the place where they stand", () =>
  withTemp(async (dir) => {
    makeTree(dir, { "filesync.toml": "[watch]\nlimt = '1M'\n", source: {} });
    const args = ["watch", `${dir}/source`, "--to", "host", "--config", `${dir}/filesync.toml`];
    await refuses(args, 2, /limt/);
    await using program = Program.start([...args.slice(0, 4), "--config", `${dir}/none.toml`]);
    assertEquals((await program.status).code !== 0, true);
  }));

/** Mounts an empty file system of this size on `path`. */
async function smallDisk(path: string, size: string): Promise<AsyncDisposable> {
  const call = async (command: string, args: string[]) => {
    const { success, stderr } = await new Deno.Command(command, { args }).output();
    if (!success) throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
  };
  await call("mount", ["-t", "tmpfs", "-o", `size=${size}`, "none", path]);
  return { [Symbol.asyncDispose]: () => call("umount", ["--lazy", path]) };
}
