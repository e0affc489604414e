import { assertEquals, assertNotEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { homedir } from "node:os";
import {
  denoDirectory,
  Program,
  type ProgramOptions,
  pushOnce,
  run,
  startServer,
  startWatch,
} from "./program.ts";
import { withTemp } from "./temp.ts";

/** Options that start `code` in place of the program. */
function standIn(code: string): ProgramOptions {
  return { command: [Deno.execPath(), "eval", code], label: "stand-in" };
}

Deno.test("run() gives the exit code, both outputs and the JSON lines", async () => {
  const result = await run(
    ["x", "y"],
    standIn(`
      console.log("args", Deno.args.join());
      console.log('{"type":"totals","files":3}');
      console.error("complaint");
      await Deno.stdout.write(new TextEncoder().encode("{no line end"));
      Deno.exit(3);
    `),
  );
  assertEquals(result, {
    code: 3,
    stdout: 'args x,y\n{"type":"totals","files":3}\n{no line end\n',
    stderr: "complaint\n",
    json: [{ type: "totals", files: 3 }],
  });
});

Deno.test("run() gives the program a home of its own and none of the test's settings", async () => {
  Deno.env.set("FILESYNC_LIMIT", "1");
  try {
    const names = ["HOME", "XDG_STATE_HOME", "FILESYNC_LIMIT", "FILESYNC_TOKEN", "DENO_DIR"];
    const { json: [seen] } = await run([], {
      ...standIn(`
        const env = Object.fromEntries(${JSON.stringify(names)}.map((n) => [n, Deno.env.get(n)]));
        console.log(JSON.stringify({ type: "env", ...env }));
      `),
      env: { FILESYNC_TOKEN: "secret" },
    });
    assertNotEquals(seen.HOME, Deno.env.get("HOME"));
    assertEquals(seen.XDG_STATE_HOME, `${seen.HOME}/state`);
    assertEquals(seen.FILESYNC_LIMIT, undefined);
    assertEquals(seen.FILESYNC_TOKEN, "secret");
    assertEquals(existsSync(seen.DENO_DIR), true);
    assertEquals(existsSync(seen.HOME), false, "the temporary home is removed at the end");
  } finally {
    Deno.env.delete("FILESYNC_LIMIT");
  }
});

Deno.test({
  name: "denoDirectory() takes an empty XDG_CACHE_HOME for none, as Deno does",
  ignore: Deno.build.os !== "linux",
  fn() {
    const given = Deno.env.get("XDG_CACHE_HOME");
    try {
      Deno.env.set("XDG_CACHE_HOME", "/elsewhere");
      assertEquals(denoDirectory(), "/elsewhere/deno");
      Deno.env.set("XDG_CACHE_HOME", "");
      assertEquals(denoDirectory(), `${homedir()}/.cache/deno`);
    } finally {
      if (given === undefined) Deno.env.delete("XDG_CACHE_HOME");
      else Deno.env.set("XDG_CACHE_HOME", given);
    }
  },
});

Deno.test("Program.line() finds lines printed before and after the call, and after a mark", async () => {
  await using program = Program.start(
    [],
    standIn(`
      console.log("one 1");
      Deno.addSignalListener("SIGUSR1", () => console.error("one 2"));
      console.log("ready");
      setInterval(() => {}, 1000);
    `),
  );
  await program.line(/^ready$/);
  assertEquals((await program.line(/one (\d)/))[1], "1");
  const mark = program.mark();
  const waiting = program.line(/one (\d)/, 5000, mark);
  program.kill("SIGUSR1");
  assertEquals((await waiting)[1], "2");
  assertEquals(program.stderr, "one 2\n");
});

Deno.test("Program.line() tells what was printed when the time is up or the program has ended", async () => {
  await using program = Program.start(
    [],
    standIn(`
      console.log("hello");
      Deno.addSignalListener("SIGINT", () => { console.log("bye"); Deno.exit(7); });
      setInterval(() => {}, 1000);
    `),
  );
  await program.line(/hello/);
  const late = await assertRejects(() => program.line(/never/, 10), Error, "within 10 ms");
  assertStringIncludes(late.message, "stdout: hello");
  assertEquals((await program.stop()).code, 7);
  const ended = await assertRejects(() => program.line(/never/), Error, "ended without");
  assertStringIncludes(ended.message, "exit code 7");
  assertStringIncludes(ended.message, "stdout: bye");
});

Deno.test("Program.stop() kills a program that does not stop, and says so", async () => {
  await using program = Program.start(
    [],
    standIn(`
      Deno.addSignalListener("SIGINT", () => {});
      console.log("ready");
      setInterval(() => {}, 1000);
    `),
  );
  await program.line(/ready/);
  await assertRejects(() => program.stop(50), Error, "did not end within 50 ms");
  assertEquals((await program.status).signal, "SIGKILL");
});

Deno.test("startServer(), startWatch() and pushOnce() pass what the commands take", () =>
  withTemp(async (dir) => {
    const options = standIn(`
      const token = Deno.env.get("FILESYNC_TOKEN");
      console.log(JSON.stringify({ type: "totals", args: Deno.args, token }));
      if (Deno.args[0] === "serve") {
        console.log(JSON.stringify({ type: "listening", url: "http://127.0.0.1:81", token: "t" }));
        setInterval(() => {}, 1000);
      }
    `);
    await using server = await startServer(dir, { ...options, port: 81, args: ["--keep", "2"] });
    assertEquals([server.url, server.token, server.port], ["http://127.0.0.1:81", "t", 81]);
    assertEquals(
      server.program.json[0].args,
      ["serve", dir, "--listen", "127.0.0.1:81", "--json", "--keep", "2"],
    );
    const expected = ["watch", dir, "--to", server.url, "--json", "--state", "S", "--limit", "1M"];
    const more = { ...options, state: "S", args: ["--limit", "1M"] };
    await using watch = startWatch(dir, server.url, server.token, more);
    assertEquals(await watch.event("totals", { token: "t" }), { type: "totals", args: expected, token: "t" });
    const { code, totals } = await pushOnce(dir, server.url, server.token, more);
    assertEquals(code, 0);
    assertEquals(totals?.args, [...expected, "--once"]);
  }));

Deno.test("startServer() leaves nothing running when the program does not listen", async () => {
  await assertRejects(
    () => startServer("x", standIn(`console.error("no such directory"); Deno.exit(2)`)),
    Error,
    "stderr: no such directory",
  );
});
