/** The workers of a crawl. @module */
import { requireWorkerRoom } from "../chunking/worker_room.ts";
import { FilesyncError } from "../core/errors.ts";
import { errorOf, type Problem } from "../core/problem.ts";
import type { CrawlAnswer, CrawlRequest } from "./crawl_worker.ts";
import type { Fingerprint } from "./fingerprint.ts";
import { type Crawler, TOP, type WalkRequest } from "./crawler.ts";
import type { Walked, WalkOptions } from "./walker.ts";

/** Messages that a worker has at a time: one that it works on, and the next. */
const AHEAD = 2;

/** Most directories in one message. */
const MOST_TASKS = 256;

/** How many workers a crawl has unless it is told: on spinning disks and over a network, more can help. */
export function defaultWorkers(): number {
  return Math.min(navigator.hardwareConcurrency, 8);
}

interface Crew {
  worker: Worker;
  /** What to do with the answers that are still to come, in order. */
  waiting: PromiseWithResolvers<CrawlAnswer>[];
}

/** Workers, and the questions they were asked. */
export class CrawlPool implements Crawler, Disposable {
  readonly #crews: Crew[];

  constructor(workers = defaultWorkers()) {
    requireWorkerRoom(workers);
    this.#crews = Array.from({ length: workers }, () => this.#hire());
  }

  /**
   * Walks a tree. A worker is not asked for more before what it gave is taken, so that memory stays the same however
   * big the tree is.
   *
   * @throws {FilesyncError} When the root cannot be opened, or a worker dies.
   */
  async *walk(
    options: WalkOptions,
    { tasks = [...TOP], shallow = false, signal }: WalkRequest = {},
  ): AsyncGenerator<Walked> {
    for (const { worker } of this.#crews) {
      worker.postMessage({ type: "open", options } satisfies CrawlRequest);
    }
    // Last in, first out: what waits is as little as can be.
    const queue = [...tasks];
    const underWay = new Set<Promise<CrawlAnswer>>();
    const ready: CrawlAnswer[] = [];
    /** Why a worker died: what it was asked is lost. */
    let lost: { error: unknown } | undefined;
    let wake = Promise.withResolvers<void>();
    const send = () => {
      while (queue.length > 0 && ready.length < AHEAD * this.#crews.length) {
        const crew = this.#crews.reduce((a, b) => b.waiting.length < a.waiting.length ? b : a);
        if (crew.waiting.length >= AHEAD) return;
        const share = Math.ceil(queue.length / (AHEAD * this.#crews.length));
        const answer = this.#ask(crew, {
          type: "walk",
          tasks: queue.splice(-Math.min(share, MOST_TASKS)),
          shallow,
        });
        underWay.add(answer);
        answer.then((given) => {
          ready.push(given);
          if ("walked" in given && !shallow) { for (const task of given.walked.left) queue.push(task); }
        }, (error) => lost = { error }).finally(() => {
          underWay.delete(answer);
          send();
          wake.resolve();
        });
      }
    };
    send();
    for (;;) {
      signal?.throwIfAborted();
      const given = ready.shift();
      if (given !== undefined) {
        send();
        if ("problem" in given) throw errorOf(given.problem);
        if ("walked" in given) yield given.walked;
        continue;
      }
      if (lost !== undefined) throw lost.error;
      if (underWay.size === 0 && queue.length === 0) return;
      await wake.promise;
      wake = Promise.withResolvers();
    }
  }

  /** The fingerprints of files, in order. */
  async fingerprint(paths: string[]): Promise<(Fingerprint | Problem)[]> {
    const crew = this.#crews.reduce((a, b) => b.waiting.length < a.waiting.length ? b : a);
    const answer = await this.#ask(crew, { type: "fingerprint", paths });
    if ("fingerprints" in answer) return answer.fingerprints;
    throw errorOf((answer as { problem: Problem }).problem);
  }

  /** How many work side by side. */
  get size(): number {
    return this.#crews.length;
  }

  /** Ends the workers. */
  [Symbol.dispose](): void {
    for (const { worker, waiting } of this.#crews) {
      worker.terminate();
      for (const { promise, reject } of waiting) {
        promise.catch(() => {});
        reject(poolError("filesync is stopping"));
      }
    }
  }

  #ask(crew: Crew, request: CrawlRequest): Promise<CrawlAnswer> {
    const answer = Promise.withResolvers<CrawlAnswer>();
    crew.waiting.push(answer);
    crew.worker.postMessage(request);
    return answer.promise;
  }

  #hire(): Crew {
    const worker = new Worker(new URL("./crawl_worker.ts", import.meta.url), { type: "module" });
    const crew: Crew = { worker, waiting: [] };
    worker.onmessage = ({ data }: MessageEvent<CrawlAnswer>) => crew.waiting.shift()?.resolve(data);
    worker.onerror = (event) => {
      // Otherwise the error would end the whole program.
      event.preventDefault();
      for (const { reject } of crew.waiting.splice(0)) reject(poolError(`a worker died: ${event.message}`));
    };
    return crew;
  }
}

function poolError(reason: string): FilesyncError {
  return new FilesyncError({ code: "internal", operation: "walk the tree", reason });
}
