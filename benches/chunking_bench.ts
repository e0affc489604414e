/** Cutting memory, and describing files: large ones, and many small ones in a pool. @module */
import { DEFAULT_CHUNKING } from "../src/chunking/chunker.ts";
import { describeFile } from "../src/chunking/describe.ts";
import { DescribePool } from "../src/chunking/describe_pool.ts";
import { randomBytes, writeBigFile } from "../tests/support/bytes.ts";
import { TempDirectory } from "../tests/support/temp.ts";

const MIB = 1 << 20;
const SMALL_FILES = 10_000;

const memory = randomBytes(1, 64 * MIB);
const zeros = new Uint8Array(64 * MIB);

Deno.bench("cut 64 MiB, 16 KiB chunks", { group: "cut" }, () => {
  DEFAULT_CHUNKING.cut(memory, DEFAULT_CHUNKING.sizesFor(0), false);
});

Deno.bench("cut 64 MiB, 256 KiB chunks", { group: "cut" }, () => {
  DEFAULT_CHUNKING.cut(memory, DEFAULT_CHUNKING.sizesFor(16 * 1024 * MIB), false);
});

Deno.bench("cut 64 MiB of zeros", { group: "cut" }, () => {
  DEFAULT_CHUNKING.cut(zeros, DEFAULT_CHUNKING.sizesFor(0), false);
});

Deno.bench("describeFile(): 64 MiB", { group: "describe", n: 10 }, (bench) => {
  using temp = new TempDirectory();
  writeBigFile(`${temp.path}/file`, 64 * MIB, 1);
  describeFile(`${temp.path}/file`, DEFAULT_CHUNKING);
  bench.start();
  describeFile(`${temp.path}/file`, DEFAULT_CHUNKING);
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
