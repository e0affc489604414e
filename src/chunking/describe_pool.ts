/** Describing files on several cores. @module */
import { FilesyncError } from "../core/errors.ts";
import { errorOf } from "../core/problem.ts";
import type { Chunking } from "./chunker.ts";
import type { FileContent } from "./describe.ts";
import type { DescribeAnswer, DescribeRequest } from "./describe_worker.ts";

/** Settings of a {@linkcode DescribePool}. */
export interface DescribePoolOptions {
  /** Most workers. @default {Math.min(navigator.hardwareConcurrency, 4)} */
  workers?: number;
  /** Starts a worker that keeps to `describe_worker.ts`. */
  startWorker?: () => Worker;
}

/** Most files of one message: enough to make its cost of some 100 us small. */
const BATCH_FILES = 64;

/** Messages that a worker has at a time: one that it works on, and the next. */
const BATCHES_AHEAD = 2;

interface Job {
  nativePath: string;
  /** Whether the file is known to be large. */
  large: boolean;
  resolve(content: FileContent): void;
  reject(error: FilesyncError): void;
}

/** A worker and the batches sent to it that it has not answered, in order. */
interface Crew {
  worker: Worker;
  batches: Job[][];
}

/**
 * Describes files in workers, which are started when there is work for them. Small files travel
 * in batches; a large file travels alone, and nothing is queued behind it while it is read.
 */
export class DescribePool implements Disposable {
  readonly #chunking: Chunking;
  readonly #limit: number;
  readonly #startWorker: () => Worker;
  readonly #crews = new Set<Crew>();
  /** First in, first out. */
  readonly #waiting = new Set<Job>();
  #scheduled = false;
  #closed = false;

  constructor(chunking: Chunking, options: DescribePoolOptions = {}) {
    this.#chunking = chunking;
    this.#limit = options.workers ?? Math.min(navigator.hardwareConcurrency, 4);
    this.#startWorker = options.startWorker ?? startDescribeWorker;
  }

  /**
   * Describes one file, as `describeFile` does.
   *
   * @throws {FilesyncError} When it cannot be read. When the worker dies or the pool is closed
   * meanwhile: `internal`, and trying again can help.
   */
  describe(nativePath: string): Promise<FileContent> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError(nativePath));
      this.#waiting.add({ nativePath, large: false, resolve, reject });
      this.#schedule();
    });
  }

  /** Describes many files; gives for each, in order, its content or why it cannot be read. */
  describeMany(nativePaths: string[]): Promise<(FileContent | FilesyncError)[]> {
    return Promise.all(
      nativePaths.map((path) => this.describe(path).catch((error: FilesyncError) => error)),
    );
  }

  /** Ends the workers; what was not described yet fails. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const { worker } of this.#crews) worker.terminate();
    for (const job of [...this.#crews].flatMap((crew) => crew.batches.flat()).concat(...this.#waiting)) {
      job.reject(closedError(job.nativePath));
    }
    this.#crews.clear();
    this.#waiting.clear();
  }

  /** Sends what waits, once everything that is asked for at this moment waits. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    while (this.#waiting.size > 0) {
      const crew = this.#crewWithRoom();
      if (crew === undefined) return;
      const batch = this.#nextBatch();
      crew.batches.push(batch);
      const request: DescribeRequest = {
        chunking: this.#chunking.name,
        nativePaths: batch.map((job) => job.nativePath),
        large: batch[0].large,
      };
      crew.worker.postMessage(request);
    }
  }

  /** An idle worker, a new one, or one that can be given the next batch ahead. */
  #crewWithRoom(): Crew | undefined {
    const crews = [...this.#crews];
    const idle = crews.find((crew) => crew.batches.length === 0);
    if (idle !== undefined) return idle;
    if (crews.length < this.#limit) return this.#hire();
    return crews.find(({ batches }) => batches.length < BATCHES_AHEAD && !batches.some(([job]) => job.large));
  }

  /** One large file, or small files: fewer than fit when there is not enough work for all workers. */
  #nextBatch(): Job[] {
    const share = Math.ceil(this.#waiting.size / (this.#limit * BATCHES_AHEAD));
    const batch: Job[] = [];
    for (const job of this.#waiting) {
      if (job.large && batch.length > 0) break;
      this.#waiting.delete(job);
      batch.push(job);
      if (job.large || batch.length === Math.min(share, BATCH_FILES)) break;
    }
    return batch;
  }

  #hire(): Crew {
    const crew: Crew = { worker: this.#startWorker(), batches: [] };
    crew.worker.onmessage = ({ data }: MessageEvent<DescribeAnswer[]>) => {
      crew.batches.shift()!.forEach((job, i) => this.#settle(job, data[i]));
      this.#send();
    };
    crew.worker.onerror = (event) => {
      // Otherwise the error would end the whole program.
      event.preventDefault();
      this.#dismiss(crew, event.message);
      this.#send();
    };
    this.#crews.add(crew);
    return crew;
  }

  #settle(job: Job, answer: DescribeAnswer): void {
    if (answer === "large") this.#waiting.add({ ...job, large: true });
    else if ("content" in answer) job.resolve(answer.content);
    else job.reject(errorOf(answer.problem));
  }

  /** Lets go of a dead worker; another takes its place when there is work. */
  #dismiss(crew: Crew, message: string): void {
    this.#crews.delete(crew);
    crew.worker.terminate();
    for (const { nativePath, reject } of crew.batches.flat()) {
      reject(failure(nativePath, `the worker that read it died: ${message}`));
    }
  }
}

function startDescribeWorker(): Worker {
  return new Worker(new URL("./describe_worker.ts", import.meta.url), { type: "module" });
}

function closedError(nativePath: string): FilesyncError {
  return failure(nativePath, "filesync is stopping");
}

function failure(nativePath: string, reason: string): FilesyncError {
  return new FilesyncError({ code: "internal", operation: `read ${JSON.stringify(nativePath)}`, reason });
}
