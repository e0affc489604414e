/** The old states of a tree on a server. @module */
import type * as v from "valibot";
import type { Digest } from "../core/digest.ts";
import type { Entry } from "../core/entry.ts";
import type { TreePath } from "../core/path.ts";
import { entrySchema, keptPageSchema } from "../core/wire.ts";
import type { ContentRange } from "../versions/content_reader.ts";
import type { KeptQuery } from "../versions/kept_files.ts";
import type { KeptPage, TreeVersions } from "./tree_versions.ts";

/** The requests that it makes; all of them check what answers. */
export interface VersionRequests {
  /** An answer in JSON. */
  json<T>(schema: v.GenericSchema<unknown, T>, path: string): Promise<T>;
  /** An answer with one value a line. */
  lines<T>(schema: v.GenericSchema<unknown, T>, path: string): AsyncGenerator<T>;
  /** An answer that is bytes. */
  bytes(path: string, range?: ContentRange): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** How long such an answer is. */
  size(path: string): Promise<number>;
}

/** See the module's comment. */
export class HttpVersions implements TreeVersions {
  readonly #requests: VersionRequests;

  constructor(requests: VersionRequests) {
    this.#requests = requests;
  }

  list({ under, before, limit }: KeptQuery): Promise<KeptPage> {
    return this.#requests.json(keptPageSchema, `v1/versions?${queryOf({ under, before, limit })}`);
  }

  treeAt(at: number, under?: TreePath): AsyncGenerator<Entry> {
    return this.#requests.lines(entrySchema, `v1/versions/tree?${queryOf({ at, under })}`);
  }

  sizeOf(content: Digest): Promise<number> {
    return this.#requests.size(`v1/versions/contents/${content}`);
  }

  read(content: Digest, range?: ContentRange): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    return this.#requests.bytes(`v1/versions/contents/${content}`, range);
  }
}

/** The query with all that is given; the root is everything. */
export function queryOf(values: Record<string, string | number | undefined>): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  return query;
}
