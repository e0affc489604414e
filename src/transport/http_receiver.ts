/** The receiver that is a server somewhere else, spoken to over HTTP. @module */
import { packManifest } from "../core/chunk.ts";
import type { Chunk } from "../core/chunk.ts";
import type { Entry } from "../core/entry.ts";
import { FilesyncError } from "../core/errors.ts";
import { encodeFrames, type Frame, FRAMES_TYPE } from "../core/frames.ts";
import type { TreePath } from "../core/path.ts";
import { errorOf, type Problem } from "../core/problem.ts";
import {
  fromRanges,
  LINES_TYPE,
  PROBLEM_TYPE,
  PROTOCOL,
  SESSION_HEADER,
  type WireNeed,
} from "../core/wire.ts";
import type {
  Batch,
  BatchResult,
  ContentNeed,
  ContentOffer,
  HistoryQuery,
  HistoryRecord,
  Receiver,
  ReceiverInfo,
} from "./receiver.ts";

/** A connection slower than this many bytes a second is taken for dead. */
const SLOWEST_BYTES_PER_SECOND = 4_096;
/** Time every request has, however small. */
const LEAST_TIMEOUT_MS = 60_000;

/** Settings of {@linkcode HttpReceiver}. */
export interface HttpReceiverOptions {
  /** Sent as a bearer token. */
  token?: string;
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
}

/** A server that takes actions. */
export class HttpReceiver implements Receiver {
  readonly #base: URL;
  readonly #options: HttpReceiverOptions;
  readonly #fetch: (request: Request) => Promise<Response> | Response;
  #session = "";

  /** @param base The server's address, such as `http://127.0.0.1:7433`. */
  constructor(base: string | URL, options: HttpReceiverOptions = {}) {
    this.#base = new URL(base);
    if (!this.#base.pathname.endsWith("/")) this.#base.pathname += "/";
    this.#options = options;
    this.#fetch = options.fetch ?? ((request) => fetch(request));
  }

  async open(): Promise<ReceiverInfo> {
    const { client, version } = this.#options;
    const answer = await this.#json<ReceiverInfo & { session: string }>("v1/sessions", {
      method: "POST",
      body: JSON.stringify({ protocol: PROTOCOL, client, version }),
      type: "application/json",
    });
    this.#session = answer.session;
    return answer;
  }

  async *tree(): AsyncGenerator<Entry> {
    const response = await this.#request("v1/tree", { accept: LINES_TYPE });
    let rest = "";
    let complete = false;
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        // An empty line says that all has been sent: a list that was cut must not pass for a tree.
        if (line === "") complete = true;
        else yield JSON.parse(line);
      }
    }
    if (!complete) throw unreachable("list the tree", "the list was cut short");
  }

  async entry(path: TreePath): Promise<Entry | undefined> {
    const { entry } = await this.#json<{ entry: Entry | null }>(`v1/entries/${encodePath(path)}`, {});
    return entry ?? undefined;
  }

  async check(offers: ContentOffer[]): Promise<ContentNeed[]> {
    const frames = offers.map(({ digest, size, manifest }): Frame => ({
      header: { digest, size, chunked: manifest !== undefined },
      content: packManifest(manifest ?? []),
    }));
    const { needs } = await this.#json<{ needs: WireNeed[] }>("v1/check", framed("POST", frames));
    return needs.map((need) => typeof need === "string" ? need : fromRanges(need));
  }

  async stage(chunks: Chunk[]): Promise<void> {
    const frames = chunks.map(({ digest, data }): Frame => ({ header: { digest }, content: data }));
    await this.#json("v1/chunks", framed("POST", frames));
  }

  apply({ key, actions, contents }: Batch): Promise<BatchResult> {
    const frames: Frame[] = [{ header: { key, actions }, content: new Uint8Array() }];
    for (const [digest, content] of contents) frames.push({ header: { digest }, content });
    return this.#json("v1/batch", framed("POST", frames));
  }

  async read(
    path: TreePath,
    range?: { start: number; end: number },
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const response = await this.#request(`v1/files/${encodePath(path)}`, {
      headers: range === undefined ? {} : { range: `bytes=${range.start}-${range.end - 1}` },
      endless: true,
    });
    return response.body ?? new ReadableStream({ start: (controller) => controller.close() });
  }

  async history({ under, before, limit }: HistoryQuery): Promise<HistoryRecord[]> {
    const query = new URLSearchParams();
    if (under) query.set("under", under);
    if (before !== undefined) query.set("before", String(before));
    if (limit !== undefined) query.set("limit", String(limit));
    return (await this.#json<{ records: HistoryRecord[] }>(`v1/history?${query}`, {})).records;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #json<T>(path: string, request: RequestOptions): Promise<T> {
    const response = await this.#request(path, request);
    try {
      return await response.json();
    } catch (error) {
      throw unreachable(`read the answer of ${this.#base.host}`, "it was cut short", error);
    }
  }

  async #request(
    path: string,
    { method = "GET", body, type, accept, headers, endless }: RequestOptions,
  ): Promise<Response> {
    const { token, signal, onSent } = this.#options;
    const size = body?.length ?? 0;
    const timeout = AbortSignal.timeout(LEAST_TIMEOUT_MS + 1_000 * size / SLOWEST_BYTES_PER_SECOND);
    const signals = [...(endless ? [] : [timeout]), ...(signal === undefined ? [] : [signal])];
    let response: Response;
    try {
      response = await this.#fetch(
        new Request(new URL(path, this.#base), {
          method,
          body,
          // A token must never follow a redirect to somewhere else.
          redirect: "manual",
          signal: AbortSignal.any(signals),
          headers: {
            ...headers,
            ...(type === undefined ? {} : { "content-type": type }),
            ...(accept === undefined ? {} : { accept }),
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(this.#session === "" ? {} : { [SESSION_HEADER]: this.#session }),
          },
        }),
      );
    } catch (error) {
      signal?.throwIfAborted();
      throw unreachable(`reach ${this.#base.origin}`, reasonOf(error), error);
    }
    onSent?.(size);
    if (response.ok) return response;
    throw await this.#failure(response);
  }

  async #failure(response: Response): Promise<FilesyncError> {
    const text = await response.text().catch(() => "");
    if (response.headers.get("content-type")?.startsWith(PROBLEM_TYPE)) {
      try {
        const { code, detail, ...rest } = JSON.parse(text) as Problem & { detail: string };
        return errorOf({ ...rest, code, message: detail, retryAfter: retryAfterOf(response) });
      } catch {
        // Told below.
      }
    }
    const permanent = response.status < 500 && ![408, 425, 429].includes(response.status);
    return new FilesyncError({
      code: response.status === 401 ? "unauthorized" : permanent ? "unsupported" : "unreachable",
      operation: `talk to ${this.#base.origin}`,
      reason: `it answered ${response.status} ${response.statusText}`.trim(),
      hint: permanent ? "Check that the address is that of a filesync server" : undefined,
      permanent,
      retryAfter: retryAfterOf(response),
    });
  }
}

interface RequestOptions {
  method?: string;
  body?: string | Uint8Array<ArrayBuffer>;
  type?: string;
  accept?: string;
  headers?: Record<string, string>;
  /** Whether the answer may take as long as it likes. */
  endless?: boolean;
}

function encodePath(path: TreePath): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function framed(method: string, frames: Frame[]): RequestOptions {
  return { method, body: encodeFrames(frames), type: FRAMES_TYPE };
}

/** Milliseconds of a `Retry-After` header in seconds; the other form, a date, is not used by servers of ours. */
function retryAfterOf(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
}

function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") return "it did not answer in time";
  const message = error instanceof Error ? error.message : String(error);
  const known = [
    [/connection refused/i, "nothing listens there (connection refused)"],
    [/dns|lookup address|name or service/i, "the host name is not known"],
    [/certificate|tls/i, "its certificate is not trusted"],
    [/network is unreachable|no route/i, "there is no network to it"],
  ] as const;
  return known.find(([pattern]) => pattern.test(message))?.[1] ?? "the connection broke";
}

function unreachable(operation: string, reason: string, cause?: unknown): FilesyncError {
  return new FilesyncError({
    code: "unreachable",
    operation,
    reason,
    hint: "Check that `filesync serve` runs there and that the address is right",
    cause,
  });
}
