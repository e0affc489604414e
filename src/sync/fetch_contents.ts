/**
 * Fetches contents in the order in which they are needed: small ones many in one request, and the next
 * request while the last answer is written; big ones as streams. All of them are verified.
 *
 * @module
 */
import type { Digest } from "../core/digest.ts";
import { FilesyncError } from "../core/errors.ts";
import { Sha256, sha256 } from "../hashing/sha256.ts";
import { wholeOf } from "../transport/read_pieces.ts";
import type { Receiver } from "../transport/receiver.ts";
import type { TreeVersions } from "../transport/tree_versions.ts";

/** Contents up to so many bytes are asked for together. */
const SMALL_BYTES = 1 << 20;
/** Most bytes, and most contents, of one request. */
const GROUP_BYTES = 4 << 20;
const GROUP_ITEMS = 500;
/** Requests under way before their answers are needed. */
const GROUPS_AHEAD = 2;

/** A content that will be needed. */
export interface WantedContent {
  digest: Digest;
  size: number;
}

/** Takes a content, perhaps at the second try. */
export interface RefillableSink {
  write(data: Uint8Array): void;
  /** Forgets all that was written. */
  truncate(): void;
}

/** Where contents are fetched from. */
export interface ContentPlaces {
  versions: Pick<TreeVersions, "read">;
  /** Gives small contents by the hundred, where that is quicker. */
  pieces?: Receiver["pieces"];
}

type Group = Promise<Map<Digest, Uint8Array>>;

/** See the module's comment. */
export class ContentFetcher {
  readonly #places: ContentPlaces;
  /** In the order of need. */
  readonly #groups: WantedContent[][] = [];
  readonly #groupOf = new Map<Digest, number>();
  readonly #fetched = new Map<number, Group>();

  /** @param wanted In the order in which {@linkcode writeTo} will be called. */
  constructor(places: ContentPlaces, wanted: Iterable<WantedContent>) {
    this.#places = places;
    if (places.pieces === undefined) return;
    let group: WantedContent[] = [];
    let bytes = 0;
    for (const content of wanted) {
      if (content.size > SMALL_BYTES || this.#groupOf.has(content.digest)) continue;
      if (group.length === 0 || group.length >= GROUP_ITEMS || bytes + content.size > GROUP_BYTES) {
        this.#groups.push(group = []);
        bytes = 0;
      }
      group.push(content);
      bytes += content.size;
      this.#groupOf.set(content.digest, this.#groups.length - 1);
    }
  }

  /**
   * Writes a content to `sink`.
   *
   * @throws {FilesyncError} `content-missing` when it cannot be had, `digest-mismatch` when it is damaged.
   */
  async writeTo(sink: RefillableSink, digest: Digest): Promise<void> {
    const at = this.#groupOf.get(digest);
    const data = at === undefined ? undefined : (await this.#group(at)).get(digest);
    if (data !== undefined && sha256(data) === digest) return sink.write(data);
    const whole = new Sha256();
    for await (const piece of await this.#places.versions.read(digest)) {
      whole.update(piece);
      sink.write(piece);
    }
    if (whole.digest() === digest) return;
    throw new FilesyncError({
      code: "digest-mismatch",
      operation: `read the content ${digest}`,
      reason: "what arrived is something else",
      hint: "Verify the versions where they are kept",
    });
  }

  #group(at: number): Group {
    for (const before of this.#fetched.keys()) if (before < at - 1) this.#fetched.delete(before);
    for (let next = at; next <= Math.min(at + GROUPS_AHEAD, this.#groups.length - 1); next++) {
      if (this.#fetched.has(next)) continue;
      const group = this.#fetch(this.#groups[next]);
      // It is thrown where it is needed.
      group.catch(() => {});
      this.#fetched.set(next, group);
    }
    return this.#fetched.get(at)!;
  }

  async #fetch(group: WantedContent[]): Group {
    const pieces = await this.#places.pieces!(group.map(({ digest, size }) => wholeOf(digest, size)));
    return new Map(group.flatMap(({ digest }, i) => pieces[i] === undefined ? [] : [[digest, pieces[i]]]));
  }
}
