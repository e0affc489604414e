/** Random histories of a store, with crashes, against a model that only remembers. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { randomBytes } from "../../tests/support/bytes.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import type { Entry } from "../core/entry.ts";
import { comesBefore, parsePath } from "../core/path.ts";
import { directoryDigest } from "../hashing/directory_digest.ts";
import { sha256 } from "../hashing/sha256.ts";
import type { StoreStep } from "./chunk_log.ts";
import type { TreeIdentity } from "./snapshots.ts";
import { VersionStore } from "./version_store.ts";

const PATHS = ["a", "a/b", "a-", "c", "\uE000", "\u{1F600}"].sort((a, b) => comesBefore(a, b) ? -1 : 1);
const TREES: TreeIdentity[] = [
  { role: "source", location: "/s", host: "h" },
  { role: "backup", location: "/b", host: "h" },
];

/** Contents share chunks: each is a few of the same pieces. */
const PIECES = Array.from({ length: 5 }, (_, i) => randomBytes(i, 90_000 + 11_000 * i));

function contentOf(pieces: number[], tail: number): Uint8Array<ArrayBuffer> {
  const parts = [...pieces.map((piece) => PIECES[piece]), randomBytes(100 + tail, tail)];
  const data = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part, at);
    at += part.length;
  }
  return data;
}

type Files = Map<string, Uint8Array<ArrayBuffer>>;

type Command =
  | {
    type: "snapshot";
    tree: number;
    changes: [path: number, pieces: number[] | undefined, tail: number][];
    full: boolean;
  }
  | { type: "prune"; count: number }
  | { type: "reopen" }
  | { type: "scrub" }
  | { type: "keep"; pieces: number[] };

class Crash extends Error {}

/** A store that may be made to crash, and what it should hold. */
class Bench implements Disposable {
  readonly #temp = new TempDirectory();
  store!: VersionStore;
  /** Snapshots by number; of each tree those that were pruned are gone. */
  readonly snapshots = new Map<number, { tree: number; files: Files }>();
  readonly files: Files[] = TREES.map(() => new Map());
  /** Steps until the crash. */
  #left = Infinity;

  constructor() {
    this.open();
  }

  open(): void {
    const onStep = (_: StoreStep) => {
      if (this.#left-- === 0) throw new Crash();
    };
    this.store = new VersionStore(`${this.#temp.path}/store`, { onStep, packBytes: 500_000 });
  }

  get packBytes(): number {
    const directory = `${this.#temp.path}/store/packs`;
    return Array.from(Deno.readDirSync(directory), ({ name }) => Deno.statSync(`${directory}/${name}`).size)
      .reduce((sum, size) => sum + size, 0);
  }

  /** Runs `work` with a crash after so many steps; tells whether it came. */
  async crashing(after: number, work: () => Promise<void>): Promise<boolean> {
    this.#left = after;
    try {
      await work();
      return false;
    } catch (error) {
      const isCrash = error instanceof Crash || (error as Error).cause instanceof Crash;
      if (!isCrash) throw error;
      this.store[Symbol.dispose]();
      this.#leaveRubbish();
      this.open();
      return true;
    } finally {
      this.#left = Infinity;
    }
  }

  /** What a power cut may leave of writes that were not recorded. */
  #leaveRubbish(): void {
    const directory = `${this.#temp.path}/store/packs`;
    for (const { name } of [...Deno.readDirSync(directory)]) {
      Deno.writeFileSync(`${directory}/${name}`, randomBytes(7, 77), { append: true });
    }
    Deno.writeFileSync(`${directory}/000999.pack`, randomBytes(8, 88));
  }

  [Symbol.dispose](): void {
    this.store[Symbol.dispose]();
    this.#temp[Symbol.dispose]();
  }
}

function entryOf(path: string, data: Uint8Array): Entry {
  return {
    kind: "file",
    path: parsePath(path),
    size: data.length,
    mtime: data.length,
    mode: 0o644,
    digest: sha256(data),
  };
}

function entriesOf(files: Files): Entry[] {
  return PATHS.filter((path) => files.has(path)).map((path) => entryOf(path, files.get(path)!));
}

async function run(bench: Bench, command: Command): Promise<void> {
  const { store } = bench;
  switch (command.type) {
    case "reopen":
      store[Symbol.dispose]();
      return bench.open();
    case "scrub":
      for await (const event of store.scrub()) assertEquals(event.type, "progress");
      return;
    case "keep": {
      // Kept, but named by nobody: rubbish for the next pruning.
      const data = contentOf(command.pieces, 50);
      using writer = store.writer();
      await writer.add({ digest: sha256(data), size: data.length }, data);
      return await writer.commit();
    }
    case "prune": {
      await store.prune({ count: command.count }, 0);
      return;
    }
    case "snapshot": {
      const files = new Map(bench.files[command.tree]);
      for (const [path, pieces, tail] of command.changes) {
        if (pieces === undefined) files.delete(PATHS[path]);
        else files.set(PATHS[path], contentOf(pieces, tail));
      }
      using writer = store.writer();
      for (const data of files.values()) await writer.add({ digest: sha256(data), size: data.length }, data);
      await writer.commit();
      const entries = entriesOf(files);
      const details = { time: 0, digest: await directoryDigest(entries), reason: "" };
      const tree = store.tree(TREES[command.tree]);
      const changed = [...new Set(command.changes.map(([path]) => path))].sort((a, b) => a - b).map(
        (path) => {
          const data = files.get(PATHS[path]);
          return data === undefined
            ? { gone: parsePath(PATHS[path]) }
            : { entry: entryOf(PATHS[path], data) };
        },
      );
      const snapshot = command.full
        ? await store.recordTree(tree, entries, details)
        : await store.recordSnapshot(tree, changed, details);
      bench.files[command.tree] = files;
      bench.snapshots.set(snapshot.number, { tree: command.tree, files });
    }
  }
}

/** Takes over which snapshots there are, after checking that only those went that may. */
function followPruning(bench: Bench, count: number, mayBePartly: boolean): void {
  const left = new Set(bench.store.snapshots.list().map(({ number }) => number));
  for (const tree of TREES.keys()) {
    const numbers = [...bench.snapshots].filter(([, snapshot]) => snapshot.tree === tree).map(([number]) =>
      number
    );
    const expired = numbers.slice(0, -Math.max(count, 1));
    for (const number of numbers) {
      if (!expired.includes(number)) assert(left.has(number), `the snapshot ${number} is gone`);
      else if (!left.has(number)) bench.snapshots.delete(number);
      else assert(mayBePartly, `the snapshot ${number} is still there`);
    }
  }
}

async function check({ store, snapshots }: Bench): Promise<void> {
  assertEquals(store.snapshots.list().map(({ number }) => number), [...snapshots.keys()]);
  for (const [number, { files, tree }] of snapshots) {
    const entries = entriesOf(files);
    assertEquals([...store.snapshots.entries(number)], entries);
    const snapshot = store.snapshots.get(number)!;
    assertEquals(snapshot.digest, await directoryDigest(entries));
    assertEquals([snapshot.files, snapshot.bytes], [
      files.size,
      entries.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.size : 0), 0),
    ]);
    for (const data of files.values()) {
      const digest = sha256(data);
      let at = 0;
      for await (const piece of store.contents.read(digest)) {
        assertEquals(sha256(piece), sha256(data.subarray(at, at += piece.length)));
      }
      assertEquals(at, data.length);
      await store.contents.writeTo({ write() {} }, digest);
    }
    const next = [...snapshots].find(([other, snapshot]) => other > number && snapshot.tree === tree);
    if (next !== undefined) checkDifferences(store, [number, files], [next[0], next[1].files]);
  }
}

function checkDifferences(
  store: VersionStore,
  [before, was]: [number, Files],
  [after, is]: [number, Files],
): void {
  const expected = PATHS.filter((path) =>
    was.get(path) !== is.get(path) && digestAt(was, path) !== digestAt(is, path)
  );
  assertEquals([...store.snapshots.differences(before, after)].map(({ path }) => String(path)), expected);
}

function digestAt(files: Files, path: string): string | undefined {
  const data = files.get(path);
  return data && sha256(data);
}

const pieces = fc.array(fc.nat(PIECES.length - 1), { maxLength: 3 });
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant("snapshot" as const),
      tree: fc.nat(TREES.length - 1),
      changes: fc.array(
        fc.tuple(
          fc.nat(PATHS.length - 1),
          fc.option(pieces, { nil: undefined }),
          fc.constantFrom(0, 10, 5000),
        ),
        { maxLength: 4 },
      ),
      full: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant("prune" as const), count: fc.integer({ min: 0, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("keep" as const), pieces }) },
  { weight: 1, arbitrary: fc.constantFrom<Command>({ type: "reopen" }, { type: "scrub" }) },
);
const steps = fc.array(fc.tuple(command, fc.option(fc.nat(9), { nil: Infinity, freq: 2 })), {
  maxLength: 14,
});

Deno.test("VersionStore restores every snapshot that was not pruned, whatever happens, and gives space back", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (steps) => {
      using bench = new Bench();
      for (const [command, crashAfter] of steps) {
        const before = bench.store.snapshots.list().length;
        const crashed = await bench.crashing(crashAfter, () => run(bench, command));
        if (command.type === "prune") followPruning(bench, command.count, crashed);
        else if (crashed) assertEquals(bench.store.snapshots.list().length, before);
        await check(bench);
      }
      await bench.store.prune({ count: 1 }, 0);
      followPruning(bench, 1, false);
      await check(bench);
      const named = new Map(
        bench.files.flatMap((files) => [...files.values()]).map((data) => [sha256(data), data.length]),
      );
      const most = [...named.values()].reduce((sum, length) => sum + length, 0);
      // Twice what is alive, and a header for each pack.
      assert(bench.packBytes <= 2 * most + 1000, `${bench.packBytes} bytes for ${most}`);
      for await (const event of bench.store.scrub()) assertEquals(event.type, "progress");
    }),
    { numRuns: 60 },
  );
});
