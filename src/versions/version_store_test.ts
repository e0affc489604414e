import { assert, assertEquals, assertGreater, assertLess, assertRejects, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { stub } from "@std/testing/mock";
import { insertAt, randomBytes, smallInserts } from "../../tests/support/bytes.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { describeBytes } from "../chunking/describe.ts";
import { DEFAULT_CHUNKING } from "../chunking/chunker.ts";
import { unpackManifest } from "../core/chunk.ts";
import { type Digest, digestToBytes } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { parsePath } from "../core/path.ts";
import { directoryDigest } from "../hashing/directory_digest.ts";
import { sha256 } from "../hashing/sha256.ts";
import { packRuns } from "./runs.ts";
import type { ScrubEvent } from "./scrub.ts";
import type { Snapshot, TreeIdentity } from "./snapshots.ts";
import { VersionStore, type VersionStoreOptions } from "./version_store.ts";

const NOW = Date.UTC(2026, 0, 1);
const SOURCE: TreeIdentity = { role: "source", location: "/home/a", host: "here" };
const encoder = new TextEncoder();

/** A store in a directory of its own. */
class Bench implements Disposable {
  readonly temp = new TempDirectory();
  readonly directory = `${this.temp.path}/store`;
  store: VersionStore;

  constructor(options?: VersionStoreOptions) {
    this.store = new VersionStore(this.directory, options);
  }

  reopen(options?: VersionStoreOptions): void {
    this.store[Symbol.dispose]();
    this.store = new VersionStore(this.directory, options);
  }

  get packs(): { name: string; size: number }[] {
    return Array.from(Deno.readDirSync(`${this.directory}/packs`), ({ name }) => {
      return { name, size: Deno.statSync(`${this.directory}/packs/${name}`).size };
    }).sort((a, b) => a.name < b.name ? -1 : 1);
  }

  get packBytes(): number {
    return this.packs.reduce((sum, { size }) => sum + size, 0);
  }

  async keep(...contents: Uint8Array[]): Promise<Digest[]> {
    using writer = this.store.writer();
    for (const data of contents) await writer.add({ digest: sha256(data), size: data.length }, data);
    await writer.commit();
    return contents.map(sha256);
  }

  /** Makes a snapshot of a tree of files, whose contents are kept. */
  async snapshot(files: Record<string, Uint8Array>, time = NOW): Promise<Snapshot> {
    using writer = this.store.writer();
    for (const data of Object.values(files)) {
      await writer.add({ digest: sha256(data), size: data.length }, data);
    }
    await writer.commit();
    const entries = entriesOf(files);
    const digest = await directoryDigest(entries);
    return await this.store.recordTree(this.store.tree(SOURCE), entries, { time, digest, reason: "test" });
  }

  async read(digest: Digest): Promise<Uint8Array> {
    return await collect(this.store.contents.read(digest));
  }

  async damages() {
    const events: ScrubEvent[] = await Array.fromAsync(this.store.scrub());
    return events.filter((event) => event.type === "damage").map(({ damage }) => damage);
  }

  /** Changes the bytes of a pack on disk. */
  damage(pack: number, change: (bytes: Uint8Array) => Uint8Array): void {
    const path = `${this.directory}/packs/${this.packs[pack].name}`;
    Deno.writeFileSync(path, change(Deno.readFileSync(path)));
    this.reopen();
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]();
    this.temp[Symbol.dispose]();
  }
}

function entriesOf(files: Record<string, Uint8Array>): Entry[] {
  return Object.keys(files).sort().map((path) => ({
    kind: "file",
    path: parsePath(path),
    size: files[path].length,
    mtime: 1,
    mode: 0o644,
    digest: sha256(files[path]),
  }));
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece.slice());
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

function text(content: string): Uint8Array {
  return encoder.encode(content);
}

Deno.test("add() keeps contents of every size, which read() and writeTo() give back, after a restart too", async () => {
  using bench = new Bench({ packBytes: 3 << 20 });
  const sizes = [0, 1, 4096, 4097, 100_000, 1 << 20, (1 << 20) + 1, 5_000_000];
  const contents = sizes.flatMap((size) => [randomBytes(size, size), new Uint8Array(size).fill(7)]);
  const digests = await bench.keep(...contents);
  for (let i = 0; i < 2; i++) {
    for (const [i, digest] of digests.entries()) {
      assert(bench.store.contents.has(digest));
      assertEquals(await bench.read(digest), contents[i]);
      const parts: Uint8Array[] = [];
      await bench.store.contents.writeTo({ write: (data) => void parts.push(data.slice()) }, digest);
      assertEquals(new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()), contents[i]);
    }
    bench.reopen();
  }
  assertGreater(bench.packs.length, 1);
});

Deno.test("read() gives any range", async () => {
  using bench = new Bench();
  const data = randomBytes(1, 3_000_000);
  const [digest] = await bench.keep(data);
  for (
    const [start, end] of [[0, 1], [0, 0], [16_000, 900_000], [2_999_999, 3_000_000], [5, 9e9], [4e6, 5e6]]
  ) {
    assertEquals(await collect(bench.store.contents.read(digest, { start, end })), data.subarray(start, end));
  }
});

Deno.test("add() of versions with small edits costs the edits", async () => {
  using bench = new Bench();
  const first = randomBytes(1, 8 << 20);
  await bench.keep(first);
  const before = bench.packBytes;
  for (let i = 1; i <= 10; i++) {
    const version = insertAt(first, smallInserts(i, first.length, 3));
    const { packedManifest, digest, size } = describeBytes(version, DEFAULT_CHUNKING);
    using writer = bench.store.writer();
    // Half of them told with their chunks, as an index knows them.
    const manifest = i % 2 === 0 ? unpackManifest(packedManifest) : undefined;
    assert(await writer.add({ digest, size, manifest }, version));
    assertEquals(
      await writer.add({ digest, size }, { read: () => assert(false, "it is here") as never }),
      false,
    );
    await writer.commit();
    assertEquals(sha256(await bench.read(digest)), digest);
  }
  assertLess(bench.packBytes - before, 10 * 4 * (64 << 10));
});

Deno.test("add() refuses what is not what was promised, and keeps the rest", async () => {
  using bench = new Bench();
  for (const size of [10, 3 << 20]) {
    const data = randomBytes(1, size);
    const { packedManifest, digest } = describeBytes(data, DEFAULT_CHUNKING);
    const changed = data.with(size - 1, data[size - 1] ^ 1);
    using writer = bench.store.writer();
    const manifest = unpackManifest(packedManifest);
    for (const [source, known] of [[changed, manifest], [changed], [data.subarray(1)]] as const) {
      const added = writer.add({ digest, size, manifest: known?.slice() }, source);
      assertEquals(
        (await assertRejects(() => added, FilesyncError) as FilesyncError).code,
        "digest-mismatch",
      );
    }
    await writer.commit();
    assertEquals(bench.store.contents.has(digest), false);
  }
  const error = await assertRejects(() => bench.read(sha256(text("never seen"))), FilesyncError);
  assertEquals((error as FilesyncError).code, "content-missing");
});

Deno.test("VersionStore cuts off what was not committed", async () => {
  using bench = new Bench();
  const [digest] = await bench.keep(text("one"));
  const size = bench.packBytes;
  Deno.writeFileSync(`${bench.directory}/packs/000001.pack`, randomBytes(1, 999), { append: true });
  Deno.writeFileSync(`${bench.directory}/packs/000009.pack`, randomBytes(1, 999));
  bench.reopen();
  assertEquals(bench.packs, [{ name: "000001.pack", size }]);
  await bench.keep(text("two"));
  assertEquals(bench.packs.length, 1);
  assertEquals(await bench.read(digest), text("one"));
});

Deno.test("VersionStore has one writer, and readers beside it", async () => {
  using bench = new Bench();
  const error = assertThrows(() => new VersionStore(bench.directory), FilesyncError);
  assertEquals((error as FilesyncError).code, "locked");
  using reader = new VersionStore(bench.directory, { readOnly: true });
  const one = { a: text("one"), b: text("other") };
  await bench.snapshot(one);
  assertEquals([...reader.snapshots.entries(1)], entriesOf(one));
  assertEquals(await collect(reader.contents.read(sha256(text("one")))), text("one"));
  // What is read next has been moved in between.
  await bench.snapshot({ b: text("other") });
  await bench.store.prune({ count: 1 }, NOW);
  assertEquals(bench.packs.map(({ name }) => name), ["000002.pack"]);
  assertEquals(await collect(reader.contents.read(sha256(text("other")))), text("other"));
  for (const write of [() => reader.writer(), () => reader.tree(SOURCE), () => reader.recordKept([])]) {
    assertEquals((assertThrows(write, FilesyncError) as FilesyncError).code, "read-only");
  }
  const missing = assertThrows(
    () => new VersionStore(`${bench.directory}/none`, { readOnly: true }),
    FilesyncError,
  );
  assertEquals((missing as FilesyncError).code, "not-found");
});

Deno.test("prune() gives back what nobody names, and keeps what somebody is about to name", async () => {
  using bench = new Bench();
  const [big, small] = [randomBytes(1, 4 << 20), randomBytes(2, 1 << 20)];
  await bench.snapshot({ big, small });
  await bench.snapshot({ small });
  await bench.snapshot({});
  using writer = bench.store.writer();
  const fresh = randomBytes(3, 100);
  await writer.add({ digest: sha256(fresh), size: fresh.length }, fresh);
  await writer.add({ digest: sha256(small), size: small.length }, small);
  const result = await bench.store.prune({ count: 2 }, NOW);
  assertEquals([result.snapshots, result.contents], [[1], 1]);
  assertLess(bench.packBytes, 1.2 * small.length);
  assertEquals(await bench.read(sha256(small)), small);
  assertEquals((await bench.store.prune({}, NOW)).contents, 0);
  await writer.commit();
  const entry = entriesOf({ a: fresh })[0];
  bench.store.recordKept([{ entry, keptAt: NOW, cause: "removed" }]);
  writer[Symbol.dispose]();
  assertEquals((await bench.store.prune({ age: 1 }, NOW)).contents, 1);
  assertEquals(await bench.read(sha256(fresh)), fresh);
  assertEquals((await bench.store.prune({ age: 1 }, NOW + 2)).keptFiles, 1);
  bench.reopen();
  assertEquals(bench.packBytes, 0);
});

Deno.test("prune() keeps chunks that are used again while it sweeps", async () => {
  const [dead, live, again] = [randomBytes(1, 900), randomBytes(2, 900), randomBytes(3, 900)];
  let sweeps = 0;
  let kept: Promise<Digest[]> | undefined;
  using bench = new Bench({
    onStep: (step) => {
      // The contents have been swept, and the first of two runs of chunks.
      if (step === "swept" && ++sweeps === 2) kept = bench.keep(again);
    },
  });
  await bench.snapshot({ a: dead, b: live, c: again });
  await bench.snapshot({ b: live });
  using _ = bench.store.writer();
  await bench.store.prune({ count: 1 }, NOW);
  const [digest] = await kept!;
  assertEquals(await bench.read(digest), again);
});

Deno.test("prune() keeps chunks of contents that have not been committed", async () => {
  using bench = new Bench();
  const data = randomBytes(1, 4 << 20);
  const version = insertAt(data, smallInserts(1, data.length, 1));
  await bench.snapshot({ data });
  await bench.snapshot({});
  using writer = bench.store.writer();
  await writer.add({ digest: sha256(version), size: version.length }, version);
  await bench.store.prune({ count: 1 }, NOW);
  await writer.commit();
  assertEquals(await bench.read(sha256(version)), version);
});

Deno.test("scrub() finds a flipped byte, and repair() takes good bytes for it", async () => {
  using bench = new Bench();
  const data = randomBytes(1, 300_000);
  await bench.snapshot({ "a/b": data, other: text("whole") });
  bench.damage(0, (bytes) => bytes.with(150_000, bytes[150_000] ^ 1));
  const [damage, ...more] = await bench.damages();
  assertEquals(more, []);
  const [{ start, paths, digest }] = damage.contents;
  assertEquals([damage.contents.length, paths.map(String), digest], [1, ["a/b"], sha256(data)]);
  for (const read of [() => bench.read(digest), () => bench.store.contents.writeTo({ write() {} }, digest)]) {
    const error = await assertRejects(read, FilesyncError, damage.chunk);
    assertEquals((error as FilesyncError).code, "digest-mismatch");
  }
  await assertRejects(() => bench.store.repair(damage.chunk, text("bad")), FilesyncError, "another digest");
  await bench.store.repair(damage.chunk, data.subarray(start, start + damage.length));
  assertEquals(await bench.read(digest), data);
  assertEquals(await bench.damages(), []);
});

Deno.test("scrub() finds packs that are gone or too short, and tells how far it is", async () => {
  using bench = new Bench({ packBytes: 600_000 });
  const files = { a: randomBytes(1, 400_000), b: randomBytes(2, 400_000), c: randomBytes(3, 400_000) };
  for (const [name, data] of Object.entries(files)) await bench.keep(data, text(name));
  await bench.snapshot(files);
  assertEquals(bench.packs.length, 3);
  bench.damage(1, (bytes) => bytes.subarray(0, 100_000));
  Deno.removeSync(`${bench.directory}/packs/000001.pack`);
  bench.reopen();
  const events: ScrubEvent[] = await Array.fromAsync(bench.store.scrub());
  const progress = events.filter((event) => event.type === "progress").map(({ done, total }) => done / total);
  assertEquals(progress, progress.toSorted((a, b) => a - b));
  assertEquals(progress.at(-1), 1);
  const paths = new Set(
    (await bench.damages()).flatMap(({ contents }) => contents.flatMap(({ paths }) => paths)),
  );
  assertEquals([...paths].map(String).sort(), ["a", "b"]);
  await assertRejects(() => bench.read(sha256(files.a)), FilesyncError, "gone");
  await assertRejects(() => bench.read(sha256(files.b)), FilesyncError, "too early");
  assertEquals(await bench.read(sha256(files.c)), files.c);
  // What is damaged hinders neither pruning nor keeping.
  await bench.snapshot({ b: files.b });
  await bench.store.prune({ count: 1 }, NOW);
  await bench.keep(text("more"));
  assertEquals(await bench.read(sha256(text("more"))), text("more"));
});

Deno.test("prune() leaves a damaged pack as it is", async () => {
  using bench = new Bench();
  const files = { a: randomBytes(1, 100_000), b: randomBytes(2, 200_000) };
  await bench.snapshot(files);
  await bench.snapshot({ a: files.a });
  bench.damage(0, (bytes) => bytes.with(100, bytes[100] ^ 1));
  await bench.store.prune({ count: 1 }, NOW);
  assertEquals((await bench.damages()).length, 1);
  assertEquals(bench.packs[0].name, "000001.pack");
});

Deno.test("VersionStore says when its database is damaged or gone", async () => {
  using bench = new Bench();
  for (let i = 0; i < 300; i++) await bench.keep(randomBytes(i, 10));
  bench.store[Symbol.dispose]();
  const path = `${bench.directory}/store.db`;
  const good = Deno.readFileSync(path);
  for (const bad of [text("nonsense".repeat(1000)), undefined]) {
    if (bad === undefined) Deno.removeSync(path);
    else Deno.writeFileSync(path, bad);
    const error = assertThrows(() => new VersionStore(bench.directory), FilesyncError) as FilesyncError;
    assertEquals([error.code, error.permanent], ["io", true]);
    assert(error.hint?.includes("store.db back from a copy"));
  }
  const half = good.slice();
  half.fill(0xee, good.length / 2);
  Deno.writeFileSync(path, half);
  bench.store = new VersionStore(bench.directory, { readOnly: true });
  await assertRejects(() => Array.fromAsync(bench.store.scrub()), FilesyncError, "damaged");
});

Deno.test("commit() saves packs and their names before the database names what is in them", async () => {
  const steps: string[] = [];
  using bench = new Bench({ onStep: (step) => void steps.push(`${step} ${reader?.contents.has(digest)}`) });
  const data = text("one");
  const digest = sha256(data);
  using reader = new VersionStore(bench.directory, { readOnly: true });
  const save = Deno.FsFile.prototype.sync;
  using _ = stub(Deno.FsFile.prototype, "sync", async function (this: Deno.FsFile) {
    await save.call(this);
    steps.push(this.statSync().isDirectory ? "names" : "pack");
  });
  await bench.keep(data);
  assertEquals(steps, ["written false", "pack", "names", "synced false", "committed true"]);
  await bench.keep(text("two"));
  assertEquals(steps.slice(5), ["written true", "pack", "synced true", "committed true"]);
});

Deno.test("commit() gives up all that was not saved, and goes on with what comes", async () => {
  let fails = true;
  using bench = new Bench({
    onStep: (step) => {
      if (step === "written" && fails) {
        throw new FilesyncError({ code: "disk-full", operation: "x", reason: "full" });
      }
    },
  });
  const [one, two] = [randomBytes(1, 50_000), randomBytes(2, 50_000)];
  using writer = bench.store.writer();
  using other = bench.store.writer();
  await writer.add({ digest: sha256(one), size: one.length }, one);
  await other.add({ digest: sha256(two), size: two.length }, two);
  assertEquals(
    (await assertRejects(() => writer.commit(), FilesyncError) as FilesyncError).code,
    "disk-full",
  );
  fails = false;
  await assertRejects(() => other.commit(), FilesyncError, "could not be saved");
  await assertRejects(() => other.add({ digest: sha256(two), size: two.length }, two), FilesyncError);
  assertEquals(bench.packBytes, 0);
  await bench.keep(one, two);
  assertEquals(await bench.read(sha256(two)), two);
});

Deno.test("commit() saves what was added while the one before it was being saved", async () => {
  using bench = new Bench({ packBytes: 1 << 20 });
  using one = bench.store.writer();
  using two = bench.store.writer();
  await one.add({ digest: sha256(text("one")), size: 3 }, text("one"));
  const late = randomBytes(2, 2 << 20);
  /** How many packs the names that were saved last are of, and how much of each pack is saved. */
  let names = 0;
  const saved = new Map<number | null, number>();
  const save = Deno.FsFile.prototype.sync;
  using _ = stub(Deno.FsFile.prototype, "sync", async function (this: Deno.FsFile) {
    const { isDirectory, ino, size } = this.statSync();
    await save.call(this);
    if (isDirectory) names = bench.packs.length;
    else saved.set(ino, size);
    if (saved.size === 1) await two.add({ digest: sha256(late), size: late.length }, late);
  });
  await one.commit();
  await two.commit();
  assertEquals(bench.packs.length, names);
  for (const { name, size } of bench.packs) {
    assertEquals(saved.get(Deno.statSync(`${bench.directory}/packs/${name}`).ino), size, name);
  }
});

Deno.test("VersionStore removes no pack when its database was emptied", async () => {
  using bench = new Bench();
  await bench.snapshot({ a: text("a") });
  bench.store[Symbol.dispose]();
  const path = `${bench.directory}/store.db`;
  const good = Deno.readFileSync(path);
  Deno.truncateSync(path);
  const error = assertThrows(() => new VersionStore(bench.directory), FilesyncError) as FilesyncError;
  assertEquals([error.code, error.permanent, bench.packs.length], ["io", true, 1]);
  Deno.writeFileSync(path, good);
  bench.store = new VersionStore(bench.directory);
  assertEquals(await bench.read(sha256(text("a"))), text("a"));
});

Deno.test("scrub() tells of what the disk cannot read, and goes on; prune() does, too", async () => {
  using bench = new Bench({ packBytes: 300_000 });
  const files = { a: randomBytes(1, 200_000), b: randomBytes(2, 200_000), c: randomBytes(3, 200_000) };
  for (const data of Object.values(files)) await bench.keep(data);
  await bench.snapshot(files);
  const bad = Deno.statSync(`${bench.directory}/packs/000002.pack`).ino;
  const read = Deno.FsFile.prototype.readSync;
  using _ = stub(Deno.FsFile.prototype, "readSync", function (this: Deno.FsFile, into: Uint8Array) {
    if (this.statSync().ino === bad) throw Object.assign(new Error("Input/output error"), { code: "EIO" });
    return read.call(this, into);
  });
  const damages = await bench.damages();
  assertEquals(new Set(damages.flatMap(({ contents }) => contents.map(({ digest }) => digest))).size, 1);
  assertEquals(damages[0].reason, "the disk reports an error");
  await bench.snapshot({ b: files.b });
  await bench.snapshot({ b: files.b, d: text("d") });
  await bench.store.prune({ count: 1 }, NOW);
  assertEquals(bench.packs.map(({ name }) => name).slice(0, 1), ["000002.pack"]);
  const [{ chunk, length, contents: [{ start }] }] = damages;
  await bench.store.repair(chunk, files.b.subarray(start, start + length));
  assertEquals((await bench.damages()).length, damages.length - 1);
});

Deno.test("scrub() tells of contents that cannot be put together any more", async () => {
  using bench = new Bench();
  const files = { a: randomBytes(1, 300_000), b: text("b"), empty: text("") };
  await bench.snapshot(files);
  {
    using db = new DatabaseSync(`${bench.directory}/store.db`);
    // What a bit that was lost in the database may do.
    db.prepare("UPDATE contents SET runs = ? WHERE digest = ?").run(
      packRuns([{ first: 1, count: 2 }]),
      digestToBytes(sha256(files.a)),
    );
  }
  const events: ScrubEvent[] = await Array.fromAsync(bench.store.scrub());
  const broken = events.filter((event) => event.type === "broken").map(({ content }) => content);
  assertEquals(broken.map(({ digest, paths }) => [digest, paths.map(String)]), [[sha256(files.a), ["a"]]]);
  assertEquals(await bench.damages(), []);
});
