import { assert, assertEquals, assertMatch } from "@std/assert";
import { Program, run, startServer, startWatch } from "./support/program.ts";
import { until } from "./support/pair.ts";
import { withTemp } from "./support/temp.ts";
import { assertSameTree, makeTree } from "./support/trees.ts";

const isUnix = Deno.build.os !== "windows";

/** Everything below `directory` that others than its owner may read or write, by way of directories that let them. */
function* openToOthers(directory: string): Generator<string> {
  for (const { name, isDirectory, isSymlink } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    if (isSymlink || (Deno.lstatSync(path).mode! & 0o077) === 0) continue;
    if (isDirectory) yield* openToOthers(path);
    else yield path;
  }
}

Deno.test("serve --tls is pushed to by its pin, and by nothing else", () =>
  withTemp(async (dir) => {
    const source = makeTree(`${dir}/source`, { a: "1", d: { b: "2" } });
    const destination = makeTree(`${dir}/destination`, {});
    const home = `${dir}/home`;
    let pin = "";
    {
      await using server = Program.start(["serve", destination, "--tls", "-l", "0.0.0.0:0"], { home });
      const [, token, url, printed] = await server.line(
        /FILESYNC_TOKEN=(\S+) filesync watch <dir> --to (https:\/\/\S+) --tls-pin (sha256:[0-9a-f]{64})/,
      );
      pin = printed;
      await server.line(new RegExp(`listening on https://0\\.0\\.0\\.0:\\d+ .*certificate ${pin}`));
      const address = `https://127.0.0.1:${new URL(url).port}`;
      const push = (...args: string[]) =>
        run(["watch", source, "--to", address, "--once", ...args], { home, env: { FILESYNC_TOKEN: token } });
      const untrusted = await push();
      assertEquals(untrusted.code, 3);
      assertMatch(untrusted.stderr, /its certificate is not trusted/);
      const other = await push("--tls-pin", `sha256:${"0".repeat(64)}`);
      assertEquals(other.code, 3);
      assertMatch(other.stderr, new RegExp(`its certificate has the pin ${pin}, not the one that was given`));
      assertEquals((await push("--tls-pin", "sha256:zz")).code, 2);
      assertEquals((await push("--tls-pin", pin)).code, 0);
      await assertSameTree(source, destination);
      assertEquals(Deno.statSync(`${destination}/.filesync/tls-key.pem`).mode! & 0o777, 0o600);
    }
    await using again = Program.start(["serve", destination, "--tls", "-l", "127.0.0.1:0"], { home });
    await again.line(new RegExp(`certificate ${pin}`));
  }));

Deno.test("no command with an address shows a token over plain HTTP to another machine", () =>
  withTemp(async (dir) => {
    const source = makeTree(`${dir}/source`, { a: "1" });
    // TEST-NET-1 of RFC 5737: were anything sent, it would take long.
    const url = "http://192.0.2.1:7433";
    for (
      const args of [
        ["watch", source, "--to", url],
        ["watch", source, "--to", url, "--once"],
        ["sync", source, url],
        ["history", url],
        ["doctor", source, "--to", url],
      ]
    ) {
      const { code, stdout, stderr } = await run(args, {
        env: { FILESYNC_TOKEN: "secret-token-of-the-test" },
        timeoutMs: 60_000,
      });
      assert(
        code === 2 || args[0] === "doctor" && code === 1,
        `${args.join(" ")}: ${code} ${stdout}${stderr}`,
      );
      assert(!`${stdout}${stderr}`.includes("secret-token-of-the-test"));
      if (args[0] !== "doctor") {
        assertMatch(stderr, /Cannot send the token to 192\.0\.2\.1:7433.*\n.*--allow-plain-http/);
      }
    }
  }));

Deno.test({
  name: "a token is in no log, output, command line or state, and nothing of ours can be read by others",
  ignore: !isUnix,
  async fn() {
    await withTemp(async (dir) => {
      const source = makeTree(`${dir}/source`, { a: "1", d: { b: "2" } });
      const destination = makeTree(`${dir}/destination`, {});
      const home = `${dir}/home`;
      const logs = [`${dir}/server.log`, `${dir}/watch.log`];
      const token = "a-token-that-must-not-be-seen";
      // With the usual umask, so that nothing is private by itself.
      const before = Deno.umask(0o022);
      try {
        await using server = await startServer(destination, {
          home,
          env: { FILESYNC_TOKEN: token },
          args: ["--log", logs[0], "--tls", "--verbose"],
        });
        const pin = (await server.program.event("listening")).pin;
        await using watch = startWatch(source, server.url, token, {
          home,
          args: ["--log", logs[1], "--verbose", "--tls-pin", pin],
        });
        await until("it arrives", () => {
          try {
            return Deno.readTextFileSync(`${destination}/d/b`) === "2";
          } catch {
            return false;
          }
        });
        if (Deno.build.os === "linux") {
          for (const pid of [server.program.pid, watch.pid]) {
            assert(!Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes(token));
          }
        }
        await watch.stop();
        await server.program.stop();
        for (const program of [server.program, watch]) {
          assert(!`${program.stdout}${program.stderr}`.includes(token), program.label);
        }
      } finally {
        Deno.umask(before);
      }
      for (const log of logs) assert(!Deno.readTextFileSync(log).includes(token), log);
      const { success, stdout } = await new Deno.Command("grep", { args: ["-rl", token, dir] }).output();
      assertEquals([success, new TextDecoder().decode(stdout)], [false, ""], "it stands nowhere");
      assertEquals([...openToOthers(`${destination}/.filesync`)], []);
      assertEquals(Deno.statSync(`${destination}/.filesync`).mode! & 0o777, 0o700);
      assertEquals([...openToOthers(home)].filter((path) => !path.includes("/.cache/")), []);
    });
  },
});

Deno.test({
  name: "a link in the place of the state directory is not followed",
  ignore: !isUnix,
  async fn() {
    await withTemp(async (dir) => {
      const destination = makeTree(`${dir}/destination`, {});
      const outside = makeTree(`${dir}/outside`, {});
      Deno.symlinkSync(outside, `${destination}/.filesync`);
      const { code, stderr } = await run(["serve", destination, "-l", "127.0.0.1:0"], { timeoutMs: 30_000 });
      assertEquals(code, 1);
      assertMatch(stderr, /Cannot use ".*\.filesync": it is a link\n/);
      assertEquals([...Deno.readDirSync(outside)], []);
    });
  },
});

Deno.test("a second token lets read only, and a read-only server nobody write", () =>
  withTemp(async (dir) => {
    const source = makeTree(`${dir}/source`, { a: "1" });
    const destination = makeTree(`${dir}/destination`, {});
    const home = `${dir}/home`;
    const readTokenFile = `${dir}/reader`;
    {
      await using server = await startServer(destination, {
        home,
        args: ["--read-token-file", readTokenFile],
      });
      const reader = { home, env: { FILESYNC_TOKEN: Deno.readTextFileSync(readTokenFile).trim() } };
      const push = await run(["watch", source, "--to", server.url, "--once"], reader);
      assertEquals(push.code === 0, false);
      assertMatch(push.stdout + push.stderr, /the token allows reading only/);
      assertEquals((await run(["history", server.url], reader)).code, 0);
      assertEquals([...Deno.readDirSync(destination)].map(({ name }) => name), [".filesync"]);
    }
    await using server = await startServer(destination, { home, args: ["--read-only"] });
    const { stdout, stderr } = await run(["watch", source, "--to", server.url, "--once"], {
      home,
      env: { FILESYNC_TOKEN: server.token },
    });
    assertMatch(stdout + stderr, /the server is read-only/);
    assertEquals([...Deno.readDirSync(destination)].map(({ name }) => name), [".filesync"]);
  }));
