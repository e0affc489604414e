import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { randomBytes, writeBigFile } from "../../tests/support/bytes.ts";
import { TempDirectory } from "../../tests/support/temp.ts";
import { FilesyncError } from "../core/errors.ts";
import { DEFAULT_CHUNKING } from "./chunker.ts";
import { describeBytes, describeFile, type FileDigest, SMALL_FILE_BYTES } from "./describe.ts";
import { DescribePool } from "./describe_pool.ts";
import type { DescribeRequest } from "./describe_worker.ts";
import { SPLIT_BYTES } from "./segments.ts";

/** Makes a file in `directory` for each content and gives their paths. */
function writeAll(directory: string, contents: Uint8Array[]): string[] {
  return contents.map((content, i) => {
    Deno.writeFileSync(`${directory}/${i}`, content);
    return `${directory}/${i}`;
  });
}

function startWorker(code: string): Worker {
  return new Worker(`data:application/javascript,${encodeURIComponent(code)}`, { type: "module" });
}

const startRealWorker = () =>
  new Worker(new URL("./describe_worker.ts", import.meta.url), { type: "module" });

/** A worker that writes down what it is asked. */
function spied(asked: DescribeRequest[], onAsked = (_: DescribeRequest) => {}): Worker {
  const worker = startRealWorker();
  const post = worker.postMessage.bind(worker);
  worker.postMessage = (request: DescribeRequest) => {
    asked.push(request);
    onAsked(request);
    post(request);
  };
  return worker;
}

Deno.test("DescribePool.describeMany() answers in order, for small and large files", async () => {
  using temp = new TempDirectory();
  using pool = new DescribePool(DEFAULT_CHUNKING, { workers: 2 });
  const contents = Array.from({ length: 500 }, (_, i) => {
    return randomBytes(i + 1, i % 100 === 7 ? SMALL_FILE_BYTES + i : i * 10);
  });
  assertEquals(
    await pool.describeMany(writeAll(temp.path, contents)),
    contents.map((content) => describeBytes(content, DEFAULT_CHUNKING)),
  );
});

Deno.test("DescribePool.describe() gives the content of one file, large or small", async () => {
  using temp = new TempDirectory();
  using pool = new DescribePool(DEFAULT_CHUNKING, { workers: 1 });
  const contents = [randomBytes(1, 3 * SMALL_FILE_BYTES), randomBytes(2, 5)];
  const [large, small] = writeAll(temp.path, contents);
  assertEquals(await pool.describe(large), describeBytes(contents[0], DEFAULT_CHUNKING));
  assertEquals(await pool.describe(small), describeBytes(contents[1], DEFAULT_CHUNKING));
});

Deno.test("DescribePool.describe() does not let small files wait for a large one they came with", async () => {
  using temp = new TempDirectory();
  using pool = new DescribePool(DEFAULT_CHUNKING, { workers: 1 });
  const paths = writeAll(temp.path, [
    randomBytes(1, 2 * SMALL_FILE_BYTES),
    randomBytes(2, 5),
    randomBytes(3, 5),
  ]);
  const order: number[] = [];
  await Promise.all(paths.map((path, i) => pool.describe(path).then(() => order.push(i))));
  assertEquals(order, [1, 2, 0]);
});

Deno.test("DescribePool.digestMany() answers in order, and describe() then only cuts", async () => {
  using temp = new TempDirectory();
  using pool = new DescribePool(DEFAULT_CHUNKING, { workers: 2 });
  const contents = [0, 10, 5_000, 300_000, SMALL_FILE_BYTES + 1, 50].map((length, i) =>
    randomBytes(i, length)
  );
  const paths = writeAll(temp.path, contents);
  const expected = contents.map((content) => describeBytes(content, DEFAULT_CHUNKING));
  const digests = await pool.digestMany([...paths, `${temp.path}/missing`]);
  assertInstanceOf(digests.pop(), FilesyncError);
  assertEquals(digests, expected.map(({ size, digest }) => ({ size, digest })));
  const known = digests as FileDigest[];
  assertEquals(await Promise.all(paths.map((path, i) => pool.describe(path, known[i]))), expected);
});

Deno.test("DescribePool.describe() does not trust a known digest of another size", async () => {
  using temp = new TempDirectory();
  using pool = new DescribePool(DEFAULT_CHUNKING, { workers: 1 });
  const content = randomBytes(1, 30_000);
  const [path] = writeAll(temp.path, [content]);
  const { digest } = describeBytes(content.subarray(1), DEFAULT_CHUNKING);
  assertEquals(
    await pool.describe(path, { size: 29_999, digest }),
    describeBytes(content, DEFAULT_CHUNKING),
  );
});

Deno.test("DescribePool.describe() describes a very large file in parts as in one go", async () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/file`;
  writeBigFile(path, 2 * SPLIT_BYTES + 12_345, 1);
  const expected = describeFile(path, DEFAULT_CHUNKING);
  const asked: DescribeRequest[] = [];
  using pool = new DescribePool(DEFAULT_CHUNKING, { workers: 2, startWorker: () => spied(asked) });
  const content = await pool.describe(path);
  assertEquals([content.size, content.digest], [expected.size, expected.digest]);
  assert(content.packedManifest.toHex() === expected.packedManifest.toHex());
  assertEquals(asked.slice(1).map(({ task, range }) => [task, range?.start]), [
    ["digest", undefined],
    ["cuts", 0],
    ["cuts", SPLIT_BYTES],
  ]);
  const again = await pool.describe(path, content);
  assert(again.packedManifest.toHex() === expected.packedManifest.toHex());
});

Deno.test("DescribePool.describe() describes a very large file in one go when it changes meanwhile", async () => {
  using temp = new TempDirectory();
  const path = `${temp.path}/file`;
  writeBigFile(path, SPLIT_BYTES, 1);
  const asked: DescribeRequest[] = [];
  using pool = new DescribePool(DEFAULT_CHUNKING, {
    workers: 2,
    startWorker: () =>
      spied(asked, ({ task }) => {
        if (task === "digest") Deno.writeFileSync(path, randomBytes(2, 10), { append: true });
      }),
  });
  const content = await pool.describe(path);
  const expected = describeFile(path, DEFAULT_CHUNKING);
  assertEquals([content.size, content.digest], [SPLIT_BYTES + 10, expected.digest]);
  assert(content.packedManifest.toHex() === expected.packedManifest.toHex());
  assertEquals(asked.at(-1)?.task, "content");
});

Deno.test("DescribePool reports a missing file and goes on with the others", async () => {
  using temp = new TempDirectory();
  using pool = new DescribePool(DEFAULT_CHUNKING, { workers: 1 });
  const [path] = writeAll(temp.path, [randomBytes(1, 5)]);
  const missing = `${temp.path}/missing`;
  const [error, content] = await pool.describeMany([missing, path]);
  assertInstanceOf(error, FilesyncError);
  assertEquals([error.code, error.message], ["not-found", `Cannot read "${missing}": it does not exist`]);
  assertEquals(content, describeBytes(randomBytes(1, 5), DEFAULT_CHUNKING));
  const rejection = await assertRejects(() => pool.describe(missing), FilesyncError);
  assertEquals(rejection.code, "not-found");
});

Deno.test("DescribePool replaces a worker that dies and fails only what it had in hand", async () => {
  using temp = new TempDirectory();
  let started = 0;
  using pool = new DescribePool(DEFAULT_CHUNKING, {
    workers: 1,
    startWorker() {
      started++;
      return started === 1
        ? startWorker("self.onmessage = () => { throw new Error('out of luck'); }")
        : startRealWorker();
    },
  });
  const [path] = writeAll(temp.path, [randomBytes(1, 5)]);
  assertEquals(started, 0, "workers start when there is work");
  const error = await assertRejects(() => pool.describe(path), FilesyncError, "out of luck");
  assertEquals([error.code, error.permanent], ["internal", false]);
  assertEquals(await pool.describe(path), describeBytes(randomBytes(1, 5), DEFAULT_CHUNKING));
  assertEquals(started, 2);
});

Deno.test("DescribePool fails what it has not described when it is closed", async () => {
  using temp = new TempDirectory();
  const pool = new DescribePool(DEFAULT_CHUNKING, {
    workers: 1,
    startWorker: () => startWorker("self.onmessage = () => {}"),
  });
  const paths = writeAll(temp.path, Array.from({ length: 200 }, () => new Uint8Array(1)));
  const results = pool.describeMany(paths);
  await Promise.resolve();
  pool[Symbol.dispose]();
  for (const result of await results) {
    assert(result instanceof FilesyncError && result.reason === "filesync is stopping");
  }
  await assertRejects(() => pool.describe(paths[0]), FilesyncError, "filesync is stopping");
});

Deno.test("DescribePool.describe() fails while no worker can be started, and goes on when one can", async () => {
  using temp = new TempDirectory();
  const [path] = writeAll(temp.path, [randomBytes(1, 5)]);
  let isFull = true;
  using pool = new DescribePool(DEFAULT_CHUNKING, {
    workers: 2,
    startWorker() {
      if (isFull) throw Object.assign(new Error("Too many open files"), { code: "EMFILE" });
      return startRealWorker();
    },
  });
  const { code, message, hint, permanent } = await assertRejects(
    () => pool.describe(path),
    FilesyncError,
  ) as FilesyncError;
  assertEquals([code, permanent, hint], ["io", false, "Raise the limit with ulimit -n"]);
  assertEquals(message, `Cannot read ${JSON.stringify(path)}: too many files are open`);
  isFull = false;
  assertEquals((await pool.describe(path)).size, 5);
});
