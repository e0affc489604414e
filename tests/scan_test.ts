import { assert, assertEquals } from "@std/assert";
import { filesOf, linesOf, lookAt } from "./support/catalog_contract.ts";
import { integer, seededRandom } from "./support/bytes.ts";
import { until } from "./support/pair.ts";
import { HAS_POSTGRES, PostgresServer } from "./support/postgres.ts";
import { Program, programCommand, run } from "./support/program.ts";
import { storm } from "./support/storm.ts";
import { TempDirectory } from "./support/temp.ts";
import { makeTree } from "./support/trees.ts";
import { systemClock } from "../src/core/clock.ts";
import { EXIT } from "../src/core/errors.ts";
import { openPostgresStore } from "../src/crawler/postgres_store.ts";
import { openSqliteStore } from "../src/crawler/sqlite_store.ts";
import type { Store } from "../src/crawler/store.ts";

/** Makes 20,000 files in 400 directories: a scan takes long enough to be met anywhere. */
function fill(root: string): void {
  for (let d = 0; d < 400; d++) {
    makeTree(
      `${root}/${d % 20}/${d}`,
      Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`file ${i}`, ""])),
    );
  }
}

/** What all rows of `file_changes`, one after the other, make of nothing. */
async function replay({ sql }: Store): Promise<string[]> {
  const rows = await sql.query(
    "SELECT kind, path, old_path FROM file_changes ORDER BY scan_id, CASE kind WHEN 'removed' THEN 0 ELSE 1 END",
  );
  const paths = new Set<string>();
  const byScan = rows as { kind: string; path: string; old_path: string | null }[];
  for (const { kind, path, old_path } of byScan) {
    if (kind === "removed") assert(paths.delete(path), `${path} is removed, and was not there`);
    else if (kind === "modified") assert(paths.has(path), `${path} is modified, and was not there`);
    else {
      if (old_path !== null) paths.delete(old_path);
      assert(!paths.has(path), `${path} is ${kind}, and was there`);
      paths.add(path);
    }
  }
  return [...paths].sort();
}

async function killAndRepeat(catalog: string, open: () => Promise<Store>): Promise<void> {
  using temp = new TempDirectory();
  const root = temp.directory("tree");
  const home = temp.directory("home");
  const random = seededRandom(7);
  fill(root);
  const args = (catalog: string) => ["scan", root, "--catalog", catalog, "--quiet"];
  const startedAt = systemClock.now();
  assertEquals((await run(args(`sqlite:${temp.path}/measured.db`), { home })).code, EXIT.done);
  const takes = systemClock.now() - startedAt;
  let kills = 0;
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 4; i++) {
      await using program = Program.start(args(catalog), { home });
      await systemClock.sleep(takes * (0.2 + 0.8 * random()));
      program.kill("SIGKILL");
      kills += (await program.status).signal === null ? 0 : 1;
    }
    const { code, stderr } = await run(args(catalog), { home });
    assertEquals([code, stderr], [EXIT.done, ""]);
    await using store = await open();
    assertEquals(await filesOf(store), linesOf(lookAt(root)));
    assertEquals(await replay(store), [...lookAt(root).keys()].sort());
    const left = await store.sql.query(
      `SELECT (SELECT count(*) FROM reservations) AS reserved,
         (SELECT count(*) FROM entries WHERE directory_id NOT IN (SELECT id FROM directories)) AS orphans,
         (SELECT count(*) FROM scan_runs WHERE state = 'running') AS running`,
    );
    assertEquals({ ...left[0] }, { reserved: 0, orphans: 0, running: 0 });
    const names = [...Deno.readDirSync(root)].map(({ name }) => name).sort();
    Deno.removeSync(`${root}/${names[integer(random, names.length)]}`, { recursive: true });
    await storm(root, { seed: round, operations: 300 });
    makeTree(root, { [`new ${round}`]: { "0": { a: "1" }, "1": { b: "22" } } });
  }
  assert(kills >= 6, `only ${kills} of 12 scans were killed in time`);
}

Deno.test("scan into SQLite gives the same, however often it is killed", async () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/catalog.db`;
  await killAndRepeat(`sqlite:${path}`, () => Promise.resolve(openSqliteStore(path)));
});

Deno.test({
  name: "scan into PostgreSQL gives the same, however often it is killed",
  ignore: !HAS_POSTGRES,
  async fn() {
    await using server = await PostgresServer.start();
    const url = await server.database();
    await killAndRepeat(url.href, () => openPostgresStore(url));
  },
});

/** The program without the rights of root to read everything. */
function unprivileged(): string[] {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return programCommand();
  return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", ...programCommand()];
}

Deno.test({
  name: "scan keeps what it may not read any more, and finds it again",
  ignore: Deno.build.os === "windows",
  async fn() {
    using temp = new TempDirectory();
    const root = makeTree(temp.directory("tree"), {
      a: "1",
      shut: { b: "22", deep: { c: "333" } },
      blind: { d: "4444", deep: { e: "" } },
      open: { f: "" },
    });
    const path = `${temp.path}/catalog.db`;
    const scan = async () => {
      const { code, json } = await run(["scan", root, "--catalog", `sqlite:${path}`, "--json"], {
        home: temp.path,
        command: unprivileged(),
      });
      const { added, modified, removed, problems } = json.find(({ type }) => type === "scanned")!;
      const troubled = json.filter(({ type }) => type === "problem").map((line) =>
        line.problem.path.slice(root.length)
      );
      return { code, added, modified, removed, problems, troubled: troubled.sort() };
    };
    // May not be entered; may be listed, and nothing in it looked at.
    const modes = [["shut", 0o000], ["blind", 0o444]] as const;
    const shut = () => modes.forEach(([name, mode]) => Deno.chmodSync(`${root}/${name}`, mode));
    const reopen = () => modes.forEach(([name]) => Deno.chmodSync(`${root}/${name}`, 0o755));
    try {
      shut();
      const troubled = ["/blind/d", "/blind/deep", "/shut"];
      assertEquals(await scan(), {
        ...{ code: EXIT.problems, added: 2, modified: 0, removed: 0, problems: 3, troubled },
      });
      reopen();
      assertEquals(await scan(), {
        ...{ code: EXIT.done, added: 4, modified: 0, removed: 0, problems: 0, troubled: [] },
      });
      const before = linesOf(lookAt(root));
      shut();
      Deno.removeSync(`${root}/open/f`);
      assertEquals(await scan(), {
        ...{ code: EXIT.problems, added: 0, modified: 0, removed: 1, problems: 3, troubled },
      });
      await using store = openSqliteStore(path);
      assertEquals(await filesOf(store), before.filter((line) => !line.includes("/open/f")));
      reopen();
      Deno.removeSync(`${root}/shut/deep`, { recursive: true });
      Deno.writeTextFileSync(`${root}/blind/d`, "changed");
      assertEquals(await scan(), {
        ...{ code: EXIT.done, added: 0, modified: 1, removed: 1, problems: 0, troubled: [] },
      });
      assertEquals(await filesOf(store), linesOf(lookAt(root)));
    } finally {
      reopen();
    }
  },
});

Deno.test("watch --catalog keeps a catalog current, whatever of it is pushed", async () => {
  using temp = new TempDirectory();
  const root = makeTree(temp.directory("tree"), { a: "1", gone: "2", d: { b: "22" } });
  // The other side has this already: there will be nothing to push.
  const copy = makeTree(temp.directory("copy"), { a: "1", there: "already", gone: "2", d: { b: "22" } });
  const path = `${temp.path}/catalog.db`;
  await using watch = Program.start(
    ["watch", root, "--to", copy, "--catalog", `sqlite:${path}`, "--json"],
    { home: temp.path },
  );
  const current = async () => {
    await using store = openSqliteStore(path, { readOnly: true });
    return JSON.stringify(await filesOf(store)) === JSON.stringify(linesOf(lookAt(root)));
  };
  const changes: Record<string, () => unknown> = {
    "nothing": () => {},
    "a file that the other side has": () => Deno.writeTextFileSync(`${root}/there`, "already"),
    "a file is gone": () => Deno.removeSync(`${root}/gone`),
    "a pipe, which is not pushed": () =>
      new Deno.Command("mkfifo", { args: [`${root}/d/pipe`] }).outputSync(),
    "a directory is renamed": () => Deno.renameSync(`${root}/d`, `${root}/e`),
    "a tree": () => makeTree(root, { new: { deep: { c: "3" } } }),
  };
  for (const [what, change] of Object.entries(changes)) {
    change();
    await until(`the catalog knows: ${what}`, () => current().catch(() => false));
  }
  await watch.stop();
});
