/**
 * The ways to cut content into chunks, by name. The name is stored and sent with every manifest:
 * two sides find each other's chunks only when both cut by the same.
 *
 * @module
 */
import { FilesyncError } from "../core/errors.ts";
import { fastcdcCuts } from "./fastcdc.ts";
import { type ChunkSizes, chunkSizesFor } from "./sizes.ts";

/** A named way to cut content. What a name stands for never changes. */
export interface Chunking {
  /** Algorithm, usual average and version. */
  readonly name: string;
  /** The sizes to cut content of `size` bytes by. */
  sizesFor(size: number): ChunkSizes;
  /**
   * The lengths of the chunks of `data`, which starts at a cut. Pure.
   *
   * @param more Whether the content goes on after `data`. Then only chunks that cannot depend on
   * what follows are cut, and fewer than `sizes.max` bytes remain; otherwise the lengths add up
   * to all of `data`.
   */
  cut(data: Uint8Array, sizes: ChunkSizes, more: boolean): number[];
}

/** What new content is cut by. */
export const DEFAULT_CHUNKING: Chunking = {
  name: "fastcdc2020-16k-v1",
  sizesFor: chunkSizesFor,
  cut: fastcdcCuts,
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
