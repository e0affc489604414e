/** Scanning a tree into a catalog. @module */
import type { Clock } from "../core/clock.ts";
import type { Problem } from "../core/problem.ts";
import type { Crawler } from "./crawler.ts";
import { beginScan, type ScanOptions, type ScanSession, type ScanSummary } from "./scan_session.ts";
import { WHOLE } from "./shard.ts";
import type { Store } from "./store.ts";

/** What {@linkcode scanTree} needs. */
export interface ScanTreeOptions extends Omit<ScanOptions, "startedAt"> {
  clock: Clock;
  /** @default {[]} */
  ignore?: readonly string[];
  /** @default {false} */
  oneFileSystem?: boolean;
  signal?: AbortSignal;
  /** Told after each share of the work. */
  onProgress?: (session: ScanSession) => void;
  onProblem?: (problem: Problem) => void;
}

/**
 * Walks a tree while its listings are loaded, and merges them.
 *
 * @throws {FilesyncError} When the root cannot be read or is empty all at once, the catalog not be written, or the
 * signal aborts: the catalog is then what it was.
 */
export async function scanTree(
  store: Store,
  crawler: Crawler,
  options: ScanTreeOptions,
): Promise<ScanSummary> {
  const { clock, root, signal, shard = WHOLE, ignore = [], oneFileSystem = false } = options;
  await using session = await beginScan(store, { ...options, startedAt: clock.now() });
  const { apart } = session;
  for await (const walked of crawler.walk({ root, ignore, oneFileSystem, shard, apart }, { signal })) {
    await session.add(walked);
    if (options.onProblem !== undefined) walked.problems.forEach(options.onProblem);
    options.onProgress?.(session);
  }
  signal?.throwIfAborted();
  return await session.finish(clock.now());
}
