/** The end of a log. @module */

/** Bytes in which the last lines are looked for. */
const TAIL_BYTES = 64 << 10;

/** The last `count` lines of the file at `path`; none when it cannot be read. */
export function tailOf(path: string, count: number): string[] {
  try {
    using file = Deno.openSync(path);
    const { size } = file.statSync();
    const start = file.seekSync(-Math.min(size, TAIL_BYTES), Deno.SeekMode.End);
    const bytes = new Uint8Array(size - start);
    const read = file.readSync(bytes) ?? 0;
    const lines = new TextDecoder().decode(bytes.subarray(0, read)).split(/\r?\n/);
    // The first one may be a part of a line.
    return (start > 0 ? lines.slice(1) : lines).filter((line) => line !== "").slice(-count);
  } catch {
    return [];
  }
}
