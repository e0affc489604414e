/** The beginning of a content, for people: text as text, pictures as pictures, all else in hexadecimal digits. @module */
import { formatBytes } from "../../core/amounts.ts";
import { visible } from "../../core/visible.ts";

/** Bytes of a content that are looked at. */
export const PREVIEW_BYTES = 64 << 10;

/** Bytes that are shown in hexadecimal digits. */
const HEX_BYTES = 1 << 10;

/** Biggest picture that is shown, bytes. */
export const MOST_PICTURE_BYTES = 32 << 20;

/** What a content seems to be. */
export type Guess = { kind: "picture"; type: string } | { kind: "text"; text: string } | { kind: "bytes" };

/** Beginnings of pictures that a browser shows, and runs nothing of: SVG is none of them. */
const PICTURES: readonly [type: string, start: RegExp][] = [
  ["image/png", /^\x89PNG\r\n\x1a\n/],
  ["image/jpeg", /^\xff\xd8\xff/],
  ["image/gif", /^GIF8[79]a/],
  ["image/webp", /^RIFF[^]{4}WEBP/],
  ["image/avif", /^[^]{4}ftypavif/],
];

/** Judges a content by its beginning, and by nothing else: names and types may say anything. */
export function guess(beginning: Uint8Array): Guess {
  const start = String.fromCharCode(...beginning.subarray(0, 16));
  const picture = PICTURES.find(([, pattern]) => pattern.test(start));
  if (picture !== undefined) return { kind: "picture", type: picture[0] };
  const text = textIn(beginning);
  return text === undefined ? { kind: "bytes" } : { kind: "text", text };
}

/** The text that bytes are in UTF-8, when they are; the last character may be cut. */
function textIn(bytes: Uint8Array): string | undefined {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return undefined;
  }
  // deno-lint-ignore no-control-regex
  return /[\x00-\x08\x0e-\x1a\x1c-\x1f]/.test(text) ? undefined : text;
}

/** What {@linkcode Preview} needs. */
export interface PreviewOptions {
  beginning: Uint8Array;
  /** Of the whole. */
  size: number;
  /** Where it is as a picture. */
  picture: string;
}

/** The beginning of a content. */
export function Preview({ beginning, size, picture }: PreviewOptions) {
  const guessed = guess(beginning);
  if (size === 0) return <p class="nothing">It is empty.</p>;
  if (guessed.kind === "picture" && size <= MOST_PICTURE_BYTES) {
    return (
      <p class="picture">
        <img src={picture} alt="The picture in this file" />
      </p>
    );
  }
  const shown = guessed.kind === "text" ? beginning.length : Math.min(HEX_BYTES, beginning.length);
  return (
    <>
      <pre class="preview" tabindex={0} aria-label="Beginning of the content">
        {guessed.kind === "text" ? linesOf(guessed.text) : hexOf(beginning.subarray(0, HEX_BYTES))}
      </pre>
      {shown < size ? <p class="note">The first {formatBytes(shown)} of {formatBytes(size)}.</p> : ""}
    </>
  );
}

function linesOf(text: string): string {
  return text.split(/\r?\n/).map((line) => line.split("\t").map(visible).join("\t")).join("\n");
}

/** As `hexdump -C` shows it. */
function hexOf(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = row.map((byte) => byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".").join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${digits.padEnd(47)}  ${letters}`);
  }
  return lines.join("\n");
}
