/** The receiver that is a server somewhere else, spoken to over HTTP. @module */
import { deadline } from "@std/async";
import * as v from "valibot";
import { packRanges } from "../chunking/byte_range.ts";
import { type Chunk, type ChunkRun, type Manifest, packManifest, unpackManifest } from "../core/chunk.ts";
import { boundedStatus, type ClientStatus, type StatusAnswer } from "../core/client_status.ts";
import type { Entry } from "../core/entry.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { FilesyncError } from "../core/errors.ts";
import { decodeFrames, encodeFrames, type Frame, FRAMES_TYPE } from "../core/frames.ts";
import type { Digest } from "../core/digest.ts";
import type { TreePath } from "../core/path.ts";
import { errorOf, type Problem } from "../core/problem.ts";
import { parseRetryAfter } from "../core/retry_after.ts";
import {
  entrySchema,
  fromRanges,
  groupsHeaderSchema,
  heldHeaderSchema,
  LINES_TYPE,
  PROBLEM_TYPE,
  PROTOCOL,
  protocolMismatch,
  refreshLineSchema,
  REQUEST_HEADER,
  SESSION_HEADER,
  spokenSchema,
  statusAnswerSchema,
  TIMING_HEADER,
  welcomeSchema,
  type WireNeed,
} from "../core/wire.ts";
import type { ContentRange } from "../versions/content_reader.ts";
import { CODING, compress, LinkSpeed } from "./compression.ts";
import { HttpVersions, queryOf } from "./http_versions.ts";
import { noAnswer, unreachable } from "./no_answer.ts";
import { type LentMemory, SpareMemory } from "./spare_memory.ts";
import type { TreeVersions } from "./tree_versions.ts";
import type {
  Batch,
  BatchResult,
  ContentName,
  ContentNeed,
  ContentOffer,
  GroupedManifest,
  HistoryQuery,
  HistoryRecord,
  PieceRequest,
  Receiver,
  ReceiverInfo,
  RefreshedInfo,
  SignatureRequest,
} from "./receiver.ts";

/** A connection slower than this many bytes a second is taken for dead. */
const SLOWEST_BYTES_PER_SECOND = 4_096;
/** Time every request has, however small, and every pause in a long answer. */
const LEAST_TIMEOUT_MS = 60_000;
/** What is put must be verified and on the disk before the answer comes; a disk slower than that is taken for dead. */
const SLOWEST_DISK_BYTES_PER_SECOND = 8 << 20;

/** The longest that a timer can be set to. */
const MAX_TIMER_MS = 2 ** 31 - 1;

// What another server, a proxy or the login page of a network could answer instead is told apart by these.
const objects = v.array(v.looseObject({}));
const needsAnswer: v.GenericSchema<unknown, { needs: WireNeed[] }> = v.object({
  needs: v.array(v.union([
    v.picklist(["nothing", "whole"]),
    v.array(v.strictTuple([v.number(), v.number()])),
  ])),
});
const batchAnswer = v.object({ before: v.number(), after: v.number(), results: objects });
const historyAnswer = v.object({ records: objects });
const problemAnswer = v.looseObject({ code: v.string(), detail: v.string() });
const entryAnswer = v.object({ entry: v.nullable(entrySchema) });

const notHeld = v.object({ held: v.literal(false) });
const groupsAnswer = v.object({ held: v.literal(true), ...groupsHeaderSchema.entries });

/** Settings of {@linkcode HttpReceiver}. */
export interface HttpReceiverOptions {
  /** Sent as a bearer token; a function is asked for the one that holds now. */
  token?: string | (() => string | undefined);
  /** How the client names itself to people: `user@host:/directory`. */
  client?: string;
  /** The program's version. */
  version?: string;
  /** Makes requests; a server's own `fetch` needs no socket. @default {fetch} */
  fetch?: (request: Request) => Promise<Response> | Response;
  /** Told the bytes of every body sent. */
  onSent?: (bytes: number) => void;
  /** Ends requests under way. */
  signal?: AbortSignal;
  /** Tells how far off the date in a `Retry-After` is, when the answer has none of its own. @default {systemClock} */
  clock?: Clock;
  /** Least time that an answer is waited for, milliseconds. @default {60_000} */
  timeout?: number;
}

/** A server that takes actions. */
export class HttpReceiver implements Receiver {
  readonly #base: URL;
  readonly #options: HttpReceiverOptions;
  readonly #fetch: (request: Request) => Promise<Response> | Response;
  readonly #link = new LinkSpeed();
  readonly #memory = new SpareMemory();
  #session = "";
  /** Begins the names of all requests: nobody else's begin so. */
  readonly #name = crypto.randomUUID();
  #requests = 0;

  /** @param base The server's address, such as `http://127.0.0.1:7433`. */
  constructor(base: string | URL, options: HttpReceiverOptions = {}) {
    this.#base = new URL(base);
    if (!this.#base.pathname.endsWith("/")) this.#base.pathname += "/";
    this.#options = options;
    this.#fetch = options.fetch ?? ((request) => fetch(request));
  }

  /** What was replaced and removed there, if the server keeps it. */
  readonly versions: TreeVersions = new HttpVersions({
    json: (schema, path) => this.#json(schema, path, {}),
    lines: (schema, path) => this.#lines(schema, path, {}),
    bytes: (path, range) => this.#bytes(path, range),
    size: (path) => this.#sizeOf(path),
  });

  get isNear(): boolean {
    return !this.#link.isSlow;
  }

  async open(): Promise<ReceiverInfo> {
    const { client, version } = this.#options;
    const hello = { protocol: PROTOCOL, client, version };
    const response = await this.#answer("v1/sessions", json("POST", hello));
    const text = await this.#textOf(response);
    const { protocol } = this.#parse(spokenSchema, text, response);
    if (protocol !== PROTOCOL) throw protocolMismatch(PROTOCOL, protocol);
    const { session, ...info } = this.#parse(welcomeSchema, text, response);
    this.#session = session;
    return info;
  }

  tree(under?: TreePath): AsyncGenerator<Entry> {
    return this.#lines(entrySchema, under === undefined ? "v1/tree" : `v1/tree?${queryOf({ under })}`, {});
  }

  async refresh(): Promise<RefreshedInfo> {
    for await (const line of this.#lines(refreshLineSchema, "v1/refresh", { method: "POST" })) {
      if ("problem" in line) throw errorOf(line.problem);
      if ("info" in line) return line.info;
    }
    throw this.#cutShort();
  }

  async entry(path: TreePath): Promise<Entry | undefined> {
    const { entry } = await this.#json(entryAnswer, `v1/entries/${encodePath(path)}`, {});
    return entry ?? undefined;
  }

  async check(offers: ContentOffer[]): Promise<ContentNeed[]> {
    const frames = offers.map(({ digest, size, manifest }): Frame => ({
      header: { digest, size, chunked: manifest !== undefined },
      content: packManifest(manifest ?? []),
    }));
    const { needs } = await this.#json(
      answersTo(offers, needsAnswer, "needs"),
      "v1/check",
      framed("POST", frames),
    );
    return needs.map((need) => typeof need === "string" ? need : fromRanges(need));
  }

  async stage(chunks: Chunk[]): Promise<void> {
    const frames = chunks.map(({ digest, data }): Frame => ({ header: { digest }, content: data }));
    await this.#json(v.object({ staged: v.literal(chunks.length) }), "v1/chunks", framed("POST", frames));
  }

  async stageRuns(runs: ChunkRun[]): Promise<void> {
    const frames = runs.map(({ content, first, data }): Frame => ({
      header: { content, first },
      content: data,
    }));
    using lent = this.#memory.lend();
    const request = framed("POST", frames, lent.take);
    await this.#json(v.object({ staged: v.literal(runs.length) }), "v1/runs", request);
  }

  async signatures(requests: SignatureRequest[]): Promise<(Uint8Array | undefined)[]> {
    const frames = requests.map(({ content, blockSize, ranges }): Frame => ({
      header: { content, blockSize },
      content: packRanges(ranges),
    }));
    const answers = await this.#frames(
      heldHeaderSchema,
      requests.length,
      "v1/signatures",
      framed("POST", frames),
    );
    return answers.map(({ header, content }) => header.held ? content : undefined);
  }

  async manifestGroups(name: ContentName): Promise<GroupedManifest | undefined> {
    const schema = v.union([groupsAnswer, notHeld]);
    const [{ header, content }] = await this.#frames(schema, 1, "v1/manifests", json("POST", name));
    return header.held ? { digest: header.digest, size: header.size, groups: content } : undefined;
  }

  async groupChunks(digest: Digest, groups: number[]): Promise<Uint8Array | undefined> {
    const request = json("POST", { digest, groups });
    const [{ header, content }] = await this.#frames(heldHeaderSchema, 1, "v1/manifests", request);
    return header.held ? content : undefined;
  }

  async manifest(content: Digest): Promise<Manifest | undefined> {
    const [{ header, content: packed }] = await this.#frames(
      heldHeaderSchema,
      1,
      `v1/manifests/${content}`,
      {},
    );
    return header.held ? unpackManifest(packed) : undefined;
  }

  async pieces(requests: PieceRequest[]): Promise<(Uint8Array<ArrayBuffer> | undefined)[]> {
    const frames = requests.map(({ content, ranges }): Frame => ({
      header: { content },
      content: packRanges(ranges),
    }));
    const answers = await this.#frames(
      heldHeaderSchema,
      requests.length,
      "v1/pieces",
      framed("POST", frames),
    );
    return answers.map(({ header, content }) => header.held ? content : undefined);
  }

  async apply({ key, actions, contents, deltas }: Batch): Promise<BatchResult> {
    const frames: Frame[] = [{ header: { key, actions }, content: new Uint8Array() }];
    for (const [digest, content] of contents) frames.push({ header: { digest }, content });
    for (const [digest, content] of deltas ?? []) frames.push({ header: { digest, delta: true }, content });
    const schema = answersTo(actions, batchAnswer, "results");
    const bytes = actions.reduce((sum, action) => sum + (action.type === "put" ? action.size : 0), 0);
    const patience = 1_000 * bytes / SLOWEST_DISK_BYTES_PER_SECOND;
    return await this.#json(schema, "v1/batch", { ...framed("POST", frames), patience }) as BatchResult;
  }

  async read(
    path: TreePath,
    range?: { start: number; end: number },
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    return await this.#bytes(`v1/files/${encodePath(path)}`, range);
  }

  async history({ under, touching, before, limit }: HistoryQuery): Promise<HistoryRecord[]> {
    const query = queryOf({ under, touching, before, limit });
    const { records } = await this.#json(historyAnswer, `v1/history?${query}`, {});
    return records as unknown as HistoryRecord[];
  }

  async report(status: ClientStatus, signal?: AbortSignal): Promise<StatusAnswer> {
    const request = { ...json("POST", boundedStatus(status)), signal };
    return await this.#json(statusAnswerSchema, "v1/status", request);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #json<T>(schema: v.GenericSchema<unknown, T>, path: string, request: RequestOptions): Promise<T> {
    const response = await this.#answer(path, request);
    return this.#parse(schema, await this.#textOf(response), response);
  }

  /** An answer that is JSON. */
  async #answer(path: string, request: RequestOptions): Promise<Response> {
    const response = await this.#request(path, request);
    await this.#expect(response, "application/json");
    return response;
  }

  async #textOf(response: Response): Promise<string> {
    try {
      return await response.text();
    } catch (error) {
      throw this.#cutShort(error);
    }
  }

  /** An answer that is bytes, or some of them. */
  async #bytes(path: string, range?: ContentRange): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const response = await this.#request(path, {
      headers: range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` },
      endless: true,
    });
    await this.#expect(response, "application/octet-stream");
    return ReadableStream.from(this.#pieces(response));
  }

  /** How long such an answer would be. */
  async #sizeOf(path: string): Promise<number> {
    // The answer to a HEAD would not say what went wrong.
    const response = await this.#request(path, { endless: true });
    await this.#expect(response, "application/octet-stream");
    await response.body?.cancel();
    const size = Number(response.headers.get("content-length") ?? NaN);
    if (!Number.isSafeInteger(size)) throw this.#stranger(response);
    return size;
  }

  /** The values of an answer with one a line. */
  async *#lines<T>(
    schema: v.GenericSchema<unknown, T>,
    path: string,
    request: RequestOptions,
  ): AsyncGenerator<T> {
    const response = await this.#request(path, { ...request, accept: LINES_TYPE, endless: true });
    await this.#expect(response, LINES_TYPE);
    const decoder = new TextDecoder();
    let rest = "";
    for await (const piece of this.#pieces(response)) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        // An empty line says that all has been sent: a list that was cut must not pass for a tree.
        if (line === "") return;
        yield this.#parse(schema, line, response);
      }
    }
    throw this.#cutShort();
  }

  /** The frames of an answer that must have `count` of them. */
  async #frames<T>(
    schema: v.GenericSchema<unknown, T>,
    count: number,
    path: string,
    request: RequestOptions,
  ): Promise<{ header: T; content: Uint8Array<ArrayBuffer> }[]> {
    const response = await this.#request(path, request);
    await this.#expect(response, FRAMES_TYPE);
    let body: Uint8Array<ArrayBuffer>;
    try {
      body = await response.bytes();
    } catch (error) {
      throw this.#cutShort(error);
    }
    try {
      const frames = decodeFrames(body);
      if (frames.length !== count) throw new RangeError(`${frames.length} frames in place of ${count}`);
      return frames.map(({ header, content }) => ({ header: v.parse(schema, header), content }));
    } catch (error) {
      throw this.#stranger(response, error);
    }
  }

  async #expect(response: Response, type: string): Promise<void> {
    if (response.headers.get("content-type")?.split(";")[0].trim().toLowerCase() === type) return;
    await response.body?.cancel();
    throw this.#stranger(response);
  }

  #parse<T>(schema: v.GenericSchema<unknown, T>, text: string, response: Response): T {
    try {
      return v.parse(schema, JSON.parse(text));
    } catch (error) {
      throw this.#stranger(response, error);
    }
  }

  /** The pieces of a long answer; a pause in it may not be too long, the whole may. */
  async *#pieces(response: Response): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    if (response.body === null) return;
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await deadline(reader.read(), this.#timeout);
        if (done) return;
        yield value;
      }
    } catch (error) {
      throw this.#cutShort(error);
    } finally {
      // Does nothing at the end; before it, lets the connection go.
      await reader.cancel().catch(() => {});
    }
  }

  get #timeout(): number {
    return this.#options.timeout ?? LEAST_TIMEOUT_MS;
  }

  #cutShort(cause?: unknown): FilesyncError {
    this.#options.signal?.throwIfAborted();
    const operation = `read the answer of ${this.#base.origin}`;
    const { hint } = noAnswer(cause);
    return new FilesyncError({ code: "unreachable", operation, reason: "it was cut short", hint, cause });
  }

  /** Something answered, but nothing that speaks as a filesync server does. */
  #stranger({ status, headers }: Response, cause?: unknown): FilesyncError {
    const type = headers.get("content-type")?.split(";")[0] ?? "no media type";
    return new FilesyncError({
      code: "unreachable",
      operation: `talk to ${this.#base.origin}`,
      reason: `what answers there is not a filesync server (${status}, ${type})`,
      hint: "Check the address; a proxy, or the login page of a network, may have answered in its place",
      cause,
    });
  }

  async #request(
    path: string,
    { method = "GET", body: plain, type, accept, headers, endless, signal: own, patience = 0 }:
      RequestOptions,
  ): Promise<Response> {
    const { signal, onSent } = this.#options;
    const token = typeof this.#options.token === "function" ? this.#options.token() : this.#options.token;
    const packed = type === FRAMES_TYPE && this.#link.isSlow && plain instanceof Uint8Array
      ? await compress(plain, this.#link.level)
      : undefined;
    const body = packed ?? plain;
    const size = body?.length ?? 0;
    const request = `${this.#name}-${++this.#requests}`;
    const began = performance.now();
    const timeout = AbortSignal.timeout(
      Math.min(MAX_TIMER_MS, this.#timeout + 1_000 * size / SLOWEST_BYTES_PER_SECOND + patience),
    );
    const late = new AbortController();
    const giveUp = () => late.abort(timeout.reason);
    // While somebody listens to it, its timer keeps the program from ending.
    if (endless) timeout.addEventListener("abort", giveUp);
    let response: Response;
    try {
      response = await this.#fetch(
        new Request(new URL(path, this.#base), {
          method,
          body,
          // A token must never follow a redirect to somewhere else.
          redirect: "manual",
          signal: AbortSignal.any([
            endless ? late.signal : timeout,
            ...(signal === undefined ? [] : [signal]),
            ...(own === undefined ? [] : [own]),
          ]),
          headers: {
            ...headers,
            ...(type === undefined ? {} : { "content-type": type }),
            ...(packed === undefined ? {} : { "content-encoding": CODING }),
            ...(accept === undefined ? {} : { accept }),
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(this.#session === "" ? {} : { [SESSION_HEADER]: this.#session }),
            [REQUEST_HEADER]: request,
          },
        }),
      );
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof FilesyncError) throw error;
      throw unreachable(this.#base.origin, error);
    } finally {
      timeout.removeEventListener("abort", giveUp);
    }
    onSent?.(size);
    this.#link.learn(size, performance.now() - began - workTimeOf(response));
    const answered = response.headers.get(REQUEST_HEADER);
    if (!response.ok && (answered === null || answered === request)) {
      throw await this.#failure(response, answered !== null);
    }
    if (answered === request) return response;
    await response.body?.cancel();
    throw answered === null ? this.#stranger(response) : this.#mixedUp();
  }

  /** What came back was the answer to another request: it says nothing of this one. */
  #mixedUp(): FilesyncError {
    return new FilesyncError({
      code: "unreachable",
      operation: `talk to ${this.#base.origin}`,
      reason: "it gave the answer to another request",
      hint: "It is tried again; if it goes on, look at the proxy or cache between here and the server",
    });
  }

  /** @param isOurs Whether it is the server's answer to our request; else it comes from something on the way. */
  async #failure(response: Response, isOurs: boolean): Promise<FilesyncError> {
    const retryAfter = this.#retryAfterOf(response);
    const text = await response.text().catch(() => "");
    if (isOurs && response.headers.get("content-type")?.startsWith(PROBLEM_TYPE)) {
      try {
        const answer: Problem & { detail: string } = JSON.parse(text);
        v.assert(problemAnswer, answer);
        return errorOf({ ...answer, message: answer.detail, retryAfter });
      } catch {
        // Told below.
      }
    }
    // A redirect is what the login page of a network answers with.
    const passing = response.status >= 500 || response.status < 400 ||
      [408, 425, 429].includes(response.status);
    const permanent = !passing;
    return new FilesyncError({
      code: response.status === 401 ? "unauthorized" : permanent ? "unsupported" : "unreachable",
      operation: `talk to ${this.#base.origin}`,
      reason: `it answered ${response.status} ${response.statusText}`.trim(),
      hint: response.status >= 500 ? undefined : "Check that the address is that of a filesync server",
      permanent,
      retryAfter,
    });
  }

  /** Milliseconds that the other side asks to wait, by its own clock when it tells it. */
  #retryAfterOf({ headers }: Response): number | undefined {
    const given = headers.get("retry-after");
    if (given === null) return undefined;
    const date = Date.parse(headers.get("date") ?? "");
    return parseRetryAfter(given, Number.isNaN(date) ? (this.#options.clock ?? systemClock).now() : date);
  }
}

interface RequestOptions {
  method?: string;
  body?: string | Uint8Array<ArrayBuffer>;
  type?: string;
  accept?: string;
  headers?: Record<string, string>;
  /** Whether the answer may take as long as it likes, once it has begun. */
  endless?: boolean;
  /** Ends this request. */
  signal?: AbortSignal;
  /** Milliseconds that the answer may take besides. */
  patience?: number;
}

/** `schema`, with exactly one element in its list `key` for each of `asked`. */
function answersTo<T>(
  asked: readonly unknown[],
  schema: v.GenericSchema<unknown, T>,
  key: keyof T,
): v.GenericSchema<unknown, T> {
  return v.pipe(schema, v.check((answer) => (answer[key] as unknown[]).length === asked.length));
}

function encodePath(path: TreePath): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function framed(method: string, frames: Frame[], lend?: LentMemory["take"]): RequestOptions {
  return { method, body: encodeFrames(frames, lend), type: FRAMES_TYPE };
}

function json(method: string, body: unknown): RequestOptions {
  return { method, body: JSON.stringify(body), type: "application/json" };
}

/** Milliseconds that the server was at work, as it says. */
function workTimeOf(response: Response): number {
  return Number(/\bwork;dur=(\d+)/.exec(response.headers.get(TIMING_HEADER) ?? "")?.[1] ?? 0);
}
