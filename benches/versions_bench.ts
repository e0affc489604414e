/** Keeping contents, getting them back, and snapshots of big trees. */
import { DEFAULT_CHUNKING } from "../src/chunking/chunker.ts";
import { describeFile } from "../src/chunking/describe.ts";
import { unpackManifest } from "../src/core/chunk.ts";
import type { Digest } from "../src/core/digest.ts";
import type { Entry } from "../src/core/entry.ts";
import { parsePath } from "../src/core/path.ts";
import { sha256 } from "../src/hashing/sha256.ts";
import { VersionStore } from "../src/versions/version_store.ts";
import { randomBytes, writeBigFile } from "../tests/support/bytes.ts";

const BIG = 256 << 20;
const SMALL_FILES = 20_000;
const ENTRIES = 200_000;

const directory = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));
let stores = 0;

const newStore = () => new VersionStore(`${directory}/store-${stores++}`);

/** A file that does not compress, and one that does: a program, again and again with a mark. */
function bigFile(kind: "random" | "program"): string {
  const path = `${directory}/${kind}`;
  if (kind === "random") {
    writeBigFile(path, BIG, 1);
    return path;
  }
  const program = Deno.readFileSync(Deno.execPath());
  using file = Deno.openSync(path, { write: true, create: true });
  for (let left = BIG, i = 0; left > 0; i++) {
    const part = program.subarray(0, Math.min(left, program.length));
    // Without a mark in each chunk it would be kept once.
    for (let at = 0; at < part.length; at += 4096) part[at] = i;
    for (let at = 0; at < part.length;) at += file.writeSync(part.subarray(at));
    left -= part.length;
  }
  return path;
}

/** What `OpenFile` does, without a tree. */
function open(path: string) {
  const file = Deno.openSync(path);
  return {
    read(into: Uint8Array, position: number) {
      file.seekSync(position, Deno.SeekMode.Start);
      return file.readSync(into) ?? 0;
    },
    [Symbol.dispose]: () => file.close(),
  };
}

for (const kind of ["random", "program"] as const) {
  const path = bigFile(kind);
  const { digest, size, packedManifest } = describeFile(path, DEFAULT_CHUNKING);
  const manifest = unpackManifest(packedManifest);
  for (const how of ["cutting it", "told its chunks"]) {
    Deno.bench(`add() 256 MiB, ${kind}, ${how}`, { group: `big ${kind}`, n: 2, warmup: 0 }, async (bench) => {
      using store = newStore();
      using file = open(path);
      using writer = store.writer();
      bench.start();
      await writer.add({ digest, size, manifest: how === "cutting it" ? undefined : manifest }, file);
      await writer.commit();
      bench.end();
    });
  }
  const store = newStore();
  const filled = (async () => {
    using file = open(path);
    using writer = store.writer();
    await writer.add({ digest, size, manifest }, file);
    await writer.commit();
  })();
  Deno.bench(`writeTo() 256 MiB, ${kind}`, { group: `big ${kind}`, n: 2, warmup: 0 }, async (bench) => {
    await filled;
    using out = Deno.openSync(`${directory}/out`, { write: true, create: true, truncate: true });
    bench.start();
    await store.contents.writeTo({ write: (data) => void out.writeSync(data) }, digest);
    bench.end();
  });
  Deno.bench(`read() 256 MiB, ${kind}`, { group: `big ${kind}`, n: 2, warmup: 0 }, async (bench) => {
    await filled;
    bench.start();
    for await (const _ of store.contents.read(digest));
    bench.end();
  });
  Deno.bench(`scrub() 256 MiB, ${kind}`, { group: `big ${kind}`, n: 2, warmup: 0 }, async (bench) => {
    await filled;
    bench.start();
    for await (const _ of store.scrub());
    bench.end();
  });
}

const small = Array.from({ length: SMALL_FILES }, (_, i) => {
  const data = randomBytes(i, 2_000);
  return { data, content: { digest: sha256(data), size: data.length } };
});

Deno.bench(`add() ${SMALL_FILES} files of 2 kB`, { group: "small", n: 2, warmup: 0 }, async (bench) => {
  using store = newStore();
  using writer = store.writer();
  bench.start();
  for (const { data, content } of small) await writer.add(content, data);
  await writer.commit();
  bench.end();
});

const again = newStore();
Deno.bench(
  `add() ${SMALL_FILES} files that are there`,
  { group: "small", n: 3, warmup: 1 },
  async (bench) => {
    using writer = again.writer();
    bench.start();
    for (const { data, content } of small) await writer.add(content, data);
    await writer.commit();
    bench.end();
  },
);

const entries = Array.from({ length: ENTRIES }, (_, i): Entry => ({
  kind: "file",
  path: parsePath(
    `packages/${String(i % 1000).padStart(4, "0")}/src/module_${String(i).padStart(7, "0")}.ts`,
  ),
  size: 1,
  mtime: i,
  mode: 0o644,
  digest: i.toString(16).padStart(64, "0") as Digest,
})).sort((a, b) => a.path < b.path ? -1 : 1);
const details = { time: 0, digest: "0".repeat(64) as Digest, reason: "bench" };
const options = { contentsElsewhere: true };

Deno.bench(
  `recordTree() of ${ENTRIES} entries, first`,
  { group: "snapshots", n: 1, warmup: 0 },
  async (bench) => {
    using store = newStore();
    const tree = store.tree({ role: "source", location: "/", host: "h" });
    bench.start();
    await store.recordTree(tree, entries, details, options);
    bench.end();
  },
);

const store = newStore();
const tree = store.tree({ role: "source", location: "/", host: "h" });
const recorded = store.recordTree(tree, entries, details, options);
Deno.bench(
  `recordTree() of ${ENTRIES} entries, the same`,
  { group: "snapshots", n: 2, warmup: 0 },
  async () => {
    await recorded;
    await store.recordTree(tree, entries, details, options);
  },
);
Deno.bench(`recordSnapshot() of 10 changes`, { group: "snapshots", n: 10, warmup: 0 }, async (bench) => {
  await recorded;
  const changes = entries.filter((_, i) => i % (ENTRIES / 10) === 0)
    .map((entry) => ({ entry: { ...entry, mtime: bench.name.length + Math.random() * 1e9 | 0 } as Entry }));
  bench.start();
  await store.recordSnapshot(tree, changes, details, options);
  bench.end();
});
Deno.bench(`entries() of ${ENTRIES}`, { group: "snapshots", n: 2, warmup: 0 }, async () => {
  await recorded;
  for (const _ of store.snapshots.entries(1));
});
