/**
 * Tar archives (POSIX.1-1988, "ustar") that depend on nothing but what is in them: the same files give
 * the same bytes, on every system.
 *
 * @module
 */

/** A file of an archive. */
export interface ArchivedFile {
  /** At most 100 bytes of ASCII. */
  name: string;
  data: Uint8Array;
  /** Whether it is a program. @default {false} */
  executable?: boolean;
}

const BLOCK = 512;

/** The archive of `files`, all of them root's. */
export function tar(files: readonly ArchivedFile[]): Uint8Array<ArrayBuffer> {
  const blocks = files.map(({ data }) => 1 + Math.ceil(data.length / BLOCK)).reduce((a, b) => a + b, 0);
  // Two empty blocks end it.
  const archive = new Uint8Array((blocks + 2) * BLOCK);
  let position = 0;
  for (const file of files) {
    archive.set(header(file), position);
    archive.set(file.data, position + BLOCK);
    position += BLOCK + Math.ceil(file.data.length / BLOCK) * BLOCK;
  }
  return archive;
}

/** The fields of the header, by where they begin. */
function header({ name, data, executable = false }: ArchivedFile): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const text = (at: number, value: string) => block.set(new TextEncoder().encode(value), at);
  const octal = (at: number, value: number, digits: number) =>
    text(at, value.toString(8).padStart(digits, "0"));
  if (new TextEncoder().encode(name).length > 100) throw new RangeError(`The name is too long: ${name}`);
  text(0, name);
  octal(100, executable ? 0o755 : 0o644, 7);
  octal(108, 0, 7);
  octal(116, 0, 7);
  octal(124, data.length, 11);
  octal(136, 0, 11);
  // The sum is made as if its own field were spaces.
  text(148, " ".repeat(8));
  text(156, "0");
  text(257, "ustar\0" + "00");
  text(265, "root");
  text(297, "root");
  octal(148, block.reduce((a, b) => a + b, 0), 6);
  block[154] = 0;
  return block;
}
