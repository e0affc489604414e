/** The index of a big tree: recording entries, and the questions that every change asks of it. @module */
import { type ChunkRef, packManifest } from "../src/core/chunk.ts";
import type { Digest } from "../src/core/digest.ts";
import { parentOf, parsePath, type TreePath } from "../src/core/path.ts";
import { openDatabase } from "../src/database/open.ts";
import { INDEX_MIGRATIONS } from "../src/index/schema.ts";
import { type Look, TreeIndex } from "../src/index/tree_index.ts";

const FILES = 50_000;
const ASKED = 1_000;
/** Every tenth file has so many chunks; the others are one. */
const CHUNKS = 16;
const CHUNK_BYTES = 16 << 10;

const paths = Array.from(
  { length: FILES },
  (_, i) => parsePath(`packages/${i % 100}/src/${i % 1000}/module_${i}.ts`),
);
const directories = [...new Set(paths.map(parentOf))];

function digestOf(i: number): Digest {
  return i.toString(16).padStart(64, "0") as Digest;
}

function chunksOf(i: number): ChunkRef[] {
  if (i % 10 > 0) return [{ digest: digestOf(i), length: CHUNK_BYTES }];
  return Array.from({ length: CHUNKS }, (_, at) => ({
    digest: digestOf(FILES + i * CHUNKS + at),
    length: CHUNK_BYTES,
  }));
}

function put(index: TreeIndex, i: number): void {
  const chunks = chunksOf(i);
  const size = chunks.length * CHUNK_BYTES;
  const look: Look = { ctime: i, dev: 1, ino: i, lookedAt: i };
  const entry = { kind: "file", path: paths[i], size, mtime: i, mode: 0o644, digest: digestOf(i) } as const;
  index.put(entry, look, packManifest(chunks));
}

/** An index on a real disk with the first `count` files, which is removed with its file. */
function indexOf(count: number): { index: TreeIndex } & Disposable {
  const directory = Deno.makeTempDirSync();
  const index = new TreeIndex(
    openDatabase(`${directory}/index.db`, { name: "index", migrations: INDEX_MIGRATIONS }),
  );
  index.transaction(() => {
    for (let i = 0; i < count; i++) put(index, i);
  });
  return {
    index,
    [Symbol.dispose]() {
      index[Symbol.dispose]();
      Deno.removeSync(directory, { recursive: true });
    },
  };
}

/** `ASKED` of `all`, from everywhere in it. */
function spread<T>(all: readonly T[]): T[] {
  return Array.from({ length: ASKED }, (_, i) => all[(i * 7919) % all.length]);
}

let full: ReturnType<typeof indexOf> | undefined;
addEventListener("unload", () => full?.[Symbol.dispose]());

/** One index of all files for all questions; made by the first. */
function fullIndex(): TreeIndex {
  return (full ??= indexOf(FILES)).index;
}

Deno.bench(`put() of ${FILES} files in one transaction`, { n: 3, warmup: 0 }, (bench) => {
  using empty = indexOf(0);
  bench.start();
  empty.index.transaction(() => {
    for (let i = 0; i < FILES; i++) put(empty.index, i);
  });
  bench.end();
});

function benchQuestion<T>(name: string, all: readonly T[], ask: (index: TreeIndex, of: T) => unknown) {
  const some = spread(all);
  Deno.bench(`${name}, ${ASKED} times of ${FILES} files`, { n: 10, warmup: 1 }, (bench) => {
    const index = fullIndex();
    bench.start();
    for (const of of some) ask(index, of);
    bench.end();
  });
}

benchQuestion<TreePath>("get()", paths, (index, path) => index.get(path));
benchQuestion<Digest>(
  "hasContent()",
  paths.map((_, i) => digestOf(i)),
  (index, digest) => index.hasContent(digest),
);
benchQuestion<Digest>(
  "placeOf()",
  paths.flatMap((_, i) => chunksOf(i).map(({ digest }) => digest)),
  (index, digest) => index.placeOf(digest),
);
benchQuestion<TreePath>("children()", directories, (index, directory) => index.children(directory));
