/** A file of a tree as a stream. @module */
import type { OpenFile } from "../files/tree_root.ts";

/** Bytes read in one go. */
const BLOCK_BYTES = 256 << 10;

/** The bytes of `file`, which is closed at the end; it may be shorter than the range by then. */
export function fileStream(
  file: OpenFile,
  { start, end }: { start: number; end: number } = { start: 0, end: Infinity },
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = start;
  const stop = Math.min(end, file.stat.size);
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      try {
        const block = new Uint8Array(Math.min(stop - at, BLOCK_BYTES));
        const length = file.read(block, at);
        if (length > 0) {
          at += length;
          controller.enqueue(block.subarray(0, length));
        }
        if (length > 0 && at < stop) return;
        controller.close();
      } catch (error) {
        controller.error(error);
      }
      file[Symbol.dispose]();
    },
    cancel() {
      file[Symbol.dispose]();
    },
  });
}
