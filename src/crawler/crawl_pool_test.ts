import { assertEquals, assertRejects } from "@std/assert";
import { FilesyncError } from "../core/errors.ts";
import { CrawlPool } from "./crawl_pool.ts";
import type { CrawlAnswer, CrawlRequest } from "./crawl_worker.ts";
import { WHOLE } from "./shard.ts";

/** A worker that answers once, and then dies. */
class DyingWorker {
  onmessage: (event: { data: CrawlAnswer }) => void = () => {};
  onerror: (event: { message: string; preventDefault(): void }) => void = () => {};
  #asked = 0;

  postMessage({ type }: CrawlRequest): void {
    if (type !== "walk") return;
    const task = { below: "a", ruled: false };
    const walked = { packed: new Uint8Array(), left: [task], unread: [], problems: [] };
    if (++this.#asked === 1) queueMicrotask(() => this.onmessage({ data: { walked } }));
    else queueMicrotask(() => this.onerror({ message: "out of memory", preventDefault() {} }));
  }

  terminate(): void {}
}

Deno.test("walk() fails when a worker dies, also while nobody waits for it", async () => {
  const { Worker } = globalThis;
  Object.assign(globalThis, { Worker: DyingWorker });
  try {
    using pool = new CrawlPool(1);
    let shares = 0;
    const walk = async () => {
      for await (const _ of pool.walk({ root: "/x", ignore: [], oneFileSystem: false, shard: WHOLE })) {
        shares++;
        // It takes its time; meanwhile the worker dies.
        await new Promise((resolve) => setTimeout(resolve));
      }
    };
    await assertRejects(walk, FilesyncError, "a worker died: out of memory");
    assertEquals(shares, 1);
  } finally {
    Object.assign(globalThis, { Worker });
  }
});
