/** How much room text takes on a terminal, and how to make it fit. @module */

const NARROW = /^[\x20-\x7e]*$/;
const NOTHING = /^[\p{M}\p{Cf}]$/u;
// East Asian Width "W" and "F" by block (Unicode Standard Annex #11), and emoji.
const WIDE =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation})$/u;

/** The columns that `text`, without escape codes, takes on a terminal. */
export function widthOf(text: string): number {
  if (NARROW.test(text)) return text.length;
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width;
}

/** The end of `text` that fits into `columns`, behind an ellipsis when something was cut off. */
export function fitEnd(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  if (columns < 1) return "";
  const kept: string[] = [];
  let width = 1;
  for (const char of [...text].reverse()) {
    width += charWidth(char);
    if (width > columns) break;
    kept.unshift(char);
  }
  return `…${kept.join("")}`;
}

/** `text` in lines of at most `columns`, broken at spaces; a longer word stands alone. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((word) => word !== "")) {
    if (line !== "" && widthOf(line) + 1 + widthOf(word) > columns) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return line === "" ? lines : [...lines, line];
}

function charWidth(char: string): number {
  return NOTHING.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
}
