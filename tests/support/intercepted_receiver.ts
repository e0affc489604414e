/** A receiver between whose calls a test can step. @module */
import { FilesyncError } from "../../src/core/errors.ts";
import type { Entry } from "../../src/core/entry.ts";
import type { TreePath } from "../../src/core/path.ts";
import type { Batch, BatchResult, Receiver } from "../../src/transport/receiver.ts";

/** One call of a receiver. */
export interface ReceiverCall {
  method: keyof Receiver;
  /** Its arguments. */
  args: unknown[];
  /** How many calls there were before. */
  number: number;
}

/** Decides what a call gives: what `forward` gives, something else, or an error. */
export type Intercept = (call: ReceiverCall, forward: () => Promise<unknown>) => Promise<unknown>;

/** A receiver that keeps a list of its calls, each of which goes through `intercept`. */
export class InterceptedReceiver implements Receiver {
  /** Every call, in order. */
  readonly calls: ReceiverCall[] = [];
  /** May be exchanged at any time. */
  intercept: Intercept;
  readonly #inner: Receiver;

  constructor(inner: Receiver, intercept: Intercept = (_call, forward) => forward()) {
    this.#inner = inner;
    this.intercept = intercept;
  }

  get isNear(): boolean {
    return this.#inner.isNear;
  }

  /** How often a method was called. */
  count(method: keyof Receiver): number {
    return this.calls.filter((call) => call.method === method).length;
  }

  /** The batches that were to be applied. */
  get batches(): Batch[] {
    return this.calls.filter(({ method }) => method === "apply").map(({ args }) => args[0] as Batch);
  }

  async *tree(under?: TreePath): AsyncGenerator<Entry> {
    yield* await this.#call("tree", [], () => Promise.resolve(this.#inner.tree(under)));
  }

  open: Receiver["open"] = () => this.#call("open", [], () => this.#inner.open());
  entry: Receiver["entry"] = (path) => this.#call("entry", [path], () => this.#inner.entry(path));
  check: Receiver["check"] = (offers) => this.#call("check", [offers], () => this.#inner.check(offers));
  stage: Receiver["stage"] = (chunks) => this.#call("stage", [chunks], () => this.#inner.stage(chunks));
  stageRuns: Receiver["stageRuns"] = (runs) =>
    this.#call("stageRuns", [runs], () => this.#inner.stageRuns(runs));
  signatures: Receiver["signatures"] = (requests) =>
    this.#call("signatures", [requests], () => this.#inner.signatures(requests));
  manifestGroups: Receiver["manifestGroups"] = (name) =>
    this.#call("manifestGroups", [name], () => this.#inner.manifestGroups(name));
  groupChunks: Receiver["groupChunks"] = (...args) =>
    this.#call("groupChunks", args, () => this.#inner.groupChunks(...args));
  refresh: Receiver["refresh"] = () => this.#call("refresh", [], () => this.#inner.refresh());
  manifest: Receiver["manifest"] = (content) =>
    this.#call("manifest", [content], () => this.#inner.manifest(content));
  pieces: Receiver["pieces"] = (requests) =>
    this.#call("pieces", [requests], () => this.#inner.pieces(requests));
  apply: Receiver["apply"] = (batch) => this.#call("apply", [batch], () => this.#inner.apply(batch));
  read: Receiver["read"] = (...args) => this.#call("read", args, () => this.#inner.read(...args));
  history: Receiver["history"] = (query) => this.#call("history", [query], () => this.#inner.history(query));
  close: Receiver["close"] = () => this.#call("close", [], () => this.#inner.close());

  #call<T>(method: keyof Receiver, args: unknown[], forward: () => Promise<T>): Promise<T> {
    const call = { method, args, number: this.calls.length };
    this.calls.push(call);
    return this.intercept(call, forward) as Promise<T>;
  }
}

/** What a network or a disk can do to a call. */
export type Fault =
  /** Lost on the way there. */
  | "lost"
  /** Done, and the answer lost on the way back. */
  | "answer-lost"
  /** Refused as a whole, for now. */
  | "refused"
  /** Every second action of a batch finds the disk full; any other call is refused. */
  | "disk-full";

/** An {@linkcode Intercept} that makes one call fail in one way. */
export async function withFault(
  fault: Fault,
  { method, args }: ReceiverCall,
  forward: () => Promise<unknown>,
): Promise<unknown> {
  switch (fault) {
    case "lost":
      throw lost(method);
    case "answer-lost":
      await forward();
      throw lost(method);
    case "refused":
      throw new FilesyncError({ code: "internal", operation: method, reason: "a fault was injected" });
    case "disk-full":
      return method === "apply"
        ? await applyHalf(args[0] as Batch, forward)
        : Promise.reject(diskFull(method));
  }
}

/** The batch is changed while it is applied, and put right again: what is not there is not done. */
async function applyHalf(batch: Batch, forward: () => Promise<unknown>): Promise<BatchResult> {
  const { key, actions } = batch;
  batch.actions = actions.filter((_, i) => i % 2 === 1);
  batch.key = `${key.slice(0, 50)}-half`;
  const result = await forward() as BatchResult;
  Object.assign(batch, { key, actions });
  const { code, message, permanent } = diskFull("apply");
  const results = actions.map((_, i) =>
    i % 2 === 1
      ? result.results[(i - 1) / 2]
      : { done: false as const, problem: { code, message, permanent } }
  );
  return { ...result, results };
}

function lost(method: string): FilesyncError {
  return new FilesyncError({ code: "unreachable", operation: method, reason: "the connection was lost" });
}

function diskFull(method: string): FilesyncError {
  return new FilesyncError({ code: "disk-full", operation: method, reason: "the disk is full" });
}
