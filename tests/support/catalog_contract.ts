/**
 * What every catalog must keep to: one suite of tests for both databases.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { lutimesSync } from "node:fs";
import { join } from "@std/path";
import { makeTree } from "./trees.ts";
import { TempDirectory } from "./temp.ts";
import { FakeClock } from "./fake_clock.ts";
import { FilesyncError } from "../../src/core/errors.ts";
import type { TreePath } from "../../src/core/path.ts";
import { blake3 } from "../../src/hashing/blake3.ts";
import { biggestIn, fullestBelow, lastScan, scannedRoots, spaceIn } from "../../src/crawler/catalog_views.ts";
import { type ChangeQuery, changes, someChanges } from "../../src/crawler/change_queries.ts";
import { fingerprintFile } from "../../src/crawler/fingerprint.ts";
import { KIND, ListingWriter } from "../../src/crawler/listing.ts";
import { LiveFeed, recordChanges } from "../../src/crawler/live_feed.ts";
import { makeReport, periodsOf } from "../../src/crawler/report_data.ts";
import { takeFingerprints } from "../../src/crawler/take_fingerprints.ts";
import { type Crawler, walkInThread } from "../../src/crawler/crawler.ts";
import { sweepInterrupted } from "../../src/crawler/directory_ids.ts";
import { WHOLE } from "../../src/crawler/shard.ts";
import { beginScan, type ScanSession, type ScanSummary } from "../../src/crawler/scan_session.ts";
import { scanTree, type ScanTreeOptions } from "../../src/crawler/scan.ts";
import type { Store } from "../../src/crawler/store.ts";

/** What stands at a path, as the catalog sees it. */
interface Look {
  kind: string;
  size: number;
  mtime: number;
  inode: number;
}

type Looks = Map<string, Look>;

/** Looks at all files below `root` by other means than the crawler: GNU find. */
export function lookAt(root: string): Looks {
  const { stdout } = new Deno.Command("find", {
    args: [root, "!", "-type", "d", "-printf", "%p\\0%y\\0%s\\0%T@\\0%i\\0"],
  }).outputSync();
  const words = new TextDecoder().decode(stdout).split("\0");
  const looks: Looks = new Map();
  for (let i = 0; i + 5 <= words.length; i += 5) {
    const [path, type, size, time, inode] = words.slice(i, i + 5);
    looks.set(path, {
      kind: type === "f" ? "file" : type === "l" ? "symlink" : "other",
      size: Number(size),
      // Seconds, a dot and ten digits.
      mtime: Number(time.replace(".", "").slice(0, -4)),
      inode: Number(inode),
    });
  }
  return looks;
}

/** A row of `file_changes`, as a line. */
function line(
  kind: string,
  path: string,
  from: string | null,
  old: Look | undefined,
  now: Look | undefined,
): string {
  return [kind, path, from, old?.size, now?.size, old?.mtime, now?.mtime].map((value) => value ?? "-").join(
    " ",
  );
}

/** The rows of `file_changes` that the difference of two looks should make. */
function differences(before: Looks, after: Looks): string[] {
  const key = ({ inode, size, mtime, kind }: Look) => `${inode} ${size} ${mtime} ${kind}`;
  const removed = [...before].filter(([path]) => !after.has(path));
  const added = [...after].filter(([path]) => !before.has(path));
  const soleBy = (looks: [string, Look][]) => {
    const groups = Map.groupBy(looks, ([, look]) => key(look));
    return new Map(
      [...groups].filter(([, group]) => group.length === 1).map(([key, [[path]]]) => [key, path]),
    );
  };
  const [from, to] = [soleBy(removed), soleBy(added)];
  const isMoved = (look: Look) => from.has(key(look)) && to.has(key(look));
  return [
    ...removed.filter(([, look]) => !isMoved(look)).map(([path, look]) =>
      line("removed", path, null, look, undefined)
    ),
    ...added.map(([path, look]) =>
      isMoved(look)
        ? line("moved", path, from.get(key(look))!, look, look)
        : line("added", path, null, undefined, look)
    ),
    ...[...after].flatMap(([path, now]) => {
      const old = before.get(path);
      const same = old === undefined ||
        (old.size === now.size && old.mtime === now.mtime && old.kind === now.kind);
      return same ? [] : [line("modified", path, null, old, now)];
    }),
  ].sort();
}

/** Scans with a clock that stands still and without workers; what is empty was emptied. */
function scan(store: Store, root: string, options: Partial<ScanTreeOptions> = {}): Promise<ScanSummary> {
  const usual = { host: "here", root, clock: new FakeClock(), allowEmpty: true };
  return scanTree(store, walkInThread, { ...usual, ...options });
}

/** Microseconds of a column that shows a time. */
function micros(store: Store, column: string): string {
  return store.sql.dialect.name === "sqlite"
    ? column
    : `round(extract(epoch FROM ${column}) * 1000000)::bigint`;
}

/** The rows of `file_changes` that a scan made. */
async function changesOf(store: Store, scan: number): Promise<string[]> {
  const rows = await store.sql.query(
    `SELECT kind, path, old_path, old_size, new_size, ${micros(store, "old_mtime")} AS old_mtime,
       ${micros(store, "new_mtime")} AS new_mtime FROM file_changes WHERE scan_id = $1`,
    [scan],
  );
  return rows.map(({ kind, path, old_path, old_size, new_size, old_mtime, new_mtime }) =>
    [kind, path, old_path, old_size, new_size, old_mtime, new_mtime].map((value) => value ?? "-").join(" ")
  ).sort();
}

/** The paths in the catalog with what is known of each. */
export async function filesOf(store: Store): Promise<string[]> {
  const rows = await store.sql.query(
    `SELECT path, kind, size, ${micros(store, "mtime")} AS mtime FROM files`,
  );
  return rows.map(({ path, kind, size, mtime }) => `${path} ${kind} ${size} ${mtime}`).sort();
}

export function linesOf(looks: Looks): string[] {
  return [...looks].map(([path, { kind, size, mtime }]) => `${path} ${kind} ${size} ${mtime}`).sort();
}

/** One thing that happens to a tree. Paths are chosen by numbers among what stands there. */
type Mutation = {
  what: "write" | "remove" | "move" | "make" | "swap" | "link" | "touch";
  a: number;
  b: number;
};

const mutations = fc.array(
  fc.record({
    what: fc.constantFrom<Mutation["what"]>(
      "write",
      "write",
      "remove",
      "move",
      "make",
      "swap",
      "link",
      "touch",
    ),
    a: fc.nat(1000),
    b: fc.nat(1000),
  }),
  { minLength: 1, maxLength: 12 },
);

function mutate(root: string, { what, a, b }: Mutation): void {
  const all: string[] = [];
  const directories = [root];
  for (const directory of directories) {
    for (const { name, isDirectory } of Deno.readDirSync(directory)) {
      const path = join(directory, name);
      all.push(path);
      if (isDirectory) directories.push(path);
    }
  }
  all.sort();
  directories.sort();
  const some = all[a % Math.max(1, all.length)];
  const place = join(directories[b % directories.length], ["x", "y.txt", "ä z", "d%_'"][a % 4]);
  try {
    switch (what) {
      case "write":
        return Deno.writeTextFileSync(b % 2 === 0 ? some : place, "w".repeat(b % 5), { append: b % 3 === 0 });
      case "remove":
        return Deno.removeSync(some, { recursive: true });
      case "move":
        return Deno.renameSync(some, place);
      case "make":
        return Deno.mkdirSync(place);
      case "swap":
        Deno.removeSync(some, { recursive: true });
        return b % 2 === 0 ? Deno.mkdirSync(some) : Deno.writeTextFileSync(some, "swapped");
      case "link":
        return Deno.symlinkSync(some, place);
      case "touch":
        return lutimesSync(some, 1_000_000 + b, 1_000_000 + b + 0.123456);
    }
  } catch {
    // Nothing is there, or something is in the way: then nothing happens.
  }
}

/** Runs the suite against the stores that `open` makes, each empty. */
export function testCatalog(name: string, open: () => Promise<Store>): void {
  const test = (what: string, fn: (store: Store, root: string) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      using temp = new TempDirectory();
      await using store = await open();
      await fn(store, temp.directory("tree"));
    });

  test("scan() records every difference between two looks, and nothing else", async (store, root) => {
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(mutations, { minLength: 1, maxLength: 4 }), async (rounds) => {
        const tree = `${root}/${round++}`;
        makeTree(tree, { a: "1", d: { b: "22", "c.txt": "", e: { f: "333" } }, empty: {} });
        let before: Looks = new Map();
        for (const round of [[], ...rounds, []]) {
          for (const mutation of round) mutate(tree, mutation);
          const after = lookAt(tree);
          const expected = differences(before, after);
          const { scan: id, ...summary } = await scan(store, tree);
          assertEquals(await changesOf(store, id), expected);
          const of = (kind: string) => expected.filter((line) => line.startsWith(`${kind} `)).length;
          assertEquals(
            [summary.files, summary.added, summary.modified, summary.removed, summary.moved, summary.growth],
            [
              after.size,
              of("added"),
              of("modified"),
              of("removed"),
              of("moved"),
              sizeOf(after) - sizeOf(before),
            ],
          );
          before = after;
        }
        const all = (await filesOf(store)).filter((line) => line.startsWith(`${tree}/`));
        assertEquals(all, linesOf(before));
      }),
      { numRuns: 12 },
    );
  });

  test("file_changes keeps what was recorded when files change again and go", async (store, root) => {
    makeTree(root, { a: "1", d: { b: "22" } });
    const looks = [lookAt(root)];
    const scans = [await scan(store, root)];
    for (
      const change of [
        () => Deno.writeTextFileSync(`${root}/a`, "four"),
        () => Deno.renameSync(`${root}/d`, `${root}/e`),
        () => Deno.removeSync(`${root}/e`, { recursive: true }),
        () => Deno.removeSync(`${root}/a`),
      ]
    ) {
      change();
      looks.push(lookAt(root));
      scans.push(await scan(store, root));
    }
    for (const [i, { scan }] of scans.entries()) {
      assertEquals(
        await changesOf(store, scan),
        differences(looks[i - 1] ?? new Map(), looks[i]),
        `scan ${i}`,
      );
    }
  });

  test("scan() writes no row of what did not change", async (store, root) => {
    makeTree(root, { a: "1", d: { b: "22", c: "" } });
    const versions = async () =>
      store.sql.dialect.name === "sqlite"
        ? await store.sql.query("SELECT total_changes() AS n")
        : await store.sql.query("SELECT xmin::text AS x, name FROM entries ORDER BY name");
    await scan(store, root);
    const before = await versions();
    if (store.sql.dialect.name === "postgres") {
      Deno.writeTextFileSync(`${root}/d/c`, "new");
      await scan(store, root);
      const after = await versions();
      assertEquals(after.filter(({ name }) => name !== "c"), before.filter(({ name }) => name !== "c"));
      assert(JSON.stringify(after) !== JSON.stringify(before));
    } else {
      await scan(store, root);
      const [{ n }] = await versions();
      // The run and the root; nothing for files and directories.
      assert(n as number - (before[0].n as number) < 8, `${n} after ${before[0].n}`);
    }
  });

  test("scan() judges only what lies below its root", async (store, root) => {
    makeTree(root, { a: { x: "1" }, ab: { y: "2" }, z: "3" });
    await scan(store, root);
    makeTree(root, { a: { new: "4" } });
    Deno.removeSync(`${root}/ab`, { recursive: true });
    Deno.removeSync(`${root}/a/x`);
    const { added, removed } = await scan(store, `${root}/a`);
    assertEquals([added, removed], [1, 1]);
    const { added: more, removed: rest } = await scan(store, root);
    assertEquals([more, rest], [0, 1]);
    assertEquals(await filesOf(store), linesOf(lookAt(root)));
  });

  test("scan() of another host leaves the files of the first", async (store, root) => {
    makeTree(root, { a: "1" });
    await scan(store, root);
    Deno.removeSync(`${root}/a`);
    assertEquals((await scan(store, root, { host: "there" })).removed, 0);
    assertEquals((await filesOf(store)).length, 1);
  });

  test("scan() leaves what it cannot read as it was", async (store, root) => {
    makeTree(root, { a: "1", shut: { b: "22", deep: { c: "333" } } });
    const { scan: first } = await scan(store, root);
    const before = lookAt(root);
    Deno.writeTextFileSync(`${root}/a`, "changed");
    // As a directory that may not be read looks: the one above names it, and nothing is told of it.
    const blind: Crawler = {
      async *walk(options) {
        for await (const walked of walkInThread.walk(options, { shallow: true })) {
          yield {
            ...walked,
            unread: [`${root}/shut`],
            problems: [{
              code: "permission",
              path: `${root}/shut`,
              message: "Cannot read it: no",
              permanent: false,
            }],
          };
        }
      },
    };
    const summary = await scanTree(store, blind, { host: "here", root, clock: new FakeClock() });
    assertEquals([summary.modified, summary.removed, summary.problems], [1, 0, 1]);
    const seen = () =>
      store.sql.query("SELECT name, last_seen_scan FROM files ORDER BY name").then((rows) =>
        rows.map(({ name, last_seen_scan }) => `${name} ${last_seen_scan}`)
      );
    assertEquals(await seen(), [`a ${summary.scan}`, `b ${first}`, `c ${first}`]);
    const [problem] = await store.sql.query("SELECT path, code FROM scan_problems WHERE scan_id = $1", [
      summary.scan,
    ]);
    assertEquals({ ...problem }, { path: `${root}/shut`, code: "permission" });
    assertEquals((await filesOf(store)).length, before.size);
    const { scan: last, modified } = await scan(store, root);
    assertEquals(modified, 0);
    assertEquals(await seen(), [`a ${last}`, `b ${last}`, `c ${last}`]);
  });

  test("scan() of a root that is empty all at once does not take it for emptied", async (store, root) => {
    makeTree(root, { a: "1", d: { b: "22" } });
    await scan(store, root);
    const before = await filesOf(store);
    for (const name of ["a", "d"]) Deno.renameSync(`${root}/${name}`, `${root}-${name}`);
    const scanAll = async (count: number) => {
      for (let index = 1; index <= count; index++) {
        await scan(store, root, { shard: { index, count }, allowEmpty: false });
      }
    };
    for (const parts of [1, 2]) {
      const error = await assertRejects(() => scanAll(parts), FilesyncError);
      assertEquals(error.code, "brake");
      assertEquals(await filesOf(store), before);
    }
    assertEquals((await scan(store, root)).removed, 2);
    assertEquals((await scan(store, root, { allowEmpty: false })).removed, 0);
  });

  test("a scan that is broken off changes nothing, and the next one does it all", async (store, root) => {
    makeTree(root, { a: "1", d: { b: "22" } });
    await scan(store, root);
    const before = await filesOf(store);
    Deno.writeTextFileSync(`${root}/d/b`, "changed");
    Deno.removeSync(`${root}/a`);
    for (const signal of [AbortSignal.abort(), undefined]) {
      const crawler: Crawler = {
        async *walk(options, rest) {
          yield* walkInThread.walk(options, rest);
          if (signal === undefined) throw new Error("broken off");
        },
      };
      await assertRejects(() =>
        scanTree(store, crawler, { host: "here", root, clock: new FakeClock(), signal })
      );
      assertEquals(await filesOf(store), before);
    }
    const { modified, removed } = await scan(store, root);
    assertEquals([modified, removed], [1, 1]);
    const states = await store.sql.query("SELECT state FROM scan_runs ORDER BY id");
    assertEquals(states.map(({ state }) => state), ["done", "interrupted", "interrupted", "done"]);
  });

  test("parts of a tree make the whole, and each removes only its own", async (store, root) => {
    const tree = Object.fromEntries(
      Array.from({ length: 8 }, (_, i) => [`d${i}`, { a: "1", e: { b: "2", f: { c: "3" } } }]),
    );
    makeTree(root, tree);
    const parts = [1, 2, 3].map((index) => ({ index, count: 3 }));
    const sums = [];
    for (const shard of parts) sums.push(await scan(store, root, { shard }));
    assertEquals(sums.reduce((sum, { added }) => sum + added, 0), 24);
    assertEquals(await filesOf(store), linesOf(lookAt(root)));
    for (const i of [1, 4, 6]) Deno.removeSync(`${root}/d${i}/e`, { recursive: true });
    Deno.removeSync(`${root}/d0`, { recursive: true });
    makeTree(root, { new: { g: "4" } });
    for (const shard of parts) await scan(store, root, { shard });
    assertEquals(await filesOf(store), linesOf(lookAt(root)));
    assertEquals((await scan(store, root)).added, 0);
  });

  test("scan() finds gone what was only scanned by itself", async (store, root) => {
    makeTree(root, { d: { e: { a: "1" } } });
    await scan(store, `${root}/d/e`);
    Deno.renameSync(`${root}/d`, `${root}/../d`);
    assertEquals((await scan(store, root)).removed, 1);
    // It comes back while another scan has just seen that it is gone.
    Deno.renameSync(`${root}/../d`, `${root}/d`);
    await scan(store, `${root}/d/e`);
    Deno.removeSync(`${root}/d`, { recursive: true });
    assertEquals((await scan(store, root)).removed, 1);
    assertEquals(await filesOf(store), []);
  });

  test("scan() leaves alone what its rules leave out and another scan sees", async (store, root) => {
    makeTree(root, { a: "1", mnt: { x: "", disk: { b: "22", c: { d: "" } } }, temp: { e: "" } });
    await scan(store, `${root}/mnt/disk`);
    const options = { ignore: ["/mnt/", "temp/"] };
    for (const added of [1, 0]) {
      const { scan: _, ...summary } = await scan(store, root, options);
      assertEquals([summary.added, summary.removed], [added, 0]);
      const again = await scan(store, `${root}/mnt/disk`);
      assertEquals([again.added, again.removed], [0, 0]);
    }
    const { added, removed } = await recordChanges(
      store,
      [{ path: "a" as TreePath, deep: false }],
      { ...{ host: "here", root, clock: new FakeClock() }, ...options },
    );
    assertEquals([added, removed], [0, 0]);
    // What is not scanned for itself is not kept, and what is gone is gone.
    assertEquals((await scan(store, root)).added, 2);
    assertEquals((await scan(store, root, options)).removed, 1);
    Deno.removeSync(`${root}/mnt`, { recursive: true });
    assertEquals((await scan(store, root, options)).removed, 3);
    assertEquals(await filesOf(store), linesOf(lookAt(root)).filter((line) => !line.includes("/temp/")));
  });

  test("beginScan() lets one scan of a tree run at a time", async (store, root) => {
    const begin = (root: string) => beginScan(store, { host: "here", root, startedAt: 0 });
    await using _first = await begin(root);
    await using _other = await begin(`${root}/other`);
    if (store.sql.dialect.name === "sqlite") {
      const error = await assertRejects(() => begin(root), FilesyncError);
      assertEquals(error.code, "locked");
    }
  });

  test("beginScan() is not disturbed by a vacuum() that comes at the same time", async (store, root) => {
    makeTree(root, { a: "1" });
    const busy: Store = {
      name: store.name,
      sql: store.sql,
      openStaging: async (options) => {
        await store.vacuum();
        return await store.openStaging(options);
      },
      merging: (fn) => store.merging(fn),
      vacuum: () => store.vacuum(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    assertEquals((await scan(busy, root)).added, 1);
  });

  test("recordChanges() keeps the catalog current where something changed", async (store, root) => {
    makeTree(root, { a: "1", d: { b: "22", e: { c: "" } }, gone: { x: "" } });
    const options = { host: "here", root, clock: new FakeClock() };
    await scan(store, root);
    makeTree(root, { d: { b: "changed" }, new: { deep: { f: "4" } } });
    Deno.removeSync(`${root}/gone`, { recursive: true });
    const { added, modified, removed, scan: id } = await recordChanges(
      store,
      ["d/b", "new", "new/deep/f", "gone", "gone/x"].map((path) => ({ path: path as TreePath, deep: false })),
      options,
    );
    assertEquals([added, modified, removed], [1, 1, 1]);
    assertEquals(await filesOf(store), linesOf(lookAt(root)));
    assertEquals((await changesOf(store, id)).length, 3);
    const again = await scan(store, root);
    assertEquals([again.added, again.modified, again.removed], [0, 0, 0]);
  });

  test("recordChanges() looks at everything below what is noted as deep", async (store, root) => {
    makeTree(root, { a: "1", d: { b: "22", e: { c: "", f: { g: "" } } } });
    const options = { host: "here", root, clock: new FakeClock() };
    await scan(store, root);
    Deno.writeTextFileSync(`${root}/d/e/f/g`, "changed");
    Deno.writeTextFileSync(`${root}/d/e/new`, "");
    const record = (noted: Record<string, boolean>) =>
      recordChanges(
        store,
        Object.entries(noted).map(([path, deep]) => ({ path: path as TreePath, deep })),
        options,
      );
    const { added, modified } = await record({ "d": true, "d/e/new": false, "d/e": true, "gone": true });
    assertEquals([added, modified], [1, 1]);
    assertEquals(await filesOf(store), linesOf(lookAt(root)));
    makeTree(root, { a: "changed", d: { e: { f: { h: "" } } } });
    const all = await record({ "": true, "d": true, "a": false });
    assertEquals([all.added, all.modified], [1, 1]);
    assertEquals(await filesOf(store), linesOf(lookAt(root)));
    const runs = () => store.sql.query("SELECT count(*) AS n FROM scan_runs");
    const before = await runs();
    await record({ "": true });
    assertEquals(await runs(), before, "what found nothing leaves no record");
  });

  test("LiveFeed records nothing of a tree whose first scan was broken off", async (store, root) => {
    makeTree(root, { a: "1", d: { b: "22" } });
    const told: unknown[] = [];
    {
      await using feed = new LiveFeed(store, { host: "here", root, clock: new FakeClock() }, {
        ready: Promise.reject(new Error("broken off")),
        onError: (error) => void told.push(error),
      });
      feed.note("a" as TreePath);
    }
    assertEquals([told, await filesOf(store)], [[], []]);
  });

  test("no two scans have one number, also when one of them changed no file", async (store, root) => {
    makeTree(root, { a: "1" });
    await scan(store, root);
    makeTree(root, { new: {} });
    const options = { host: "here", root, clock: new FakeClock() };
    const { scan: live } = await recordChanges(store, [{ path: "new" as TreePath, deep: false }], options);
    assertEquals((await scan(store, root)).scan, live + 1);
  });

  test("of two scans that meet, the first to record a directory is believed", async (store, root) => {
    makeTree(root, { d: { same: "1", old: "1", gone: "" } });
    await scan(store, root);
    const options = { host: "here", root, startedAt: 0 };
    const walk = async (session: ScanSession) => {
      for await (
        const walked of walkInThread.walk({ root, ignore: [], oneFileSystem: false, shard: WHOLE })
      ) await session.add(walked);
    };
    Deno.writeTextFileSync(`${root}/d/old`, "changed");
    makeTree(root, { new: { x: "1", y: "", deep: { z: "" } } });
    {
      await using slow = await beginScan(store, options);
      await walk(slow);
      // What the other one sees later, in a directory that is known, and in one that both find new.
      Deno.writeTextFileSync(`${root}/d/old`, "changed again");
      Deno.removeSync(`${root}/d/gone`);
      Deno.writeTextFileSync(`${root}/new/x`, "changed");
      Deno.removeSync(`${root}/new/y`);
      makeTree(root, { new: { later: "" } });
      await scan(store, `${root}/d`);
      await scan(store, `${root}/new`);
      const { added, modified, removed } = await slow.finish(0);
      // In "new" it is the slow one that comes last, and takes back what it had loaded.
      assertEquals([added, modified, removed], [1, 1, 1]);
    }
    const entries = await store.sql.query(
      "SELECT count(*) AS n FROM entries WHERE directory_id NOT IN (SELECT id FROM directories)",
    );
    assertEquals(entries[0].n, 0);
    await scan(store, root);
    assertEquals(await filesOf(store), linesOf(lookAt(root)));
    assertEquals((await store.sql.query("SELECT count(*) AS n FROM reservations"))[0].n, 0);
  });

  test("changes() gives what a short scan found while a long one ran", async (store, root) => {
    makeTree(root, { d: { a: "1" } });
    await scan(store, root);
    {
      await using long = await beginScan(store, { host: "here", root, startedAt: 0 });
      makeTree(root, { d: { b: "22" } });
      const short = await scan(store, `${root}/d`);
      makeTree(root, { d: { c: "333" } });
      for await (
        const walked of walkInThread.walk({ root, ignore: [], oneFileSystem: false, shard: WHOLE })
      ) await long.add(walked);
      assertEquals((await long.finish(0)).added, 1);
      const paths = async (scan: number) =>
        (await Array.fromAsync(changes(store.sql, { scan }))).flat().map(({ path }) => path);
      assertEquals(await paths(long.scan), [`${root}/d/c`]);
      assertEquals(await paths(short.scan), [`${root}/d/b`]);
    }
  });

  test(
    "of two scans that meet, nothing stays of what only one saw",
    async (store, root) => {
      makeTree(root, { d: { a: "1" } });
      await scan(store, root);
      {
        await using slow = await beginScan(store, { host: "here", root, startedAt: 0 });
        makeTree(root, { d: { new: { deep: { x: "" } } } });
        for await (
          const walked of walkInThread.walk({ root, ignore: [], oneFileSystem: false, shard: WHOLE })
        ) await slow.add(walked);
        Deno.removeSync(`${root}/d/new`, { recursive: true });
        Deno.writeTextFileSync(`${root}/d/a`, "22");
        await scan(store, `${root}/d`);
        await slow.finish(0);
      }
      await scan(store, root);
      assertEquals(await filesOf(store), linesOf(lookAt(root)));
    },
  );

  test("a scan that another one took for dead merges nothing, and leaves nothing", async (store, root) => {
    makeTree(root, { d: { a: "1" } });
    {
      await using session = await beginScan(store, { host: "here", root, startedAt: 0 });
      for await (
        const walked of walkInThread.walk({ root, ignore: [], oneFileSystem: false, shard: WHOLE })
      ) await session.add(walked);
      await store.sql.query("UPDATE scan_runs SET state = 'interrupted'");
      await sweepInterrupted(store.sql);
      const error = await assertRejects(() => session.finish(0), FilesyncError);
      assertEquals(error.code, "locked");
    }
    assertEquals((await store.sql.query("SELECT count(*) AS n FROM entries"))[0].n, 0);
    assertEquals((await scan(store, root)).added, 1);
  });

  test("takeFingerprints() finds moves of a scan whose fingerprints were broken off", async (store, root) => {
    makeTree(root, { a: "content", b: "other" });
    const clock = new FakeClock();
    const broken = new AbortController();
    const take = async (signal?: AbortSignal) => {
      const { scan: id } = await scan(store, root);
      const reader = {
        size: 1,
        fingerprint: (paths: string[]) => {
          const found = paths.map(fingerprintFile);
          if (signal !== undefined) broken.abort();
          return Promise.resolve(found);
        },
      };
      const { moved } = await takeFingerprints(store, reader, {
        ...{ host: "here", root, scan: id, clock, signal },
      });
      return { id, moved };
    };
    await take();
    Deno.copyFileSync(`${root}/a`, `${root}/copy`);
    Deno.removeSync(`${root}/a`);
    const { id } = await take(broken.signal);
    Deno.writeTextFileSync(`${root}/b`, "changed");
    const { id: last, moved } = await take();
    assertEquals(moved, 0);
    const rows = await store.sql.query(
      "SELECT scan_id, kind, path, old_path FROM file_changes WHERE scan_id >= $1 ORDER BY scan_id",
      [id],
    );
    assertEquals(rows.map((row) => ({ ...row })), [
      { scan_id: id, kind: "moved", path: `${root}/copy`, old_path: `${root}/a` },
      { scan_id: last, kind: "modified", path: `${root}/b`, old_path: null },
    ]);
    const [run] = await store.sql.query("SELECT added, removed, moved FROM scan_runs WHERE id = $1", [id]);
    assertEquals({ ...run }, { added: 0, removed: 0, moved: 1 });
  });

  test("takeFingerprints() tells moved copies, and content that changed unseen", async (store, root) => {
    makeTree(root, { a: "content", b: "other", empty: "" });
    const clock = new FakeClock();
    const reader = {
      size: 2,
      fingerprint: (paths: string[]) => Promise.resolve(paths.map(fingerprintFile)),
    };
    const scanAndTake = async (paranoid = false) => {
      const { scan: id } = await scan(store, root);
      const totals = await takeFingerprints(store, reader, { host: "here", root, scan: id, paranoid, clock });
      const lines: string[] = [];
      for await (const records of changes(store.sql, { scan: id })) {
        lines.push(
          ...records.map(({ kind, path, from = "", newFingerprint = "" }) =>
            `${kind} ${path.slice(root.length)} ${from.slice(root.length)} ${newFingerprint.slice(0, 8)}`
          ),
        );
      }
      return { ...totals, lines };
    };
    const of = (text: string) => blake3(new TextEncoder().encode(text)).slice(0, 8);
    assertEquals(await scanAndTake(), {
      ...{ files: 3, bytes: 12, modified: 0, moved: 0 },
      lines: [`added /a  ${of("content")}`, `added /b  ${of("other")}`, `added /empty  ${of("")}`],
    });
    // A copy, and the original removed: another inode.
    Deno.copyFileSync(`${root}/a`, `${root}/copy`);
    Deno.removeSync(`${root}/a`);
    assertEquals(await scanAndTake(), {
      ...{ files: 1, bytes: 7, modified: 0, moved: 1 },
      lines: [`moved /copy /a ${of("content")}`],
    });
    const { atime, mtime } = Deno.lstatSync(`${root}/b`);
    const [{ mtime: before }] = await store.sql.query("SELECT mtime FROM entries WHERE name = 'b'");
    Deno.writeTextFileSync(`${root}/b`, "OTHER");
    Deno.utimeSync(`${root}/b`, atime!, mtime!);
    // The system call sets milliseconds only; the catalog had all of it.
    await store.sql.query("UPDATE entries SET mtime = $1 WHERE name = 'b'", [
      Math.floor((before as number) / 1000) * 1000,
    ]);
    const paranoid = await scanAndTake(true);
    assertEquals([paranoid.files, paranoid.modified, paranoid.lines], [3, 1, [
      `modified /b  ${of("OTHER")}`,
    ]]);
    const kinds: string[] = [];
    for await (const records of changes(store.sql, { under: `${root}/b` })) {
      kinds.push(...records.map(({ kind, newFingerprint }) => `${kind} ${newFingerprint?.slice(0, 8)}`));
    }
    assertEquals(kinds, [`added ${of("other")}`, `modified ${of("OTHER")}`]);
  });

  test(
    "takeFingerprints() records nothing of a file that was recorded anew meanwhile",
    async (store, root) => {
      makeTree(root, { a: "one" });
      const file = `${root}/a`;
      const { scan: id } = await scan(store, root);
      const take = (meanwhile: () => Promise<unknown>) => {
        const reader = {
          size: 1,
          fingerprint: async (paths: string[]) => {
            const found = paths.map(fingerprintFile);
            await meanwhile();
            return found;
          },
        };
        const options = { host: "here", root, scan: id, clock: new FakeClock(), paranoid: true };
        return takeFingerprints(store, reader, options);
      };
      await take(() => Promise.resolve());
      // Its content changed unseen, and then seen while that was found out.
      const { atime, mtime } = Deno.statSync(file);
      Deno.writeTextFileSync(file, "two");
      Deno.utimeSync(file, atime!, mtime!);
      const { modified } = await take(() => {
        Deno.writeTextFileSync(file, "three");
        return scan(store, root);
      });
      assertEquals(modified, 0);
      const kinds = (await Array.fromAsync(changes(store.sql, {}))).flat().map((
        { kind, newSize },
      ) => [kind, newSize]);
      assertEquals(kinds, [["added", 3], ["modified", 5]]);
    },
  );

  test("changes() gives what is asked for", async (store, root) => {
    makeTree(root, { a: "1", ab: { x: "1" }, d: { b: "22" } });
    const clock = new FakeClock();
    await scan(store, root, { clock });
    await clock.advance(86_400_000);
    const second = clock.now();
    Deno.writeTextFileSync(`${root}/d/b`, "changed");
    Deno.removeSync(`${root}/a`);
    const { scan: id } = await scan(store, root, { clock });
    const ask = async (query: ChangeQuery) => {
      const lines: string[] = [];
      for await (const records of changes(store.sql, query)) {
        lines.push(
          ...records.map(({ kind, path, time }) => `${kind} ${path.slice(root.length)} ${time === second}`),
        );
      }
      return lines;
    };
    const removed = ["modified /d/b true", "removed /a true"].sort();
    const added = ["added /a false", "added /ab/x false", "added /d/b false"];
    assertEquals((await ask({})).sort(), [...added, ...removed].sort());
    assertEquals((await ask({ since: second })).sort(), removed);
    assertEquals((await ask({ scan: id })).sort(), removed);
    assertEquals(await ask({ until: second }), added);
    assertEquals(await ask({ kinds: ["removed"] }), ["removed /a true"]);
    assertEquals(await ask({ under: `${root}/a` }), ["added /a false", "removed /a true"]);
    assertEquals(await ask({ under: `${root}/a`, kinds: ["removed"] }), ["removed /a true"]);
    assertEquals(await ask({ under: `${root}/ab` }), ["added /ab/x false"]);
    assertEquals(await ask({ under: `${root}/ab/x` }), ["added /ab/x false"]);
    assertEquals(await ask({ host: "there" }), []);
  });

  test("spaceIn() and its kin tell what takes the space, down to the last directory", async (store, root) => {
    makeTree(root, {
      "a.txt": "1",
      d: { "b.txt": "22", e: { "c.md": "333" } },
      "d-e": { f: "4444" },
      empty: {},
    });
    const clock = new FakeClock();
    const { scan: id } = await scan(store, root, { clock });
    await scan(store, root, { clock, host: "there" });
    const { sql } = store;
    const roots = await scannedRoots(sql);
    assertEquals(roots.map(({ host, path }) => [host, path]), [["here", root], ["there", root]]);
    assertEquals([roots[0].scan, roots[0].time, await lastScan(sql)], [id, clock.now(), id + 1]);
    const place = { host: "here", under: root };
    const { own, children, more, total } = await spaceIn(sql, place, 2);
    assertEquals(total, { files: 4, bytes: 10, directories: 5 });
    assertEquals(await spaceIn(sql, { ...place, isMost: true }, 2), { own, children, more, total });
    assertEquals([own, more], [{ files: 1, bytes: 1 }, 1]);
    assertEquals(children.map(({ path, files, bytes, directories }) => [path, files, bytes, directories]), [
      [`${root}/d`, 2, 5, 2],
      [`${root}/d-e`, 1, 4, 1],
    ]);
    assertEquals((await spaceIn(sql, { host: "here", under: "" }, 5)).children[0].bytes, 10);
    assertEquals((await spaceIn(sql, { under: root }, 5)).own.bytes, 2);
    const fullest = await fullestBelow(sql, place, 2);
    assertEquals(fullest.map(({ path, bytes }) => [path, bytes]), [[`${root}/d-e`, 4], [`${root}/d/e`, 3]]);
    const [biggest, ...others] = await biggestIn(sql, { host: "here", under: `${root}/d` }, 5);
    assertEquals([biggest.path, biggest.size, others], [`${root}/d/b.txt`, 2, []]);
    const some = await someChanges(sql, { host: "here", kinds: ["added"] }, 3);
    assertEquals([some.length, some[0].kind, some[0].time], [3, "added", clock.now()]);
    const asked = { since: 0, until: clock.now() + 1, host: "here", under: root };
    const periods = await periodsOf(sql, { period: "day", under: root }, asked);
    assertEquals(periods, await periodsOf(sql, { period: "day", under: root }, asked, root));
    assertEquals(periods[0].growth, 10);
  });

  test("makeReport() counts by period, directory and extension", async (store, root) => {
    makeTree(root, { "a.txt": "1", d: { "b.TXT": "22", e: { "c.md": "333" } } });
    const clock = new FakeClock();
    const since = clock.now();
    await scan(store, root, { clock });
    await clock.advance(7 * 86_400_000);
    Deno.removeSync(`${root}/d/b.TXT`);
    makeTree(root, { d: { "b.md": "4444", e: { "c.md": "55555" } } });
    await scan(store, root, { clock });
    const query = { period: "week" as const, since, until: clock.now() + 1, top: 5 };
    const report = await makeReport(store.sql, query);
    assertEquals(report.total, { files: 3, directories: 3, bytes: 10 });
    const none = {
      added: 0,
      modified: 0,
      removed: 0,
      moved: 0,
      bytesAdded: 0,
      bytesModified: 0,
      bytesRemoved: 0,
    };
    assertEquals(report.periods, [
      { start: "2025-12-29", scans: 1, ...none, added: 3, bytesAdded: 6, growth: 6 },
      {
        start: "2026-01-05",
        scans: 1,
        ...{ added: 1, modified: 1, removed: 1, moved: 0, bytesAdded: 4, bytesModified: 5, bytesRemoved: 2 },
        growth: 4,
      },
    ]);
    assertEquals(report.directories.map(({ name, growth }) => [name.slice(root.length), growth]), [
      ["/d", 9],
      ["", 1],
    ]);
    assertEquals(report.extensions.map(({ name, growth, added }) => [name, growth, added]), [["md", 9, 2], [
      "txt",
      1,
      2,
    ]]);
    assertEquals(report.largest.map(({ size }) => size), [5, 4, 1]);
    assertEquals(report.oldest.length, 3);
    assertEquals(report.duplicates, { groups: 0, wasted: 0, biggest: [] });
    const below = await makeReport(store.sql, { ...query, under: `${root}/d` });
    assertEquals(below.total, { files: 2, directories: 2, bytes: 9 });
    assertEquals(below.periods.map(({ growth }) => growth), [5, 4]);
    assertEquals(below.directories.map(({ name }) => name.slice(root.length)), ["/d/e", "/d"]);
  });

  test("makeReport() and changes() see a move from where it went, too", async (store, root) => {
    makeTree(root, { a: { "x.txt": "1234", stays: "" }, b: { y: "22" } });
    const { scan: first } = await scan(store, root);
    Deno.renameSync(`${root}/a/x.txt`, `${root}/b/x.md`);
    Deno.renameSync(`${root}/a/stays`, `${root}/a/stayed`);
    const { scan: id } = await scan(store, root);
    assertEquals(id, first + 1);
    const ask = async (query: ChangeQuery) =>
      (await Array.fromAsync(changes(store.sql, { ...query, scan: id }))).flat()
        .map(({ kind, path, from }) => `${kind} ${from!.slice(root.length)} ${path.slice(root.length)}`);
    const [inside, across] = ["moved /a/stays /a/stayed", "moved /a/x.txt /b/x.md"];
    assertEquals(await ask({}), [inside, across]);
    assertEquals(await ask({ under: `${root}/a` }), [inside, across]);
    assertEquals(await ask({ under: `${root}/b` }), [across]);
    assertEquals(await ask({ under: `${root}/a/x.txt` }), [across]);
    assertEquals(await ask({ under: `${root}/a`, kinds: ["removed"] }), []);
    const query = { period: "day" as const, since: 0, until: 2 ** 42, top: 5 };
    const growth = (shares: { name: string; growth: number; moved: number }[]) =>
      shares.map(({ name, growth, moved }) => [name.replace(root, ""), growth, moved]);
    const report = await makeReport(store.sql, query);
    assertEquals([report.periods[0].growth, growth(report.directories)], [6, [["/b", 6, 1], ["/a", 0, 1]]]);
    assertEquals(growth(report.extensions), [["md", 4, 1], ["", 2, 1], ["txt", 0, 0]]);
    for (const [name, bytes] of [["a", 0], ["b", 6]]) {
      const { periods, total } = await makeReport(store.sql, { ...query, under: `${root}/${name}` });
      assertEquals([total.bytes, periods[0].growth], [bytes, bytes]);
    }
  });

  test("makeReport() and changes() bear sizes that somebody made up", async (store, root) => {
    makeTree(root, {});
    const writer = new ListingWriter();
    writer.begin(root);
    const name = new Uint8Array([120]);
    // Sparse files of 6 EiB.
    for (name[0] of [97, 98, 99]) writer.add(name, 1, KIND.file, 0x60000000, 0, 0, 0, name[0]);
    writer.end(blake3);
    const packed = writer.take();
    const crawler: Crawler = {
      async *walk() {
        yield await Promise.resolve({ packed, left: [], unread: [], problems: [] });
      },
    };
    for (const added of [3, 0]) {
      assertEquals(
        (await scanTree(store, crawler, { host: "here", root, clock: new FakeClock() })).added,
        added,
      );
    }
    const report = await makeReport(store.sql, { period: "day", since: 0, until: 2 ** 42, top: 5 });
    assertEquals(report.largest[0].size, Number.MAX_SAFE_INTEGER);
    assert(Math.abs(report.total.bytes / Number.MAX_SAFE_INTEGER - 3) < 1e-9);
    assertEquals((await Array.fromAsync(changes(store.sql, {}))).flat().length, 3);
    const { total } = await spaceIn(store.sql, { under: root }, 5);
    assertEquals(total.bytes, report.total.bytes);
  });

  test("vacuum() leaves the catalog as it is", async (store, root) => {
    makeTree(root, { a: "1" });
    await scan(store, root);
    await store.vacuum();
    assertEquals(await filesOf(store), linesOf(lookAt(root)));
  });

  test("files has the columns that reports need", async (store, root) => {
    makeTree(root, { "a.tar.GZ": "1", ".hidden": "", "none": "", "dot.": "", "x'y.Txt": "" });
    const { scan: id } = await scan(store, root, {
      metadata: { reason: "test" },
      settings: { ignore: ["x"] },
    });
    const rows = await store.sql.query(
      "SELECT name, extension, first_seen_scan, last_seen_scan FROM files ORDER BY name",
    );
    assertEquals(rows.map((row) => [row.name, row.extension, row.first_seen_scan, row.last_seen_scan]), [
      [".hidden", null, id, id],
      ["a.tar.GZ", "gz", id, id],
      ["dot.", null, id, id],
      ["none", null, id, id],
      ["x'y.Txt", "txt", id, id],
    ]);
    const [run] = await store.sql.query("SELECT metadata, settings FROM scan_runs");
    const parsed = (value: unknown) => typeof value === "string" ? JSON.parse(value) : value;
    assertEquals([parsed(run.metadata), parsed(run.settings)], [{ reason: "test" }, { ignore: ["x"] }]);
  });
}

function sizeOf(looks: Looks): number {
  return [...looks.values()].reduce((sum, { size }) => sum + size, 0);
}
