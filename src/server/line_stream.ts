/** Answers with one JSON value a line. @module */

/** Characters that are sent in one piece. */
const PIECE = 64 << 10;

/** The values, one a line; an empty line at the end says that it is whole. */
export function lineStream(values: AsyncIterable<unknown>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(lines(values)).pipeThrough(new TextEncoderStream());
}

async function* lines(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  let piece = "";
  for await (const value of values) {
    piece += `${JSON.stringify(value)}\n`;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = "";
  }
  yield `${piece}\n`;
}
