/** Cutting memory, and describing files: large ones, and many small ones in a pool. @module */
import { DEFAULT_CHUNKING } from "../src/chunking/chunker.ts";
import { describeFile, digestFile } from "../src/chunking/describe.ts";
import { ChunkStream } from "../src/chunking/chunk_stream.ts";
import { DescribePool } from "../src/chunking/describe_pool.ts";
import { randomBytes, writeBigFile } from "../tests/support/bytes.ts";
import { TempDirectory } from "../tests/support/temp.ts";

const MIB = 1 << 20;
const SMALL_FILES = 10_000;
const LARGE_MIB = 512;

const memory = randomBytes(1, 64 * MIB);
const zeros = new Uint8Array(64 * MIB);

/** Cuts `data` and digests the chunks, as the content of a file of `fileSize` bytes. */
function cut(data: Uint8Array, fileSize: number): void {
  using stream = new ChunkStream(DEFAULT_CHUNKING, DEFAULT_CHUNKING.sizesFor(fileSize));
  for (let at = 0; at < data.length;) {
    const room = stream.room();
    const part = data.subarray(at, at + room.length);
    room.set(part);
    stream.take(part.length);
    at += part.length;
  }
  stream.end();
}

Deno.bench("cut and digest 64 MiB, 16 KiB chunks", { group: "cut" }, () => cut(memory, 0));

Deno.bench("cut and digest 64 MiB, 256 KiB chunks", { group: "cut" }, () => cut(memory, 16 * 1024 * MIB));

Deno.bench("cut and digest 64 MiB of zeros", { group: "cut" }, () => cut(zeros, 0));

Deno.bench("describeFile(): 64 MiB", { group: "describe", n: 10 }, (bench) => {
  using temp = new TempDirectory();
  writeBigFile(`${temp.path}/file`, 64 * MIB, 1);
  describeFile(`${temp.path}/file`, DEFAULT_CHUNKING);
  bench.start();
  describeFile(`${temp.path}/file`, DEFAULT_CHUNKING);
  bench.end();
});

Deno.bench("digestFile(): 64 MiB", { group: "describe", n: 10 }, (bench) => {
  using temp = new TempDirectory();
  writeBigFile(`${temp.path}/file`, 64 * MIB, 1);
  digestFile(`${temp.path}/file`);
  bench.start();
  digestFile(`${temp.path}/file`);
  bench.end();
});

Deno.bench(`DescribePool: a file of ${LARGE_MIB} MiB`, { group: "large", n: 3, warmup: 1 }, async (bench) => {
  using temp = new TempDirectory();
  using pool = new DescribePool(DEFAULT_CHUNKING);
  writeBigFile(`${temp.path}/file`, LARGE_MIB * MIB, 1);
  await pool.describe(`${temp.path}/file`);
  bench.start();
  await pool.describe(`${temp.path}/file`);
  bench.end();
});

Deno.bench(
  `DescribePool: ${SMALL_FILES} files of 1 KiB`,
  { group: "pool", n: 5, warmup: 1 },
  async (bench) => {
    using temp = new TempDirectory();
    using pool = new DescribePool(DEFAULT_CHUNKING);
    const paths = Array.from({ length: SMALL_FILES }, (_, i) => {
      Deno.writeFileSync(`${temp.path}/${i}`, memory.subarray(i, i + 1024));
      return `${temp.path}/${i}`;
    });
    bench.start();
    await pool.describeMany(paths);
    bench.end();
  },
);
