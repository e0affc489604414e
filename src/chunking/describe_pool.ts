/** Describing files on several cores. @module */
import { packedLength } from "../core/chunk.ts";
import { FilesyncError, toFilesyncError } from "../core/errors.ts";
import { errorOf } from "../core/problem.ts";
import type { Chunking } from "./chunker.ts";
import { contentOf, type FileContent, type FileDigest, type FileRange } from "./describe.ts";
import type { DescribeAnswer, DescribeRequest, Findings } from "./describe_worker.ts";
import { joinSegments, segmentsOf, SPLIT_BYTES } from "./segments.ts";
import { requireWorkerRoom } from "./worker_room.ts";

/** Settings of a {@linkcode DescribePool}. */
export interface DescribePoolOptions {
  /** Most workers. @default {Math.min(navigator.hardwareConcurrency, 4)} */
  workers?: number;
  /** Starts a worker that keeps to `describe_worker.ts`; throws a `FilesyncError` when it cannot. */
  startWorker?: () => Worker;
}

/** Most files of one message: enough to make its cost of some 100 us small. */
const BATCH_FILES = 64;

/** Messages that a worker has at a time: one that it works on, and the next. */
const BATCHES_AHEAD = 2;

interface Job {
  nativePath: string;
  task: keyof Findings;
  /** What to cut, if not the whole file. */
  range?: FileRange;
  /** Bytes, when the file is known to be large. */
  size?: number;
  /** Whether it is to be done by one worker, however large. */
  inOneGo?: boolean;
  resolve(found: Findings[keyof Findings]): void;
  reject(error: FilesyncError): void;
}

/** A worker and the batches sent to it that it has not answered, in order. */
interface Crew {
  worker: Worker;
  batches: Job[][];
}

/**
 * Describes files in workers, which are started when there is work for them. Small files travel
 * in batches; a large file travels alone, and nothing is queued behind it while it is read. A file
 * of {@linkcode SPLIT_BYTES} or more that nothing else waits with is described by all workers at once.
 */
export class DescribePool implements Disposable {
  readonly #chunking: Chunking;
  readonly #limit: number;
  readonly #startWorker: () => Worker;
  readonly #crews = new Set<Crew>();
  /** First in, first out. */
  readonly #waiting = new Set<Job>();
  /** Parts of files that are described by all workers: done when nothing else waits. */
  readonly #parts = new Set<Job>();
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
   * @param known What {@linkcode digest} said of it, when it has not changed since: then it is only cut.
   * @throws {FilesyncError} When it cannot be read. When the worker dies or the pool is closed
   * meanwhile: `internal`, and trying again can help.
   */
  async describe(nativePath: string, known?: FileDigest): Promise<FileContent> {
    if (known !== undefined) {
      const manifest = await this.#find("cuts", nativePath);
      if (packedLength(manifest) === known.size) return contentOf(known, manifest);
    }
    const content = await this.#find("content", nativePath);
    return "packedManifest" in content ? content : contentOf(content, new Uint8Array());
  }

  /** Describes many files; gives for each, in order, its content or why it cannot be read. */
  describeMany(nativePaths: string[]): Promise<(FileContent | FilesyncError)[]> {
    return Promise.all(
      nativePaths.map((path) => this.describe(path).catch((error: FilesyncError) => error)),
    );
  }

  /**
   * Size and digest of one file, as `digestFile` gives them: half the work where the content may be known.
   *
   * @throws {FilesyncError} As {@linkcode describe} does.
   */
  digest(nativePath: string): Promise<FileDigest> {
    return this.#find("digest", nativePath);
  }

  /** Sizes and digests of many files; gives for each, in order, what it holds or why it cannot be read. */
  digestMany(nativePaths: string[]): Promise<(FileDigest | FilesyncError)[]> {
    return Promise.all(
      nativePaths.map((path) => this.digest(path).catch((error: FilesyncError) => error)),
    );
  }

  /** Ends the workers; what was not described yet fails. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const { worker } of this.#crews) worker.terminate();
    const sent = [...this.#crews].flatMap((crew) => crew.batches.flat());
    for (const job of [...sent, ...this.#waiting, ...this.#parts]) job.reject(closedError(job.nativePath));
    this.#crews.clear();
    this.#waiting.clear();
    this.#parts.clear();
  }

  #find<Task extends keyof Findings>(task: Task, nativePath: string): Promise<Findings[Task]> {
    return this.#enqueue(this.#waiting, task, { nativePath });
  }

  #enqueue<Task extends keyof Findings>(
    queue: Set<Job>,
    task: Task,
    what: Pick<Job, "nativePath" | "range" | "size" | "inOneGo">,
  ): Promise<Findings[Task]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError(what.nativePath));
      queue.add({ ...what, task, resolve: (found) => resolve(found as Findings[Task]), reject });
      this.#schedule();
    });
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
    while (this.#waiting.size + this.#parts.size > 0) {
      const crew = this.#crewWithRoom();
      if (crew === undefined) return;
      const batch = this.#nextBatch();
      if (this.#isWorthSplitting(batch[0])) {
        this.#split(batch[0]);
        continue;
      }
      crew.batches.push(batch);
      const [{ task, range, size }] = batch;
      const request: DescribeRequest = {
        task,
        chunking: this.#chunking.name,
        nativePaths: batch.map((job) => job.nativePath),
        range,
        large: size !== undefined,
      };
      crew.worker.postMessage(request);
    }
  }

  /** An idle worker, a new one, or one that can be given the next batch ahead. */
  #crewWithRoom(): Crew | undefined {
    const crews = [...this.#crews];
    const idle = crews.find((crew) => crew.batches.length === 0);
    if (idle !== undefined) return idle;
    if (crews.length < this.#limit) {
      try {
        return this.#hire();
      } catch (error) {
        if (crews.length === 0) this.#refuseAll(toFilesyncError("start a worker", error));
      }
    }
    return crews.find(({ batches }) =>
      batches.length < BATCHES_AHEAD && !batches.some(([job]) => job.size !== undefined)
    );
  }

  /**
   * One large file or part of one, or small files that want the same: fewer than fit when there is not enough
   * work for all workers.
   */
  #nextBatch(): Job[] {
    const queue = this.#waiting.size > 0 ? this.#waiting : this.#parts;
    const share = Math.ceil(queue.size / (this.#limit * BATCHES_AHEAD));
    const batch: Job[] = [];
    for (const job of queue) {
      if (batch.length > 0 && (job.size !== undefined || job.task !== batch[0].task)) break;
      queue.delete(job);
      batch.push(job);
      if (job.size !== undefined || batch.length === Math.min(share, BATCH_FILES)) break;
    }
    return batch;
  }

  /** Whether all workers should do a job together. When other jobs wait, those keep them busy for less. */
  #isWorthSplitting({ task, range, size = 0, inOneGo }: Job): boolean {
    return size >= SPLIT_BYTES && task !== "digest" && range === undefined && !inOneGo &&
      this.#limit > 1 && this.#waiting.size === 0;
  }

  /** Has a file described in parts, and in one go when it changes meanwhile: parts would be of different contents. */
  #split(job: Job): void {
    const { nativePath, task, size = 0 } = job;
    const cut = (range: FileRange) => this.#enqueue(this.#parts, "cuts", { nativePath, range, size });
    const describe = async () => {
      const before = await Deno.stat(nativePath);
      const segments = segmentsOf(size, this.#chunking.sizesFor(size));
      const [whole, ...manifests] = await Promise.all([
        task === "content" ? this.#enqueue(this.#parts, "digest", { nativePath, size }) : undefined,
        ...segments.map(cut),
      ]);
      const manifest = await joinSegments(segments, manifests, cut);
      const after = await Deno.stat(nativePath);
      const isSame = before.size === size && after.size === size && packedLength(manifest) === size &&
        before.mtime?.getTime() === after.mtime?.getTime() &&
        before.ctime?.getTime() === after.ctime?.getTime();
      if (isSame) return whole === undefined ? manifest : contentOf(whole, manifest);
      return await this.#enqueue(this.#parts, task, { nativePath, size, inOneGo: true });
    };
    describe().then(job.resolve, (error) => {
      job.reject(toFilesyncError(`read ${JSON.stringify(nativePath)}`, error));
    });
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
    if ("large" in answer) this.#waiting.add({ ...job, size: answer.large });
    else if ("found" in answer) job.resolve(answer.found);
    else job.reject(errorOf(answer.problem));
  }

  /** There is nobody to do anything. */
  #refuseAll({ code, reason, hint }: FilesyncError): void {
    for (const { nativePath, reject } of [...this.#waiting, ...this.#parts]) {
      reject(new FilesyncError({ code, operation: `read ${JSON.stringify(nativePath)}`, reason, hint }));
    }
    this.#waiting.clear();
    this.#parts.clear();
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
  requireWorkerRoom();
  return new Worker(new URL("./describe_worker.ts", import.meta.url), { type: "module" });
}

function closedError(nativePath: string): FilesyncError {
  return failure(nativePath, "filesync is stopping");
}

function failure(nativePath: string, reason: string): FilesyncError {
  return new FilesyncError({ code: "internal", operation: `read ${JSON.stringify(nativePath)}`, reason });
}
