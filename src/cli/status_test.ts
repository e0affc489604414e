import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { relative } from "@std/path";
import { Home, jsonLines } from "../../tests/support/run_command.ts";
import { makeTree } from "../../tests/support/trees.ts";
import { EXIT } from "../core/errors.ts";
import type { TreePath } from "../core/path.ts";
import { SourceState } from "../sync/source_state.ts";

/** A pair that was pushed once. */
async function pushed(home: Home): Promise<{ source: string; destination: string; state: string }> {
  const source = makeTree(home.directory("source"), { a: "12", d: { b: "345" } });
  const destination = home.directory("destination");
  assertEquals((await home.run("watch", source, "--to", destination, "--once", "-q")).code, EXIT.done);
  const states = `${home.environment.HOME}/.local/state/filesync`;
  const [{ name }] = Deno.readDirSync(states);
  return { source, destination, state: `${states}/${name}` };
}

Deno.test("status says how to begin when nothing is pushed", async () => {
  using home = new Home();
  assertEquals(await home.run("status"), {
    code: EXIT.done,
    out: "Nothing is pushed from here yet\n  Start with: filesync watch <dir> --to <host>\n",
    err: "",
  });
  assertEquals(await home.run("status", "--json"), { code: EXIT.done, out: "", err: "" });
  const other = home.directory("other");
  assertStringIncludes((await home.run("status", other)).out, `${other} is not pushed anywhere`);
});

Deno.test("status shows what is pushed where", async () => {
  using home = new Home();
  const { source, destination, state } = await pushed(home);
  const shown = [
    `${source} → ${destination}`,
    "  not running",
    "  3 entries known, 5 B",
    "  nothing waits",
    "",
  ].join("\n");
  assertEquals(await home.run("status"), { code: EXIT.done, out: shown, err: "" });
  assertEquals((await home.run("status", source)).out, shown);
  assertEquals((await home.run("status", "--state", state)).out, shown);
  assertStringIncludes((await home.run("status", destination)).out, "is not pushed anywhere");
});

Deno.test("status finds a directory by any way to it", async () => {
  using home = new Home();
  const { source } = await pushed(home);
  Deno.symlinkSync(source, `${home.path}/link`);
  assertStringIncludes((await home.run("status", `${home.path}/link`)).out, `${source} → `);
});

Deno.test("status finds a directory that is gone, by a relative path, too", async () => {
  using home = new Home();
  const { source } = await pushed(home);
  Deno.removeSync(source, { recursive: true });
  for (const path of [source, relative(Deno.cwd(), source)]) {
    assertStringIncludes((await home.run("status", path)).out, `${source} → `);
  }
});

Deno.test("status counts one as one", async () => {
  using home = new Home();
  const { source, state: path } = await pushed(home);
  {
    using state = new SourceState(path, { clock: home.context().clock });
    state.index.remove("d" as TreePath);
    state.queue.add([{ action: { type: "remove", path: "a" as TreePath } }]);
    state.addProblem({ path: "a", code: "io", message: "Cannot read it: no", permanent: true }, 1);
  }
  const { out } = await home.run("status", source);
  assertMatch(out, / {2}1 entry known, 2 B\n {2}1 change waits, 0 B, .*\n {2}1 problem:\n/);
});

Deno.test("status shows a push that runs, what waits and what has problems", async () => {
  using home = new Home();
  const { state: path, source, destination } = await pushed(home);
  const context = home.context();
  const { clock } = context;
  using state = new SourceState(path, { clock });
  const { queue } = state;
  const removal = (name: string) => ({ action: { type: "remove" as const, path: name as TreePath } });
  queue.add(["failed", "later", "waits"].map(removal));
  const [failed, later] = queue.take({ items: 2, bytes: 0 });
  queue.fail(failed.id, { code: "bad-path", message: "Cannot remove it: no", permanent: true });
  queue.retry([later.id], {
    code: "disk-full",
    message: "Cannot remove it: full",
    hint: "Make room",
    permanent: false,
    retryAfter: 600_000,
  });
  state.addProblem(
    { code: "permission", path: "p\x1b[2J", message: "Cannot read it: no", permanent: false },
    clock.now(),
  );
  const offline = { state: "offline", detail: "connection refused", retryAt: clock.now() + 90_000 };
  state.index.setMeta("connection", JSON.stringify(offline));

  const { code, out } = await home.run("status");
  assertEquals(code, EXIT.problems);
  assertMatch(out, / {2}running, the receiver is out of reach: connection refused; next try in 1m/);
  assertMatch(out, / {2}2 changes wait, 0 B, next try now/);
  assertMatch(out, / {2}3 problems:\n {4}failed: Cannot remove it: no\n/);
  assertMatch(out, / {4}later: Cannot remove it: full; next try in (9m|10m).*\n {6}Make room\n/);
  assertStringIncludes(out, `"p\\u001b[2J": Cannot read it: no`);

  const [report, ...more] = jsonLines((await home.run("status", "--json")).out);
  assertEquals(more, []);
  assertEquals([report.type, report.source, report.destination, report.running], [
    "status",
    source,
    destination,
    true,
  ]);
  assertEquals(
    (report.problems as { path: string; code: string }[]).map(({ path, code }) => `${path}: ${code}`),
    [
      "failed: bad-path",
      "later: disk-full",
      "p\x1b[2J: permission",
    ],
  );
});

Deno.test("status shows how the receiver was last met", async () => {
  using home = new Home();
  const { state: path } = await pushed(home);
  using state = new SourceState(path, home.context());
  const shown = async (connection: object) => {
    state.index.setMeta("connection", JSON.stringify(connection));
    return (await home.run("status")).out.split("\n")[1];
  };
  assertEquals(await shown({ state: "online" }), "  running, the receiver answers");
  assertEquals(await shown({ state: "indexing" }), "  running, the receiver is reading its files");
});

Deno.test("status shows the first of many problems, and JSON all", async () => {
  using home = new Home();
  const { state: path } = await pushed(home);
  {
    using state = new SourceState(path, home.context());
    for (let i = 10; i < 35; i++) {
      state.addProblem(
        { code: "permission", path: `f${i}`, message: "Cannot read it: no", permanent: false },
        1,
      );
    }
  }
  const { out } = await home.run("status");
  assertMatch(out, /25 problems:\n {4}f10: [^]*\n {4}f29: [^]*\n {4}and 5 more; see them with --json\n$/);
  const [report] = jsonLines((await home.run("status", "--json")).out);
  assertEquals((report.problems as unknown[]).length, 25);
});
