/**
 * The ways to cut content into chunks, by name. The name is stored and sent with every manifest:
 * two sides find each other's chunks only when both cut by the same.
 *
 * @module
 */
import { FilesyncError } from "../core/errors.ts";
import { type ChunkSizes, chunkSizesFor } from "./sizes.ts";
import { openVgear } from "./vgear.ts";

/** A named way to cut content, and to name what was cut. What a name stands for never changes. */
export interface Chunking {
  /** Algorithm, usual average and version. */
  readonly name: string;
  /** The sizes to cut content of `size` bytes by. */
  sizesFor(size: number): ChunkSizes;
  /** Memory to cut one content in by `sizes`; to be disposed of, so that it can be used again. */
  open(sizes: ChunkSizes): ChunkKernel;
}

/** Memory in which content is cut and digested, without a copy; see `ChunkStream` for the use of it. */
export interface ChunkKernel extends Disposable {
  /** Where content is to be written: at least twice the longest chunk. */
  readonly buffer: Uint8Array<ArrayBuffer>;
  /**
   * Cuts the bytes of {@linkcode buffer} from `start`, which is a cut, to `end`.
   *
   * @param more Whether the content goes on after `end`. Then only chunks that cannot depend on
   * what follows are cut, and fewer bytes remain than the longest chunk has; otherwise the chunks
   * reach to `end`.
   * @returns The packed manifest of the chunks, void as soon as anything else is cut.
   */
  chunks(start: number, end: number, more: boolean): Uint8Array;
}

/** What new content is cut by. */
export const DEFAULT_CHUNKING: Chunking = {
  name: "vgear-16k-v1",
  sizesFor: chunkSizesFor,
  open: openVgear,
};

const CHUNKINGS: ReadonlyMap<string, Chunking> = new Map(
  [DEFAULT_CHUNKING].map((chunking) => [chunking.name, chunking]),
);

/**
 * The chunking that is called `name`.
 *
 * @throws {FilesyncError} `unsupported` when this version knows none of that name.
 */
export function chunkingByName(name: string): Chunking {
  const chunking = CHUNKINGS.get(name);
  if (chunking !== undefined) return chunking;
  throw new FilesyncError({
    code: "unsupported",
    operation: `cut files by ${JSON.stringify(name.slice(0, 80))}`,
    reason: "this version of filesync does not know that chunking",
    hint: "Use the same version of filesync on both sides",
    permanent: true,
  });
}
