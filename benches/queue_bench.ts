/** The action queue: adding a big tree, handing it out, and one durable change at a time. @module */
import type { Action } from "../src/core/action.ts";
import { systemClock } from "../src/core/clock.ts";
import type { Digest } from "../src/core/digest.ts";
import { parsePath } from "../src/core/path.ts";
import { openDatabase } from "../src/database/open.ts";
import { ActionQueue, QUEUE_MIGRATION } from "../src/queue/action_queue.ts";

const COUNT = 100_000;
const GROUP = 1_000;
const LIMITS = { items: 500, bytes: 1e9 };

function put(i: number): { action: Action; fresh: boolean } {
  const path = parsePath(`packages/${i % 100}/src/${i % 1000}/module_${i}.ts`);
  const digest = i.toString(16).padStart(64, "0") as Digest;
  return { action: { type: "put", path, size: 4096, mtime: i, mode: 0o644, digest }, fresh: i % 2 === 0 };
}

const puts = Array.from({ length: COUNT }, (_, i) => put(i));

/** A queue on a real disk that holds the first `count` puts, and is removed with its file. */
function queueOf(count: number): { queue: ActionQueue } & Disposable {
  const directory = Deno.makeTempDirSync();
  const db = openDatabase(`${directory}/queue.db`, { name: "queue", migrations: [QUEUE_MIGRATION] });
  const queue = new ActionQueue(db, { clock: systemClock });
  fill(queue, count);
  return {
    queue,
    [Symbol.dispose]() {
      db.close();
      Deno.removeSync(directory, { recursive: true });
    },
  };
}

function fill(queue: ActionQueue, count: number) {
  for (let i = 0; i < count; i += GROUP) queue.add(puts.slice(i, Math.min(i + GROUP, count)));
}

Deno.bench("add 100k distinct puts in groups of 1000", { n: 3, warmup: 0 }, (b) => {
  using full = queueOf(0);
  b.start();
  fill(full.queue, COUNT);
  b.end();
});

Deno.bench("add 1000 puts that replace waiting ones, of 100k", { n: 10, warmup: 1 }, (b) => {
  using full = queueOf(COUNT);
  b.start();
  full.queue.add(puts.slice(50_000, 51_000));
  b.end();
});

Deno.bench("take 500 of 100k with 2000 in flight", { n: 10, warmup: 1 }, (b) => {
  using full = queueOf(COUNT);
  full.queue.take({ ...LIMITS, items: 2000 });
  b.start();
  full.queue.take(LIMITS);
  b.end();
});

Deno.bench("take and done until 10k are through, 500 at a time", { n: 5, warmup: 0 }, (b) => {
  using full = queueOf(10_000);
  b.start();
  while (full.queue.size > 0) full.queue.done(full.queue.take(LIMITS).map(({ id }) => id));
  b.end();
});

Deno.bench("1000 durable single adds", { n: 3, warmup: 0 }, (b) => {
  using empty = queueOf(0);
  b.start();
  for (const each of puts.slice(0, 1000)) empty.queue.add([each]);
  b.end();
});
