/** How long pages take over a long history and a big tree. @module */
import { TempDirectory } from "../tests/support/temp.ts";
import { parsePath } from "../src/core/path.ts";
import { systemClock } from "../src/core/clock.ts";
import { sha256 } from "../src/hashing/sha256.ts";
import { createApp } from "../src/server/app.ts";
import { LocalReceiver } from "../src/transport/local_receiver.ts";

const RECORDS = 1_000_000;
const ENTRIES = 200_000;

const temp = new TempDirectory();
const receiver = new LocalReceiver(temp.path, { clock: systemClock, keep: {} });
await receiver.ready;
fill(receiver);
const app = createApp(receiver, {
  clock: systemClock,
  version: "0.0.0",
  guard: { token: "", open: true },
  dashboard: { name: "bench", tree: receiver },
});
globalThis.addEventListener("unload", () => temp[Symbol.dispose]());

/** Writes a history and entries that nobody made. */
function fill({ index }: LocalReceiver): void {
  const digest = sha256(new Uint8Array());
  index.db.exec(`
    PRAGMA synchronous = OFF;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${RECORDS})
    INSERT INTO history (sequence, time, what, path, size)
    SELECT i, 1.79e12 + i * 1000, CASE i % 4 WHEN 0 THEN 'remove' ELSE 'put' END,
      'projects/p' || (i % 97) || '/module-' || (i % 1013) || '/file-' || (i % 100003) || '.ts', i FROM n;
  `);
  index.transaction(() => {
    const look = { ctime: 1, dev: 1, ino: 1, lookedAt: 1 };
    for (let i = 0; i < 1_000; i++) {
      index.put({ kind: "directory", path: parsePath(`d${i}`), mtime: 0, mode: 0o755 }, look);
    }
    for (let i = 0; i < ENTRIES; i++) {
      const path = parsePath(`d${i % 1_000}/f${i}`);
      index.put({ kind: "file", path, size: i, mtime: i, mode: 0o644, digest }, look);
    }
  });
}

const PAGES: Record<string, string> = {
  "the overview": "/",
  "the newest of a million records": "/history",
  "those below a directory": "/history?under=projects/p5",
  "a search that finds nothing": "/history?text=nothing-of-it",
  "a directory of 200 files": "/tree?path=d5",
  "as it was an hour ago": "/tree?path=d5&at=1h",
  "a thousand directories, the first 200": "/tree",
  "a file": "/file?path=d5/f5",
};

for (const [name, path] of Object.entries(PAGES)) {
  Deno.bench(name, { group: "pages" }, async () => {
    const response = await app.request(`http://127.0.0.1:7433${path}`, {
      headers: { host: "127.0.0.1:7433" },
    });
    if (response.status !== 200) throw new Error(`${path}: ${response.status}`);
    await response.text();
  });
}
