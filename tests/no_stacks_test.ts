import { assert, assertEquals, assertMatch } from "@std/assert";
import { pooledMap } from "@std/async";
import { run, startServer } from "./support/program.ts";
import { Home } from "./support/run_command.ts";
import { TempDirectory } from "./support/temp.ts";
import { makeTree } from "./support/trees.ts";

/** What a stack trace, or the runtime's own words for an error, has and nothing of ours. */
const STACK = /^ {4}at |file:\/\/\/|Uncaught|\(os error \d+\)/m;

/** Every failure is told in one way: what could not be done, why, and what to do next. */
function assertExplained(args: string[], code: number, err: string): void {
  const what = `filesync ${args.join(" ")}\nends with ${code}:\n${err}`;
  assert(code > 0 && code < 128, what);
  assert(!STACK.test(err), what);
  assertMatch(err, /^filesync: Cannot .+: [^]+\n {2}\S.{8,}\n$/m, what);
}

Deno.test("no failure of a command shows where in the program it was, and each says what to do", async () => {
  using home = new Home();
  const source = makeTree(home.directory("source"), { a: "1" });
  const other = home.directory("other");
  makeTree(home.path, {
    file: "no directory",
    "broken.toml": "= [",
    "no.pem": "no certificate",
    "damaged/state.db": "no database".repeat(500),
    "damaged index/.filesync/index.db": "no database".repeat(500),
    "damaged index/.filesync/token": "0123456789abcdef0123456789abcdef",
  });
  for (const name of ["damaged", "damaged index/.filesync"]) Deno.chmodSync(`${home.path}/${name}`, 0o700);
  const at = (name: string) => `${home.path}/${name}`;
  const commands = [
    ["watch", at("none"), "--to", other],
    ["watch", at("file"), "--to", other],
    ["watch", source, "--to", at("none/")],
    ["watch", source, "--to", "ftp://host"],
    ["watch", source, "--to", "http://user:secret@host"],
    ["watch", source, "--to", source],
    ["watch", source, "--to", other, "--limit", "fast"],
    ["watch", source, "--to", other, "--token-file", at("none")],
    ["watch", source, "--to", other, "--log", other],
    ["watch", source, "--to", other, "--state", at("file")],
    ["watch", source, "--to", other, "--state", at("damaged"), "--once"],
    ["watch", source, "--to", at("damaged index"), "--once"],
    ["watch", source, "--to", "http://192.0.2.1", "--tls-pin", "sha256:no"],
    ["watch", source, "--to", other, "--config", at("broken.toml")],
    ["watch", source, "--to", other, "--config", at("none.toml")],
    ["serve", at("none")],
    ["serve", at("file")],
    ["serve", at("damaged index"), "--listen", "127.0.0.1:0"],
    ["serve", other, "--listen", "nowhere"],
    ["serve", other, "--listen", "203.0.113.7:0"],
    ["serve", other, "--listen", "127.0.0.1:0", "--tls-cert", at("no.pem"), "--tls-key", at("no.pem")],
    ["serve", other, "--listen", "127.0.0.1:0", "--token-file", at("file")],
    ["sync", at("none"), other],
    ["sync", source, other, "--conflict", "me"],
    ["sync", source, other, "--interval", "often"],
    ["restore", at("none")],
    ["restore", source],
    ["restore", source, "--version", "7"],
    ["versions", at("none")],
    ["verify", at("none")],
    ["history", at("none")],
    ["history", "http://127.0.0.1:9"],
    ["status", "--state", at("none")],
    ["status", "--state", at("damaged")],
    ["why", at("none"), "--state", at("damaged")],
    ["why", source],
    ["digest", at("none")],
    ["scan", at("none"), "--catalog", `sqlite:${at("c.db")}`],
    ["scan", source, "--catalog", "mysql://host"],
    ["scan", source, "--catalog", `sqlite:${at("damaged/state.db")}`],
    ["changes", "--catalog", `sqlite:${at("none.db")}`],
    ["report", "--catalog", `sqlite:${at("damaged/state.db")}`],
    ["completions", "tcsh"],
    ["nonsense"],
    ["watch", "--nonsense"],
  ];
  for (const args of commands) {
    // One that goes on would be a fault, too.
    const context = home.context({ signal: AbortSignal.timeout(20_000) });
    const { code, err } = await home.runIn(context, ...args);
    assertExplained(args, code, err);
  }
});

Deno.test("nothing that fails while the program runs shows where in the program it was", async () => {
  using temp = new TempDirectory();
  const home = temp.directory("home");
  const source = makeTree(temp.directory("source"), { a: "1" });
  const destination = temp.directory("destination");
  await using server = await startServer(destination, { home });
  makeTree(temp.path, { "damaged/state.db": "no database".repeat(500) });
  const state = `${temp.path}/state`;
  const failures: [args: string[], code: number, token?: string][] = [
    [["watch", source, "--to", server.url, "--once", "--state", state], 3, "wrong"],
    [["watch", source, "--to", server.url, "--once", "--state", `${temp.path}/damaged`], 1, server.token],
    [["watch", source, "--to", destination, "--once"], 1],
    [["serve", destination, "--listen", "127.0.0.1:0"], 1],
    [["serve", source, "--listen", `127.0.0.1:${server.port}`], 1],
    [["scan", `${temp.path}/none`, "--catalog", `sqlite:${temp.path}/catalog.db`], 1],
  ];
  for await (
    const [args, code, result] of pooledMap(2, failures, async ([args, code, token]) => {
      const env = token === undefined ? undefined : { FILESYNC_TOKEN: token };
      return [args, code, await run(args, { home, env })] as const;
    })
  ) {
    assertExplained(args, result.code, result.stderr.slice(result.stderr.indexOf("filesync: ")));
    assert(!STACK.test(result.stdout + result.stderr), result.stdout + result.stderr);
    assertEquals(result.code, code, `${args.join(" ")}\n${result.stderr}`);
  }
  assert(!STACK.test(server.program.stdout + server.program.stderr));
});
