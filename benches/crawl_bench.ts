/**
 * Scans, over a tree of `FILESYNC_BENCH_TREE`, or one of 100,000 empty files in 5,000 directories.
 *
 * @module
 */
import { CrawlPool } from "../src/crawler/crawl_pool.ts";
import { type Crawler, walkInThread } from "../src/crawler/crawler.ts";
import { scanTree } from "../src/crawler/scan.ts";
import { WHOLE } from "../src/crawler/shard.ts";
import { openSqliteStore } from "../src/crawler/sqlite_store.ts";
import { systemClock } from "../src/core/clock.ts";

const temp = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(temp, { recursive: true }));
const root = Deno.env.get("FILESYNC_BENCH_TREE") ?? makeTree(`${temp}/tree`);

const pool = new CrawlPool();
addEventListener("unload", () => pool[Symbol.dispose]());

function makeTree(path: string): string {
  for (let d = 0; d < 5_000; d++) {
    const directory = `${path}/${d % 50}/package-${d}`;
    Deno.mkdirSync(directory, { recursive: true });
    for (let f = 0; f < 20; f++) Deno.writeFileSync(`${directory}/file-${f}.js`, new Uint8Array());
  }
  return path;
}

async function walk(crawler: Crawler): Promise<void> {
  const options = { root, ignore: [], oneFileSystem: false, shard: WHOLE };
  for await (const { problems } of crawler.walk(options)) {
    if (problems.length > 0) throw new Error(problems[0].message);
  }
}

Deno.bench("find -printf", { group: "walk", baseline: true }, async () => {
  const args = [root, "-type", "f", "-printf", "%p\t%s\t%T@\n"];
  await new Deno.Command("find", { args, stdout: "piped" }).output();
});
Deno.bench("walk in one thread", { group: "walk" }, async () => await walk(walkInThread));
Deno.bench("walk with a worker for each core", { group: "walk" }, async () => await walk(pool));

async function scan(catalog: string): Promise<void> {
  await using store = openSqliteStore(catalog);
  await scanTree(store, pool, { host: "bench", root, clock: systemClock });
}

let catalogs = 0;
Deno.bench("first scan into SQLite", { group: "scan" }, async () => await scan(`${temp}/${++catalogs}.db`));
Deno.bench("scan where nothing changed", { group: "scan" }, async () => await scan(`${temp}/1.db`));
